"""A Keras model as a SavedModel for TensorFlow Serving."""

import json
import tempfile
from pathlib import Path

from tfft.system.tensorflow import keras, tf

from tfft.data.graph.tolerant import decode_tolerant
from tfft.exports.outputs import answers_and_logits
from tfft.runtime.info import FILE_NAME, ModelInfo
from tfft.system.files import write_json

# Images that are decoded at once: each may need some ten times the memory of its pixels.
_DECODED_AT_ONCE = 4


class _Servable(tf.Module):
    """The signatures of a classifier.

    Attributes:
        label_files: one asset for each head: the names of its classes, a line each.
        weights: the variables of the model, as TensorFlow's own. Keras 3.15.1's, or the model
            itself, must not be attributes: their export makes a second variable of each, and
            servers, which load through a session, would restore that one and not the one in use.
    """

    def __init__(self, model: keras.Model, info: ModelInfo, directory: Path, weights: str) -> None:
        super().__init__()
        if weights == "float32":
            self.weights = [variable.value for variable in model.variables]
            self._forward = lambda images: model(images, training=False)
        else:
            self.weights = [_stored(variable, tf.as_dtype(weights)) for variable in model.variables]
            self._forward = lambda images: self._forward_from_stored(model, images)
        self._info = info
        self.label_files = [
            tf.saved_model.Asset(str(_write_labels(directory, head, names.class_names)))
            for head, names in info.heads.items()
            if names.class_names
        ]

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the signatures by name; each takes a batch of any size."""
        pixels = self._info.pixels
        shape = [None, pixels.height, pixels.width, pixels.channels]
        specs = {
            "serving_default": (self.images, tf.TensorSpec(shape, tf.float32, "images")),
            "serve_uint8": (self.uint8_images, tf.TensorSpec(shape, tf.uint8, "images")),
            "serve_bytes": (self.image_bytes, tf.TensorSpec([None], tf.string, "image_bytes")),
            "describe": (self.description, tf.TensorSpec([None], tf.string, "names")),
        }
        return {
            name: tf.function(method).get_concrete_function(spec)
            for name, (method, spec) in specs.items()
        }

    def _forward_from_stored(self, model: keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes in float32 with the weights as they are stored, not with the model's own."""
        pairs = zip(model.variables, self.weights, strict=True)
        values = {id(variable): tf.cast(stored, variable.dtype) for variable, stored in pairs}
        trainable = [values[id(variable)] for variable in model.trainable_variables]
        others = [values[id(variable)] for variable in model.non_trainable_variables]
        return model.stateless_call(trainable, others, images, training=False)[0]

    def images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        found = answers_and_logits(self._forward(images), self._info.heads)
        return {name: tf.identity(value, name=name) for name, value in found.items()}

    def uint8_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.images(tf.cast(images, tf.float32))

    def image_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers NaN for what is no image; the others are answered as if it were not there."""
        pixels = self._info.pixels
        shape = [pixels.height, pixels.width, pixels.channels]
        images, are_readable = tf.map_fn(
            lambda encoded: decode_tolerant(encoded, pixels),
            image_bytes,
            fn_output_signature=(tf.TensorSpec(shape, tf.float32), tf.TensorSpec([], tf.bool)),
            parallel_iterations=_DECODED_AT_ONCE,
        )
        # Not NaN pixels: oneDNN's fused MatMul and ReLU would make zeros of them.
        return {
            name: tf.where(are_readable[:, None], answer, float("nan"), name=name)
            for name, answer in self.images(images).items()
        }

    def description(self, names: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers each name with the same JSON, so that it is a batch like any other."""
        return {"info": tf.fill(tf.shape(names), json.dumps(self._info.to_json()), name="info")}


def write_saved_model(
    model: keras.Model, info: ModelInfo, directory: Path, weights: str = "float32"
) -> None:
    """Writes a SavedModel into an empty directory.

    Signatures: ``serving_default`` takes ``images`` float32 [n, height, width, 3], RGB, 0..255;
    ``serve_uint8`` the same as uint8; ``serve_bytes`` takes ``image_bytes`` string [n], whole image
    files, and decodes, turns and resizes them exactly as evaluation does, with NaN for those that
    cannot be read. Outputs of each: ``probabilities`` and ``logits`` float32 [n, classes]; ``box``
    float32 [n, 4] or ``value`` float32 [n, 1] for such heads; by their heads' names where there are
    several. ``describe`` takes ``names``, any strings [n], and answers each with the model's
    description: its output ``info``, strings [n], has what ``assets.extra/tfft.json`` says.

    Args:
        model: images to ``{head: output}``, in float32.
        info: written without places to ``assets.extra/tfft.json``; class names to
            ``assets/<head>_labels.txt``.
        directory: where ``saved_model.pb`` will be.
        weights: how kernels are stored: ``float32``, ``float16`` or ``bfloat16``. Vectors, such as
            biases and statistics, stay as they are: they take little room, and variances may be
            too small for float16.
    """
    info = info.without_places()
    with tempfile.TemporaryDirectory() as label_files:
        servable = _Servable(model, info, Path(label_files), weights)
        tf.saved_model.save(servable, str(directory), signatures=servable.signatures())
    write_json(directory / "assets.extra" / FILE_NAME, info.to_json())


def read_labels(directory: Path, head: str) -> tuple[str, ...]:
    """Returns the class names of a head as clients read them, from a SavedModel's label file."""
    path = directory / "assets" / _labels_file(head)
    return tuple(path.read_text(encoding="utf-8").splitlines())


def _stored(variable: keras.Variable, dtype: tf.DType) -> tf.Variable:
    value = variable.value
    is_kernel = value.dtype == tf.float32 and value.shape.rank >= 2
    return tf.Variable(tf.cast(value, dtype if is_kernel else value.dtype), trainable=False)


def _write_labels(directory: Path, head: str, class_names: tuple[str, ...]) -> Path:
    path = directory / _labels_file(head)
    path.write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")
    return path


def _labels_file(head: str) -> str:
    return f"{head}_labels.txt"
