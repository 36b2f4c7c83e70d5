"""Whether the new model of a desk is better than the one before, photo by photo."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfft.metrics.intervals import wilson_interval
from tfft.metrics.paired import accuracy_difference
from tfft.system.readable import counted

# A difference that chance explains as often as this is not called one.
_LEVEL = 0.05


@dataclass(frozen=True)
class ClassChange:
    """How two models do on the photos of one class, as shares of them that are right, 0..1."""

    name: str
    images: int
    before: float
    now: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same N photos, which neither was trained on.

    Attributes:
        images: Number of photos.
        before: Accuracy of the model before, 0..1.
        now: Accuracy of the new one.
        difference: The new one's minus the other's.
        low: Lower end of the 95 % interval of the difference.
        high: Its upper end.
        p_value: That of McNemar's exact test.
        verdict: What that means, in a sentence.
        classes: The photos by class.
        gained: Names of the photos that only the new model gets right.
        lost: Names of those that only the other one gets right.
        notes: Remarks about what was compared.
    """

    images: int
    before: float
    now: float
    difference: float
    low: float
    high: float
    p_value: float
    verdict: str
    classes: tuple[ClassChange, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        return asdict(self)


def compared(
    paths: Sequence[str],
    labels: Sequence[str],
    before: Sequence[str],
    now: Sequence[str],
    known_before: Sequence[str],
) -> Comparison:
    """Compares what two models say of the same photos.

    Args:
        paths: Names of N photos, N > 0.
        labels: Class that each belongs to.
        before: Class that the model before names for each.
        now: Class that the new one names.
        known_before: Classes that the model before knows.
    """
    truth = np.array(labels)
    right_before, right_now = np.array(before) == truth, np.array(now) == truth
    found = accuracy_difference(right_now[None], right_before[None])
    strange = sum(label not in known_before for label in labels)
    return Comparison(
        images=len(paths),
        before=float(right_before.mean()),
        now=float(right_now.mean()),
        difference=found.mean,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        verdict=_verdict(found.mean, found.p_value),
        classes=tuple(
            ClassChange(
                name,
                int((truth == name).sum()),
                float(right_before[truth == name].mean()),
                float(right_now[truth == name].mean()),
            )
            for name in dict.fromkeys(sorted(labels))
        ),
        gained=tuple(p for p, k in zip(paths, right_now & ~right_before, strict=True) if k),
        lost=tuple(p for p, k in zip(paths, right_before & ~right_now, strict=True) if k),
        notes=(
            f"{counted(strange, 'photo')} of a class that the model before does not know count "
            "as wrong for it.",
        )
        * (strange > 0),
    )


def accuracy(labels: Sequence[str], answers: Sequence[str]) -> dict[str, Any]:
    """Returns the accuracy of one model on N photos with its 95 % interval, as JSON values."""
    right = sum(label == answer for label, answer in zip(labels, answers, strict=True))
    low, high = wilson_interval(right, len(labels))
    return {"images": len(labels), "accuracy": right / len(labels), "low": low, "high": high}


def _verdict(difference: float, p_value: float) -> str:
    points = f"{100 * abs(difference):.1f} points"
    if p_value < _LEVEL:
        return f"The new model is {'better' if difference > 0 else 'worse'}, by {points}."
    if difference == 0:
        return "Both models are right equally often."
    more = "more" if difference > 0 else "less"
    return f"No difference is certain: the new model is right on {points} {more}, as chance may do."
