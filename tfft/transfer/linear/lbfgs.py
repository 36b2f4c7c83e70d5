"""L-BFGS for a strongly convex loss that is computed in float32: gradients decide, not values."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Steps whose curvature is remembered.
_MEMORY = 10
_MAX_STEPS = 1000
_MAX_TRIALS = 20
# A step is long enough where the slope along it has fallen to this share, and short enough where
# it has risen to no more than that share.
_LEFT_OF_SLOPE = 0.9
_RISEN_TO_SLOPE = 0.5
# By so much of itself the loss may rise in a step: the rounding of float32.
_ROUNDING = 1e-6


class Evaluation(NamedTuple):
    """The loss at a point.

    Attributes:
        value: The loss.
        gradient: Its gradient, float64, of the shape of the point.
        curvature: About how curved it is along each coordinate, float64 of the same shape.
    """

    value: float
    gradient: np.ndarray
    curvature: np.ndarray


class _Memory:
    """The inverse of the curvature as the last steps show it, from a diagonal one on."""

    def __init__(self, curvature: np.ndarray) -> None:
        self._diagonal = (1.0 / curvature).astype(np.float32)
        self._scale = 1.0
        self._steps: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=_MEMORY)

    def add(self, step: np.ndarray, change: np.ndarray) -> None:
        """Remembers a step and the change of the gradient over it."""
        step, change = step.astype(np.float32), change.astype(np.float32)
        curved = float(np.vdot(step, change))
        if curved > 0.0:
            self._steps.append((step, change, 1.0 / curved))
            self._scale = curved / float(np.vdot(change, self._diagonal * change))

    def direction(self, gradient: np.ndarray) -> np.ndarray:
        """Returns the step to the minimum of the remembered parabola, float64."""
        left = gradient.astype(np.float32)
        shares = []
        for step, change, inverse in reversed(self._steps):
            share = np.float32(inverse * float(np.vdot(step, left)))
            left -= share * change
            shares.append(share)
        left *= np.float32(self._scale)
        left *= self._diagonal
        for (step, change, inverse), share in zip(self._steps, reversed(shares), strict=True):
            left += (share - np.float32(inverse * float(np.vdot(change, left)))) * step
        return -left.astype(np.float64)


def minimise(
    evaluate: Callable[[np.ndarray], Evaluation],
    start: np.ndarray,
    reached: Callable[[np.ndarray, Evaluation], bool],
) -> tuple[np.ndarray, Evaluation]:
    """Searches the minimum from `start` on, until `reached` or until rounding hides the way down.

    Points and gradients are float64; what is remembered of them is float32, which only chooses
    directions. Along a line the loss of a convex function falls as long as its slope is below 0, so
    that slopes bracket the step and no two nearly equal values of the loss are compared.

    Args:
        evaluate: The loss at a point, convex.
        start: Where the search begins, float64.
        reached: Whether a point is near enough to the minimum.

    Returns:
        The last point, and the loss there.

    Source: Liu, Nocedal 1989, with a diagonal inverse at the start that is the loss's own.
    """
    point, here = start, evaluate(start)
    memory = _Memory(here.curvature)
    for _ in range(_MAX_STEPS):
        if reached(point, here):
            break
        direction = memory.direction(here.gradient)
        found = _along(evaluate, point, here, direction)
        if found is None:
            break
        length, there = found
        memory.add(length * direction, there.gradient - here.gradient)
        point, here = point + length * direction, there
    return point, here


def _along(
    evaluate: Callable[[np.ndarray], Evaluation],
    point: np.ndarray,
    here: Evaluation,
    direction: np.ndarray,
) -> tuple[float, Evaluation] | None:
    """Returns how far to go, and the loss there; None where rounding hides the way down."""
    slope = float(np.vdot(here.gradient, direction))
    if slope >= 0.0:
        return None
    length, low, high = 1.0, 0.0, np.inf
    for _ in range(_MAX_TRIALS):
        there = evaluate(point + length * direction)
        left = float(np.vdot(there.gradient, direction)) / slope
        risen = there.value > here.value + _ROUNDING * abs(here.value)
        if -_RISEN_TO_SLOPE <= left <= _LEFT_OF_SLOPE and not risen:
            return length, there
        if left > _LEFT_OF_SLOPE and not risen:
            low, guess = length, 4.0 * length
        else:
            # Where a parabola through both slopes has its minimum.
            high, guess = length, length / (1.0 - min(left, 0.0))
        bracketed = low + 0.1 * (high - low) < guess < high
        length = guess if bracketed or np.isinf(high) else 0.5 * (low + high)
    return None
