"""Classes that the images don't tell apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.metrics.intervals import Interval, wilson_interval

# Two classes are not told apart if even the upper end of the interval is below this: halfway from
# chance to never being wrong.
_TOLD_APART = 0.75


@dataclass(frozen=True)
class ClassPair:
    """Two classes whose images are hardly told apart.

    Attributes:
        classes: Names of both.
        images: Number of images of each.
        told_apart: Share of the images for which their own class is the more probable one of the
            two, as the mean of both classes; 0.5 is chance.
        interval: Its 95 % interval.
    """

    classes: tuple[str, str]
    images: tuple[int, int]
    told_apart: float
    interval: Interval

    @property
    def text(self) -> str:
        """What is known of the pair, as a sentence."""
        first, second = self.classes
        return (
            f"{first} and {second} are hardly told apart: {self.told_apart:.2f} "
            f"[{self.interval.low:.2f}, {self.interval.high:.2f}] right of the two, 0.50 is chance"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the pair as JSON values."""
        return {
            "classes": list(self.classes),
            "images": list(self.images),
            "told_apart": round(self.told_apart, 6),
            "interval": [round(end, 6) for end in self.interval],
        }


def hardly_told_apart(
    probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> tuple[ClassPair, ...]:
    """Returns the pairs of classes that out-of-fold answers hardly tell apart, the worst first.

    Args:
        probabilities: Out-of-fold probabilities, float [N, classes].
        labels: Class of each image, int64 [N].
        class_names: Names of the classes.

    Source: The interval is Newcombe's for a sum of two proportions, from their Wilson intervals:
    Newcombe 1998, "Interval estimation for the difference between independent proportions".
    """
    counts = np.bincount(labels, minlength=len(class_names))
    shares = np.full((len(class_names),) * 2, np.nan)
    for label in np.flatnonzero(counts):
        rows = probabilities[labels == label]
        own = rows[:, label, None]
        shares[label] = (rows < own).mean(axis=0) + 0.5 * (rows == own).mean(axis=0)
    means = (shares + shares.T) / 2
    found = []
    for first, second in np.argwhere(np.triu(means < _TOLD_APART, 1)).tolist():
        images, both = (int(counts[first]), int(counts[second])), (first, second)
        told_apart = float(means[first, second])
        interval = _mean_interval((shares[both], shares[both[::-1]]), images)
        if interval.high < _TOLD_APART:
            names = class_names[first], class_names[second]
            found.append(ClassPair(names, images, told_apart, interval))
    return tuple(sorted(found, key=lambda pair: pair.told_apart))


def _mean_interval(shares: tuple[float, float], images: tuple[int, int]) -> Interval:
    """Returns the 95 % interval of the mean of two shares."""
    ends = [
        wilson_interval(round(share * count), count)
        for share, count in zip(shares, images, strict=True)
    ]
    mean = sum(shares) / 2
    down = math.hypot(*(share - end.low for share, end in zip(shares, ends, strict=True))) / 2
    up = math.hypot(*(end.high - share for share, end in zip(shares, ends, strict=True))) / 2
    return Interval(max(mean - down, 0.0), min(mean + up, 1.0))
