"""A frozen part as a function of batches, whatever computes it, and how far that is from Keras."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tfft.config.train import CacheConfig
from tfft.runtime.tflite.openvino import openvino_precision, openvino_version

# What computes a frozen part: TFLite with XNNPACK, the compiled Keras graph, or OpenVINO.
Engine = Literal["xnnpack", "keras", "openvino"]
# Batches of inputs [n, ...], as the model takes them, to the tensors at the cut of each in turn,
# [n, ...] each.
Outputs = Callable[[Iterable[np.ndarray]], Iterator[Sequence[np.ndarray]]]


@dataclass(frozen=True, eq=False)
class FrozenFunction:
    """A frozen part as a function, which is called as its `outputs` are.

    Attributes:
        engine: What computes it, as runs note it: an `Engine`, of OpenVINO with its precision.
        outputs: The function.
    """

    engine: str
    outputs: Outputs

    def __call__(self, batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        return self.outputs(batches)


@dataclass(frozen=True)
class Difference:
    """How far the tensors of a frozen part are from those that Keras computes.

    Attributes:
        examples: Number of examples that were compared.
        rms: Root mean square of the differences, as a share of that of Keras's numbers.
        largest: Largest difference, as a share of Keras's largest number.
    """

    examples: int
    rms: float
    largest: float

    def __str__(self) -> str:
        return (
            f"on {self.examples} of the images it differs from Keras by {self.rms:.1e} of the "
            f"numbers (root mean square), at most by {self.largest:.1e} of the largest"
        )


def difference(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Difference:
    """Compares tensors [n, ...] with those of Keras; of several tensors the farthest counts."""
    pairs = [(np.float64(a), np.float64(e)) for a, e in zip(actual, expected, strict=True)]
    tiny = np.finfo(np.float32).tiny
    return Difference(
        len(expected[0]),
        max(float(np.sqrt(np.mean((a - e) ** 2) / max(np.mean(e**2), tiny))) for a, e in pairs),
        max(float(np.abs(a - e).max() / max(np.abs(e).max(), tiny)) for a, e in pairs),
    )


def declared_engine(cache: CacheConfig) -> str | None:
    """Returns the engine that a recipe names, as runs note it; None: it leaves that to tfft.

    Raises:
        UsageError: It is not installed.
    """
    return None if cache.engine == "auto" else f"openvino {openvino_precision()}"


def engine_identity(cache: CacheConfig) -> dict[str, str]:
    """Returns what a declared engine adds to the identity of cached tensors."""
    engine = declared_engine(cache)
    return {} if engine is None else {"engine": f"{engine} {openvino_version()}"}
