"""A frozen part as a function of batches, whatever computes it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

# What computes a frozen part: TFLite with XNNPACK, or the compiled Keras graph.
Engine = Literal["xnnpack", "keras"]
# Batches of inputs [n, ...], as the model takes them, to the tensors at the cut of each in turn,
# [n, ...] each.
Outputs = Callable[[Iterable[np.ndarray]], Iterator[Sequence[np.ndarray]]]


@dataclass(frozen=True, eq=False)
class FrozenFunction:
    """A frozen part as a function, which is called as its `outputs` are.

    Attributes:
        engine: What computes it.
        outputs: The function.
    """

    engine: Engine
    outputs: Outputs

    def __call__(self, batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        return self.outputs(batches)
