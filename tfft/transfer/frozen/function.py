"""The frozen part of a model as a fixed function, run by the fastest exact way on this machine.

Rule: on a CPU, TFLite with XNNPACK, if the prefix converts and its outputs agree with Keras's on
the first examples within `AGREEMENT`; otherwise, and on a GPU or in mixed precision, the compiled
Keras graph.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.errors import TfftError
from tfft.runtime.tflite.convert_frozen import convert_frozen
from tfft.runtime.tflite.runner import TfliteWorkers

# Largest difference from Keras, relative to the largest output, that float rounding explains.
AGREEMENT = 1e-4
# Examples a call: measured fastest for TFLite with XNNPACK on a thread of its own; Keras gains
# nothing over 32.
_TFLITE_BATCH = 4

# Batches of inputs [n, ...], as the model takes them, to the tensors at the cut of each in turn,
# [n, ...] each.
FrozenFunction = Callable[[Iterable[np.ndarray]], Iterator[Sequence[np.ndarray]]]


def fastest_function(prefix: keras.Model, sample: np.ndarray) -> FrozenFunction:
    """Returns the prefix as a function by the module's rule, checked on `sample` [n, ...]."""
    compiled = _compiled(prefix)
    if tf.config.list_physical_devices("GPU") or any(o.dtype != "float32" for o in prefix.outputs):
        return compiled
    try:
        workers = TfliteWorkers(convert_frozen(prefix, _TFLITE_BATCH))
    except TfftError:  # it needs operators that are not built into TFLite
        return compiled
    (expected,), (actual,) = compiled([sample]), workers.map([sample])
    agree = all(
        a.shape == e.shape and np.abs(a - e).max() <= AGREEMENT * max(np.abs(e).max(), 1e-6)
        for a, e in zip(actual, expected, strict=True)
    )
    return workers.map if agree else compiled


def _compiled(prefix: keras.Model) -> FrozenFunction:
    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs: tf.Tensor) -> list[tf.Tensor]:
        outputs = tf.nest.flatten(prefix(inputs, training=False))
        return [tf.cast(output, tf.float32) for output in outputs]

    def run(batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        for inputs in batches:
            yield [tensor.numpy() for tensor in forward(tf.constant(inputs))]

    return run
