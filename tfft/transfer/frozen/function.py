"""The frozen part of a model as a fixed function, run by the fastest exact way on this machine.

Rule: on a CPU, TFLite with XNNPACK, if the prefix converts and its outputs agree with Keras's on
the first examples within float rounding; otherwise, and on a GPU or in mixed precision, the
compiled Keras graph. The converted prefix is kept between runs, and compared again in each.

A recipe may name OpenVINO instead, which computes the same converted prefix in bfloat16.
"""

from collections.abc import Iterable, Iterator, Sequence

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.cache.converted import Conversion
from tfft.config.train import CacheConfig
from tfft.errors import BackboneError, ModelFileError
from tfft.runtime.tflite.agreement import AGREEMENT
from tfft.runtime.tflite.convert_frozen import agreeing_conversion, model_digest
from tfft.runtime.tflite.openvino import OpenVinoWorkers, Precision, openvino_precision
from tfft.runtime.tflite.runner import TfliteWorkers
from tfft.system.device import on_gpu
from tfft.transfer.frozen.engine import (
    FrozenFunction,
    Outputs,
    declared_engine,
    difference,
)

# Examples a call: measured fastest for TFLite with XNNPACK on a thread of its own; Keras gains
# nothing over 32. So many examples are also compared.
TFLITE_BATCH = 4
# Examples a call of the compiled graph, which may compute batches of other sizes otherwise.
_KERAS_BATCH = 32
# Root mean square of the differences from Keras that no rounding to a precision explains.
_NOT_ROUNDING: dict[Precision, float] = {"bfloat16": 0.1, "float32": AGREEMENT}


def function_of(
    cache: CacheConfig, backbone: str, prefix: keras.Model, sample: np.ndarray
) -> FrozenFunction:
    """Returns the prefix as a function, by the engine that the recipe names or the fastest.

    Args:
        cache: The recipe's `train.cache` section.
        backbone: Name of the backbone.
        prefix: The frozen part.
        sample: Inputs [n, ...] on which it is compared with Keras.

    Raises:
        UsageError: The engine is not installed.
        BackboneError: It cannot compute the backbone.
    """
    engine = declared_engine(cache)
    if engine is None:
        return fastest_function(prefix, sample)
    precision = openvino_precision()
    try:
        conversion = _converted(prefix, sample)
        if conversion.content is None:
            raise ModelFileError(conversion.reason)
        workers = OpenVinoWorkers(conversion.content, precision)
        few = sample[:TFLITE_BATCH]
        (computed,) = workers.map([few])
        found = difference(computed, keras_outputs(prefix, few))
        if not found.rms <= _NOT_ROUNDING[precision]:  # or it is not a number
            raise ModelFileError(f"it computes something else: {found}")
    except ModelFileError as error:
        raise BackboneError(
            f"train.cache.engine: openvino cannot compute {backbone}: {error}. Leave the key out"
        ) from error
    return FrozenFunction(engine, workers.map)


def keras_outputs(prefix: keras.Model, inputs: np.ndarray) -> list[np.ndarray]:
    """Returns what Keras computes of inputs [n, ...], float32 [n, ...] each.

    It takes a few at a time: called so, Keras holds all activations to the end.
    """
    parts = [
        tf.nest.flatten(prefix(tf.constant(inputs[start : start + TFLITE_BATCH]), training=False))
        for start in range(0, len(inputs), TFLITE_BATCH)
    ]
    return [
        np.concatenate([np.asarray(part, np.float32) for part in of_output])
        for of_output in zip(*parts, strict=True)
    ]


def fastest_function(prefix: keras.Model, sample: np.ndarray) -> FrozenFunction:
    """Returns the prefix as a function by the module's rule, compared on `sample` [n, ...]."""
    compiled = FrozenFunction("keras", _in_whole_batches(_compiled(prefix)))
    if on_gpu() or any(o.dtype != "float32" for o in prefix.outputs):
        return compiled
    conversion = _converted(prefix, sample)
    if conversion.content is None:
        return compiled
    return FrozenFunction("xnnpack", TfliteWorkers(conversion.content).map)


def _converted(prefix: keras.Model, sample: np.ndarray) -> Conversion:
    return agreeing_conversion(
        prefix,
        TFLITE_BATCH,
        sample[:TFLITE_BATCH],
        identity=model_digest(prefix),
        about={"what": "converted frozen part"},
    )


def _in_whole_batches(function: Outputs) -> Outputs:
    """Returns a function that fills smaller batches up, so that all are computed alike."""

    def run(batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        for inputs in batches:
            filling = np.repeat(inputs[-1:], max(0, _KERAS_BATCH - len(inputs)), axis=0)
            (outputs,) = function([np.concatenate([inputs, filling])])
            yield [tensor[: len(inputs)] for tensor in outputs]

    return run


def _compiled(prefix: keras.Model) -> Outputs:
    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs: tf.Tensor) -> list[tf.Tensor]:
        outputs = tf.nest.flatten(prefix(inputs, training=False))
        return [tf.cast(output, tf.float32) for output in outputs]

    def run(batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        for inputs in batches:
            yield [tensor.numpy() for tensor in forward(tf.constant(inputs))]

    return run
