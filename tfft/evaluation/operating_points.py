"""Operating points: for a class that matters, the threshold that reaches a precision or recall.

It is chosen on validation images. Answers at another temperature are other probabilities, so a head
with a temperature has two thresholds: one for the model as trained, one for calibrated exports.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.errors import GateError, UsageError, nearest
from tfft.metrics.calibration import at_temperature
from tfft.metrics.threshold_curves import AtThreshold, at_threshold, threshold_curve
from tfft.runtime.info import Goal, HeadInfo, OperatingPoint
from tfft.system.readable import counted, interval_text

# With fewer images of a class its threshold follows chance.
_FEW = 10


@dataclass(frozen=True)
class AskedPoint:
    """What a person asks of the threshold of a class.

    Attributes:
        label: Name of the class or label.
        goal: What has to be reached: ``precision`` or ``recall``.
        at_least: Share that it has to reach, above 0 and up to 1.
    """

    label: str
    goal: Goal
    at_least: float

    def __str__(self) -> str:
        return f"{self.label}: {self.goal} of at least {self.at_least:g}"


@dataclass(frozen=True)
class ChosenPoint(AskedPoint):
    """The threshold that was chosen, and what it gives on the validation images.

    Attributes:
        as_trained: On the probabilities of the model as trained.
        calibrated: On the probabilities at the head's temperature.
    """

    as_trained: AtThreshold
    calibrated: AtThreshold

    def point(self, temperature: float) -> OperatingPoint:
        """Returns what a model's description carries.

        Args:
            temperature: Temperature of its answers: 1 as trained, otherwise that of the head.
        """
        at = self.as_trained if temperature == 1.0 else self.calibrated
        return OperatingPoint(self.label, at.threshold, self.goal, self.at_least)

    def lines(self) -> list[str]:
        """Returns what it gives, in words."""
        at = self.as_trained
        assert at.precision is not None
        assert at.recall is not None
        lines = [
            f"{self}: above {at.threshold:.4f}, precision {at.precision:.3f}"
            f"{interval_text(at.precision_interval)}, recall {at.recall:.3f}"
            f"{interval_text(at.recall_interval)}"
        ]
        if self.calibrated.threshold != at.threshold:
            lines.append(f"in calibrated exports: above {self.calibrated.threshold:.4f}")
        return [*lines, self.warning] if self.warning else lines

    @property
    def warning(self) -> str:
        """Why the threshold may not hold on other images; empty if nothing speaks against it."""
        if self.as_trained.examples >= _FEW:
            return ""
        return (
            f"{self.label} has {counted(self.as_trained.examples, 'validation image')}: with fewer "
            f"than {_FEW} a threshold follows chance"
        )


def asked_point(
    at_precision: float | None, at_recall: float | None, label: str | None, *, remove: bool
) -> AskedPoint | None:
    """Returns what is asked of an operating point; None where none is to be chosen.

    Raises:
        UsageError: The arguments contradict each other, or a share is not above 0 and up to 1.
    """
    given = [value for value in (at_precision, at_recall) if value is not None]
    if len(given) > 1 or (given and remove):
        raise UsageError(
            "an operating point is chosen by --at-precision or by --at-recall, or taken back by "
            "--remove-point: give one of the three"
        )
    if not given:
        if label is not None and not remove:
            raise UsageError(f"--class {label}: say what for, such as --at-precision 0.95")
        return None
    (at_least,) = given
    goal: Goal = "recall" if at_precision is None else "precision"
    if label is None:
        raise UsageError(f"--at-{goal} {at_least:g}: say for which class, by --class NAME")
    if not 0.0 < at_least <= 1.0:
        raise UsageError(f"a {goal} is above 0 and at most 1. Received: {at_least}")
    return AskedPoint(label, goal, at_least)


def require_class(heads: Mapping[str, HeadInfo], label: str) -> None:
    """Requires that a class or label is one of the model's.

    Raises:
        UsageError: No head has it.
    """
    names = [name for head in heads.values() for name in head.class_names]
    if label in names:
        return
    if not names:
        raise UsageError(f"no head of the model has classes. Received: {label}")
    raise UsageError(
        f"the model has {len(names):,} classes, such as {', '.join(names[:5])}."
        f"{nearest(label, names)} Received: {label}"
    )


def head_with_class(heads: Mapping[str, HeadInfo], label: str, head: str | None) -> str:
    """Returns the name of the head that a class belongs to.

    Args:
        heads: Description of the heads, by name.
        label: Name of a class or label.
        head: Name of the head, needed where several have the class; None: the only one.

    Raises:
        UsageError: There is no such head or class, or several heads have it.
    """
    if head is not None and head not in heads:
        raise UsageError(
            f"the model has the heads {', '.join(heads)}.{nearest(head, heads)} Received: {head}"
        )
    asked = heads if head is None else {head: heads[head]}
    require_class(asked, label)
    found = [name for name, each in asked.items() if label in each.class_names]
    if len(found) > 1:
        raise UsageError(f"the heads {', '.join(found)} have a class {label}: say which by --head")
    return found[0]


def point_line(row: Mapping[str, Any]) -> str:
    """Returns what an operating point gives on other images than it was chosen on, in words.

    Args:
        row: An entry of ``operating_points`` of `tfft.metrics.heads.head_metrics`.
    """
    shown = [
        "no precision: nothing is said to be of it"
        if row["precision"] is None
        else f"precision {row['precision']:.3f}{interval_text(row['precision_interval'])}",
        "no recall: no image is of it"
        if row["recall"] is None
        else f"recall {row['recall']:.3f}{interval_text(row['recall_interval'])}",
    ]
    return f"{row['label']} above {row['threshold']:.4f}: {', '.join(shown)}"


def chosen_point(
    asked: AskedPoint,
    head: HeadInfo,
    probabilities: np.ndarray,
    targets: np.ndarray,
    temperature: float,
) -> ChosenPoint:
    """Chooses the threshold of a class on validation images.

    Of the thresholds that reach what was asked for, it is the one that is best in the other: the
    highest recall at a precision, the highest precision at a recall.

    Args:
        asked: The class, and what its threshold has to reach.
        head: Description of the head.
        probabilities: Answers of the head as trained, float32 [images, classes].
        targets: Targets of the images, int [images] of a classification, float [images, labels] of
            a multi_label head.
        temperature: Temperature of the head; 1 if it has none.

    Raises:
        GateError: No threshold reaches it on these images.
        UsageError: None of these images is of the class.
    """
    k = head.class_names.index(asked.label)
    truth = targets == k if head.kind == "classification" else targets[:, k] > 0.5
    if not truth.any():
        raise UsageError(
            f"none of the {counted(len(truth), 'validation image')} is of {asked.label}: no "
            "threshold can be chosen for it"
        )
    scores = probabilities[:, k]
    scaled = scores
    if temperature != 1.0:
        scaled = at_temperature(probabilities, temperature)[:, k].astype(np.float32)
    return ChosenPoint(
        asked.label,
        asked.goal,
        asked.at_least,
        as_trained=_reaching(asked, truth, scores, ""),
        calibrated=_reaching(asked, truth, scaled, f" at temperature {temperature:.3f}"),
    )


def _reaching(asked: AskedPoint, truth: np.ndarray, scores: np.ndarray, where: str) -> AtThreshold:
    curve = threshold_curve(truth, scores)
    position = curve.reaching(asked.goal, asked.at_least)
    if position is not None:
        return at_threshold(truth, scores, curve.threshold(position))
    best = curve.best(asked.goal)
    raise GateError(
        f"no threshold of {asked.label} gives a {asked.goal} of {asked.at_least:g} on the "
        f"{counted(len(truth), 'validation image')}{where}: the highest is a precision of "
        f"{curve.precision[best]:.3f} with a recall of {curve.recall[best]:.3f}. Nothing was "
        "changed. Ask for less, train a better model, or take the point back with --remove-point"
    )
