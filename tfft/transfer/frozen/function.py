"""The frozen part of a model as a fixed function, run by the fastest exact way on this machine.

Rule: on a CPU, TFLite with XNNPACK, if the prefix converts and its outputs agree with Keras's on
the first examples within float rounding; otherwise, and on a GPU or in mixed precision, the
compiled Keras graph. The converted prefix is kept between runs, and compared again in each.
"""

from collections.abc import Iterable, Iterator, Sequence

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.runtime.tflite.convert_frozen import agreeing_conversion, model_digest
from tfft.runtime.tflite.runner import TfliteWorkers
from tfft.system.device import on_gpu
from tfft.transfer.frozen.engine import FrozenFunction, Outputs

# Examples a call: measured fastest for TFLite with XNNPACK on a thread of its own; Keras gains
# nothing over 32. So many examples are also compared.
TFLITE_BATCH = 4
# Examples a call of the compiled graph, which may compute batches of other sizes otherwise.
_KERAS_BATCH = 32


def fastest_function(prefix: keras.Model, sample: np.ndarray) -> FrozenFunction:
    """Returns the prefix as a function by the module's rule, compared on `sample` [n, ...]."""
    compiled = FrozenFunction("keras", _in_whole_batches(_compiled(prefix)))
    if on_gpu() or any(o.dtype != "float32" for o in prefix.outputs):
        return compiled
    conversion = agreeing_conversion(
        prefix,
        TFLITE_BATCH,
        sample[:TFLITE_BATCH],
        identity=model_digest(prefix),
        about={"what": "converted frozen part"},
    )
    if conversion.content is None:
        return compiled
    return FrozenFunction("xnnpack", TfliteWorkers(conversion.content).map)


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
