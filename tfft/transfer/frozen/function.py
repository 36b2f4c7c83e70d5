"""The frozen part of a model as a fixed function, run by the fastest exact way on this machine.

Rule: on a CPU, TFLite with XNNPACK, if the prefix converts and its outputs agree with Keras's on
the first examples within `AGREEMENT`; otherwise, and on a GPU or in mixed precision, the compiled
Keras graph.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.errors import TfftError
from tfft.runtime.tflite.convert_frozen import convert_frozen
from tfft.runtime.tflite.runner import TfliteWorkers
from tfft.transfer.device import on_gpu

# Largest difference from Keras, relative to the largest output, that float rounding explains.
AGREEMENT = 1e-4
# Examples a call: measured fastest for TFLite with XNNPACK on a thread of its own; Keras gains
# nothing over 32.
_TFLITE_BATCH = 4

# What computes a frozen part: TFLite with XNNPACK, or the compiled Keras graph.
Engine = Literal["xnnpack", "keras"]


@dataclass(frozen=True, eq=False)
class FrozenFunction:
    """A frozen part as a function.

    Called with batches of inputs [n, ...], as the model takes them, it yields the tensors at the
    cut of each batch in turn, [n, ...] each.

    Attributes:
        engine: What computes it.
        outputs: The function.
    """

    engine: Engine
    outputs: Callable[[Iterable[np.ndarray]], Iterator[Sequence[np.ndarray]]]

    def __call__(self, batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        return self.outputs(batches)


def fastest_function(prefix: keras.Model, sample: np.ndarray) -> FrozenFunction:
    """Returns the prefix as a function by the module's rule, checked on `sample` [n, ...]."""
    compiled = FrozenFunction("keras", _compiled(prefix))
    if on_gpu() or any(o.dtype != "float32" for o in prefix.outputs):
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
    return FrozenFunction("xnnpack", workers.map) if agree else compiled


def _compiled(
    prefix: keras.Model,
) -> Callable[[Iterable[np.ndarray]], Iterator[Sequence[np.ndarray]]]:
    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs: tf.Tensor) -> list[tf.Tensor]:
        outputs = tf.nest.flatten(prefix(inputs, training=False))
        return [tf.cast(output, tf.float32) for output in outputs]

    def run(batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        for inputs in batches:
            yield [tensor.numpy() for tensor in forward(tf.constant(inputs))]

    return run
