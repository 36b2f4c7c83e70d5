"""Converts a Keras model to a TFLite file for tfft's own use, and keeps it between runs.

`tfft.runtime.tflite.convert` goes through a SavedModel, which gives the file a signature and takes
three times as long. Here the graph is frozen in memory, so that the file has only the names that
the graph gives its outputs.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tfft.system.tensorflow import keras, tf

import numpy as np
from tensorflow.lite.python.convert_phase import ConverterError

from tfft.cache.converted import (
    Conversion,
    conversion_key,
    discard_conversion,
    keep_conversion,
    kept_conversion,
)
from tfft.errors import ModelFileError, TfftError
from tfft.runtime.tflite.agreement import outputs_agree
from tfft.runtime.tflite.runner import TfliteFunction
from tfft.system.quiet import descriptors_kept_aside

_UNKNOWN = (
    *(ValueError, RuntimeError, TypeError, AttributeError, LookupError, AssertionError),
    tf.errors.OpError,
)

Agreement = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], bool]


def convert_frozen(model: keras.Model, batch_size: int) -> bytes:
    """Converts a model in inference mode to a float32 TFLite file with a fixed batch.

    Args:
        model: Model with one input [batch, ...]; its outputs are a tensor, a list or a dict.
        batch_size: Batch size of the file.

    Returns:
        The file's content; `TfliteFunction` returns its outputs in the model's order, those of a
        dict in the order of their names.

    Raises:
        TfftError: TFLite cannot hold the model.
    """

    def forward(inputs: tf.Tensor) -> list[tf.Tensor]:
        return tf.nest.flatten(model(inputs, training=False))

    spec = tf.TensorSpec((batch_size, *model.input_shape[1:]), model.inputs[0].dtype)
    with descriptors_kept_aside(1, 2), contextlib.redirect_stdout(io.StringIO()):
        try:
            traced = tf.function(forward, autograph=False).get_concrete_function(spec)
            converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], model)
            converter.experimental_lower_to_saved_model = False
            return converter.convert()
        # Of a model that it does not know the converter raises nearly anything.
        except (ConverterError, *_UNKNOWN) as error:
            raise TfftError(f"TFLite cannot hold this model: {error}") from error


def agreeing_conversion(
    model: keras.Model,
    batch_size: int,
    sample: np.ndarray,
    *,
    identity: str,
    about: Mapping[str, object],
    agree: Agreement = outputs_agree,
) -> Conversion:
    """Returns a model as a TFLite file that agrees with Keras: as kept, or converted and kept.

    A kept file is compared too: whoever can write to the cache may have replaced it.

    Args:
        model: Model in float32, as for `convert_frozen`.
        batch_size: Batch size of the file.
        sample: Inputs [n, ...] on which the file is compared with the model, run by Keras.
        identity: Digest of the model.
        about: Description of the entry in the cache, for people, as JSON values.
        agree: Compares the outputs of the file with those of the model.
    """
    key = conversion_key(model=identity, batch_size=batch_size)
    kept = kept_conversion(key)
    if kept is not None and kept.content is None:
        return kept
    outputs = model(tf.constant(sample), training=False)
    expected = [np.asarray(output) for output in tf.nest.flatten(outputs)]
    if kept is not None and kept.content is not None:
        if _fault(kept.content, sample, expected, agree) == "":
            return kept
        discard_conversion(key)
    made = _converted(model, batch_size)
    if made.content is not None and (reason := _fault(made.content, sample, expected, agree)):
        made = Conversion(None, reason=reason)
    keep_conversion(key, made, about)
    return made


def _converted(model: keras.Model, batch_size: int) -> Conversion:
    names = tuple(sorted(model.output)) if isinstance(model.output, dict) else ()
    try:
        return Conversion(convert_frozen(model, batch_size), names)
    except TfftError as error:  # it needs operators that are not built into TFLite
        return Conversion(None, reason=str(error).splitlines()[0])


def _fault(
    content: bytes, sample: np.ndarray, expected: Sequence[np.ndarray], agree: Agreement
) -> str:
    """Returns why a file cannot stand for a model; "" if it can."""
    try:
        function = TfliteFunction(content)
        if function.input_shape != sample.shape[1:]:
            return "the converted file takes inputs of another shape"
        actual = function(sample)
    except ModelFileError as error:
        return str(error)
    return "" if agree(actual, expected) else "the converted file does not agree with Keras"


def model_digest(model: keras.Model) -> str:
    """Returns the SHA-256 of a model's graph and weights.

    The names of layers, which Keras counts up within a process, do not count, nor what is frozen.
    The operations of a SavedModel within it are known by their weights only.
    """
    config = model.get_config()
    graph = json.dumps(config, default=str).replace('"trainable": false', '"trainable": true')
    for number, name in enumerate(dict.fromkeys(_layer_names(config))):
        graph = graph.replace(json.dumps(name), str(number))
    digest = hashlib.sha256(graph.encode())
    for variable in model.variables:
        digest.update(f"{variable.shape} {variable.dtype}".encode())
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def _layer_names(config: Any) -> Iterator[str]:
    """Yields the name of a model and of each layer in its config, in their order."""
    if isinstance(config, dict):
        if "inbound_nodes" in config or "input_layers" in config:
            yield config["name"]
        config = list(config.values())
    if isinstance(config, list | tuple):
        for part in config:
            yield from _layer_names(part)
