"""The baseline that does not look at the images: always answering with the commonest class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfft.metrics.intervals import Interval, wilson_interval


@dataclass(frozen=True)
class CommonestClass:
    """What always answering with the commonest class reaches.

    Attributes:
        label: Name of the class; empty if it is not known.
        top1: Share of the images that are of this class.
        interval: 95 % Wilson interval of `top1`.
    """

    label: str
    top1: float
    interval: Interval

    def doubt(self, top1: float) -> str:
        """Says that a top-1 on the same images is not shown to be better; "" if it is shown."""
        if top1 > self.interval.high:
            return ""
        label = f", {self.label}" if self.label else ""
        return (
            f"{top1:.3f} is not shown to be better than always answering with the commonest class"
            f"{label} ({self.top1:.3f}, by chance up to {self.interval.high:.3f})"
        )


def commonest_class(
    known: np.ndarray, judged: np.ndarray, names: Sequence[str] = ()
) -> CommonestClass:
    """Measures the commonest of the known labels on other images.

    Args:
        known: Known labels, such as those of the training images, int64 [n].
        judged: Labels of the images that it is measured on, int64 [m], m > 0.
        names: Names of the classes.
    """
    commonest = int(np.bincount(known).argmax())
    right = int((judged == commonest).sum())
    label = names[commonest] if len(names) else ""
    return CommonestClass(label, right / len(judged), wilson_interval(right, len(judged)))
