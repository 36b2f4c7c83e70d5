"""What the data decide of a head, known before the model is built."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HeadSize:
    """The facts about a head that the data decide.

    Attributes:
        outputs: Number of classes or labels; 4 for a box, 1 for a number.
        mean: Mean of a number in the training data; 0 for other kinds of heads.
        deviation: Standard deviation of a number in the training data; 1 for other kinds.
        class_names: Names of the classes or labels, in the order of the outputs; empty for a box
            or a number.
    """

    outputs: int
    mean: float = 0.0
    deviation: float = 1.0
    class_names: tuple[str, ...] = ()


def number_size(values: np.ndarray) -> HeadSize:
    """Returns the size of a regression head.

    Args:
        values: Targets of the training data, float32 [n, 1]; NaN where a target is missing.
    """
    # In float32 rounding alone gives equal values a deviation.
    known = values[np.isfinite(values)].astype(np.float64)
    deviation = float(known.std()) if len(known) else 1.0
    return HeadSize(1, float(known.mean()) if len(known) else 0.0, deviation or 1.0)
