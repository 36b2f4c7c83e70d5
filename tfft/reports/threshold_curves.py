"""What each threshold of a class gives: its precision-recall and ROC curves beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfft.metrics.threshold_curves import ThresholdCurve
from tfft.reports.drawing import Axes, Drawing, Figure, Scale
from tfft.reports.names import percent

_PANEL, _SIDE, _LEFT, _TOP = 430, 320, 62, 54
_HEIGHT = _TOP + _SIDE + 50
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# Points of a curve that are nearer than this cannot be told apart, in pixels.
_NEAR = 0.5
# Precision at which the recall is told of a class without an operating point.
_SPOKEN = 0.95

_Points = Sequence[tuple[float, float]]


def threshold_figure(
    name: str, label: str, curve: ThresholdCurve, point: Mapping[str, Any] | None
) -> Figure:
    """Draws the curves of a class against all others.

    Between two probabilities, precision is drawn as average precision counts it, in steps, and the
    ROC curve as its area is, as a straight line.

    Args:
        name: Name of the figure's file.
        label: Name of the class as it is shown.
        curve: Its curve, over images of it and of others.
        point: Its entry in ``operating_points`` of the metrics, which is marked; None: it has none.
    """
    recall, precision = curve.recall, curve.precision
    false_positive_rate = curve.false_positive_rate
    examples = curve.positives + curve.negatives
    drawing = Drawing(2 * _PANEL, _HEIGHT)
    common = curve.positives / examples
    steps = [
        corner
        for before, after, height in zip([0.0, *recall[:-1]], recall, precision, strict=True)
        for corner in ((float(before), float(height)), (float(after), float(height)))
    ]
    _panel(
        drawing,
        0,
        (f"average precision {curve.average_precision:.3f}", "recall", "precision"),
        steps,
        ((0.0, common), (1.0, common)),
    )
    straight = [(0.0, 0.0), *zip(false_positive_rate.tolist(), recall.tolist(), strict=True)]
    _panel(
        drawing,
        _PANEL,
        (f"AUC {curve.auc:.3f}", "false positive rate", "recall (true positive rate)"),
        straight,
        ((0.0, 0.0), (1.0, 1.0)),
    )
    spoken = [
        f"Of {examples:,} images {curve.positives:,} are of {label}. Left: precision against "
        "recall over all thresholds; right: recall against the false positive rate. Dashed: what "
        "chance gives."
    ]
    if point is not None and point["precision"] is not None:
        false_alarms = point["said"] - round(point["precision"] * point["said"])
        tip = f"above {percent(point['threshold'])}: the operating point"
        marks = (
            (0, point["recall"], point["precision"]),
            (_PANEL, false_alarms / curve.negatives, point["recall"]),
        )
        for x0, x, y in marks:
            axes = _axes(x0)
            drawing.dot(axes.x(x), axes.y(y), 6, "dot s1", tip)
        spoken.append(f"The dot is the operating point, above {percent(point['threshold'])}.")
    elif (position := curve.reaching("precision", _SPOKEN)) is not None:
        spoken.append(
            f"With a precision of at least {_SPOKEN:g} the recall is at most "
            f"{percent(float(recall[position]))}."
        )
    return drawing.figure(name, f"Thresholds of {label}", " ".join(spoken))


def _axes(x0: float) -> Axes:
    x = Scale(0, 1, x0 + _LEFT, x0 + _LEFT + _SIDE)
    return Axes(x, Scale(0, 1, _TOP + _SIDE, _TOP))


def _panel(
    drawing: Drawing, x0: float, names: tuple[str, str, str], curve: _Points, chance: _Points
) -> None:
    """Draws one diagram, with its title and the names of its axes."""
    axes, (title, x_name, y_name) = _axes(x0), names
    drawing.text(axes.x.start, 20, title, "label strong")
    axes.draw(drawing, _TICKS, _TICKS, x_name, y_name)
    drawing.polyline([(axes.x(x), axes.y(y)) for x, y in chance], "curve diagonal")
    placed = np.array([(axes.x(x), axes.y(y)) for x, y in curve])
    drawing.polyline(_thinned(placed), "curve s0")


def _thinned(points: np.ndarray) -> list[tuple[float, float]]:
    """Returns the points that can be told apart, and the last one."""
    kept = [points[0]]
    for point in points[1:]:
        if np.abs(point - kept[-1]).max() >= _NEAR:
            kept.append(point)
    return [(float(x), float(y)) for x, y in [*kept, points[-1]]]
