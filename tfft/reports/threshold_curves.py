"""What each threshold of a class gives: its precision-recall and its ROC curve."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfft.metrics.threshold_curves import ThresholdCurve
from tfft.reports.drawing import Axes, Drawing, Figure, Scale
from tfft.reports.names import percent

_SIDE, _LEFT, _RIGHT, _TOP = 320, 62, 48, 54
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_AXES = Axes(Scale(0, 1, _LEFT, _LEFT + _SIDE), Scale(0, 1, _TOP + _SIDE, _TOP))
# Points of a curve that are nearer than this cannot be told apart, in pixels.
_NEAR = 0.5
# Precision at which the recall is told of a class without an operating point.
_SPOKEN = 0.95

_Points = Sequence[tuple[float, float]]


class ThresholdFigures(NamedTuple):
    """The curves of a class against all others.

    Attributes:
        label: Name of the class as it is shown.
        precision_recall: Precision against recall.
        roc: Recall against the false positive rate.
    """

    label: str
    precision_recall: Figure
    roc: Figure


def threshold_figures(
    name: str, label: str, curve: ThresholdCurve, point: Mapping[str, Any] | None
) -> ThresholdFigures:
    """Draws the curves of a class against all others.

    Between two probabilities, precision is drawn as average precision counts it, in steps, and the
    ROC curve as its area is, as a straight line.

    Args:
        name: What names of the figures' files end with.
        label: Name of the class as it is shown.
        curve: Its curve, over images of it and of others.
        point: Its entry in ``operating_points`` of the metrics, which is marked; None: it has none.
    """
    recall, positives = curve.recall, curve.positives
    examples = positives + curve.negatives
    steps = [
        corner
        for before, after, height in zip([0.0, *recall[:-1]], recall, curve.precision, strict=True)
        if after > before  # where recall does not grow, precision counts for nothing
        for corner in ((float(before), float(height)), (float(after), float(height)))
    ]
    rates = curve.false_positive_rate.tolist()
    straight = [(0.0, 0.0), *zip(rates, recall.tolist(), strict=True)]
    marks, spoken = _marks(curve, point)
    precision_recall = _figure(
        f"precision-recall-{name}",
        f"Precision and recall of {label}",
        f"Precision against recall over all thresholds: of {examples:,} images {positives:,} are "
        f"of {label}, which is the precision of chance (dashed). {spoken}",
        (f"average precision {curve.average_precision:.3f}", "recall", "precision"),
        (steps, ((0.0, positives / examples), (1.0, positives / examples)), marks[:1]),
    )
    roc = _figure(
        f"roc-{name}",
        f"ROC curve of {label}",
        f"Recall against the share of the {curve.negatives:,} other images that are said to be of "
        f"{label} (false positive rate), over all thresholds. Dashed: chance.",
        (f"AUC {curve.auc:.3f}", "false positive rate", "recall (true positive rate)"),
        (straight, ((0.0, 0.0), (1.0, 1.0)), marks[1:]),
    )
    return ThresholdFigures(label, precision_recall, roc)


def _marks(
    curve: ThresholdCurve, point: Mapping[str, Any] | None
) -> tuple[list[tuple[float, float, str]], str]:
    """Returns where the operating point is in both diagrams, with its words, and a sentence."""
    if point is not None and point["precision"] is not None:
        above = f"above {percent(point['threshold'])}"
        false_alarms = point["said"] - round(point["precision"] * point["said"])
        tip = f"{above}: precision {percent(point['precision'])}, recall {percent(point['recall'])}"
        marks = [
            (point["recall"], point["precision"], tip),
            (false_alarms / curve.negatives, point["recall"], tip),
        ]
        return marks, f"The dot is the operating point, {above}."
    position = curve.reaching("precision", _SPOKEN)
    if position is None:
        return [], f"No threshold has a precision of {_SPOKEN:g}."
    recall = percent(float(curve.recall[position]))
    return [], f"With a precision of at least {_SPOKEN:g} the recall is at most {recall}."


def _figure(
    name: str,
    title: str,
    description: str,
    names: tuple[str, str, str],
    drawn: tuple[_Points, _Points, Sequence[tuple[float, float, str]]],
) -> Figure:
    """Draws one diagram: a curve, what chance gives, and marks with their words."""
    drawing = Drawing(_LEFT + _SIDE + _RIGHT, _TOP + _SIDE + 50)
    (heading, x_name, y_name), (curve, chance, marks) = names, drawn
    drawing.text(_LEFT, 20, heading, "label strong")
    _AXES.draw(drawing, _TICKS, _TICKS, x_name, y_name)
    drawing.polyline([(_AXES.x(x), _AXES.y(y)) for x, y in chance], "curve diagonal")
    placed = np.array([(_AXES.x(x), _AXES.y(y)) for x, y in curve])
    drawing.polyline(_thinned(placed), "curve s0")
    for x, y, tip in marks:
        drawing.dot(_AXES.x(x), _AXES.y(y), 6, "dot s1", tip)
    return drawing.figure(name, title, description)


def _thinned(points: np.ndarray) -> list[tuple[float, float]]:
    """Returns the points that can be told apart, and the last one."""
    kept = [points[0]]
    for point in points[1:]:
        if np.abs(point - kept[-1]).max() >= _NEAR:
            kept.append(point)
    return [(float(x), float(y)) for x, y in [*kept, points[-1]]]
