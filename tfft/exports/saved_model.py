"""A Keras model as a SavedModel for TensorFlow Serving."""

import json
import tempfile
from pathlib import Path

from tfft.system.tensorflow import keras, tf

from tfft.data.graph.tolerant import decode_tolerant
from tfft.exports.outputs import answers_and_logits, labels_file
from tfft.runtime.info import DIGEST_KEY, FILE_NAME, ModelInfo
from tfft.runtime.signatures import FLOAT32, name_in_model, taken_by
from tfft.system.digests import file_sha256
from tfft.system.formats import MODEL

# Images that are decoded at once: each may need about ten times the memory of its pixels.
_DECODED_AT_ONCE = 4


class _Servable(tf.Module):
    """A classifier with its signatures.

    Attributes:
        label_files: An asset for each head with classes: their names, a line each.
        weights: Variables of the model, as TensorFlow's own. Those of Keras (3.15.1), or the model
            itself, must not be attributes: their export makes a second variable of each, and
            servers, which load through a session, would restore that one and not the one in use.
    """

    def __init__(self, model: keras.Model, info: ModelInfo, directory: Path, weights: str) -> None:
        super().__init__()
        if weights == "float32":
            self.weights = [variable.value for variable in model.variables]
            self._forward = lambda images: model(images, training=False)
        else:
            stored = []
            for value in (variable.value for variable in model.variables):
                is_kernel = value.dtype == tf.float32 and value.shape.rank >= 2
                smaller = tf.cast(value, tf.as_dtype(weights) if is_kernel else value.dtype)
                stored.append(tf.Variable(smaller, trainable=False))
            self.weights = stored
            self._forward = lambda images: self._forward_from_stored(model, images)
        self._info = info
        label_files = []
        for head, names in info.heads.items():
            if names.class_names:
                file = directory / labels_file(head)
                text = "".join(f"{name}\n" for name in names.class_names)
                file.write_text(text, encoding="utf-8")
                label_files.append(tf.saved_model.Asset(str(file)))
        self.label_files = label_files

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the signatures by name; each takes a batch of any size."""
        pixels = self._info.pixels
        shape = [None, pixels.height, pixels.width, pixels.channels]
        specs = {
            FLOAT32: (self.images, tf.TensorSpec(shape, tf.float32, "images")),
            "serve_uint8": (self.uint8_images, tf.TensorSpec(shape, tf.uint8, "images")),
            "serve_bytes": (self.image_bytes, tf.TensorSpec([None], tf.string, "image_bytes")),
            "describe": (self.description, tf.TensorSpec([None], tf.string, "names")),
        }
        default = specs[taken_by("serving_default", self._info)]
        specs = {name_in_model(name, self._info): spec for name, spec in specs.items()}
        specs["serving_default"] = default
        return {
            name: tf.function(method, autograph=False).get_concrete_function(spec)
            for name, (method, spec) in specs.items()
        }

    def _forward_from_stored(self, model: keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes in float32 with the weights as they are stored, not with those of the model."""
        pairs = zip(model.variables, self.weights, strict=True)
        values = {id(variable): tf.cast(stored, variable.dtype) for variable, stored in pairs}
        trainable = [values[id(variable)] for variable in model.trainable_variables]
        others = [values[id(variable)] for variable in model.non_trainable_variables]
        return model.stateless_call(trainable, others, images, training=False)[0]

    def images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        found = answers_and_logits(self._forward(images), self._info)
        return {name: tf.identity(value, name=name) for name, value in found.items()}

    def uint8_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.images(tf.cast(images, tf.float32))

    def image_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers NaN for what is not an image; the other answers do not change by it."""
        pixels = self._info.pixels
        shape = [pixels.height, pixels.width, pixels.channels]
        images, are_readable = tf.map_fn(
            lambda encoded: decode_tolerant(encoded, pixels),
            image_bytes,
            fn_output_signature=(tf.TensorSpec(shape, tf.float32), tf.TensorSpec([], tf.bool)),
            parallel_iterations=_DECODED_AT_ONCE,
        )
        # Not by NaN pixels: oneDNN's fused MatMul and ReLU would turn them into zeros.
        return {
            name: tf.where(are_readable[:, None], answer, float("nan"), name=name)
            for name, answer in self.images(images).items()
        }

    def description(self, names: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers each name with the same JSON, so that the batch is one like any other."""
        return {
            "info": tf.fill(tf.shape(names), json.dumps(self._info.to_export_json()), name="info")
        }


def write_saved_model(
    model: keras.Model, info: ModelInfo, directory: Path, weights: str = "float32"
) -> None:
    """Writes a SavedModel into an empty directory.

    Signatures: ``serving_default`` takes ``images`` float32 [n, height, width, 3], RGB, 0..255 (or
    it is what `info` says, and ``serve_float32`` takes them);
    ``serve_uint8`` the same as uint8; ``serve_bytes`` takes ``image_bytes`` string [n], whole image
    files, and decodes, turns and resizes them exactly as evaluation does, with NaN for those that
    cannot be read. Outputs of each: ``probabilities`` and ``logits`` float32 [n, classes]; ``box``
    float32 [n, 4] or ``value`` float32 [n, 1] for such heads; with several heads, by the names of
    the heads; ``unlikeness`` float32 [n, 1], above 1 where the model is unsure, if it measures it.
    ``describe`` takes ``names``, any strings [n], and answers each with the model's description:
    its output ``info``, strings [n], has what ``assets.extra/tfft.json`` says.

    Args:
        model: Keras model from images to ``{head: output}``, in float32.
        info: Description of the model, written without places to ``assets.extra/tfft.json``; class
            names go to ``assets/<head>_labels.txt``.
        directory: Directory that ``saved_model.pb`` is written to.
        weights: How kernels are stored: ``float32``, ``float16`` or ``bfloat16``. Vectors, such as
            biases and statistics, stay in float32: they take little room, and variances may be too
            small for float16.
    """
    info = info.without_places()
    with tempfile.TemporaryDirectory() as label_files:
        servable = _Servable(model, info, Path(label_files), weights)
        tf.saved_model.save(servable, str(directory), signatures=servable.signatures())
    digest = file_sha256(directory / "saved_model.pb")
    described = {**info.to_export_json(), DIGEST_KEY: digest}
    MODEL.write(directory / "assets.extra" / FILE_NAME, described)


def read_labels(directory: Path, head: str) -> tuple[str, ...]:
    """Returns the class names of a head as clients read them, from a SavedModel's label file."""
    path = directory / "assets" / labels_file(head)
    return tuple(path.read_text(encoding="utf-8").splitlines())
