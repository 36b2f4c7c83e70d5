"""Reliability diagrams: how often a classifier is right, against how sure it is."""

import numpy as np

from tfft.metrics.calibration import (
    Bin,
    at_temperature,
    expected_calibration_error,
    reliability_bins,
)
from tfft.reports.drawing import Axes, Drawing, Figure, Scale

_PANEL, _SIDE, _LEFT, _TOP = 430, 320, 62, 54
_COUNTS = 62
_HEIGHT = _TOP + _SIDE + _COUNTS + 66
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def reliability_figure(
    head: str, probabilities: np.ndarray, labels: np.ndarray, temperature: float | None
) -> Figure:
    """Draws the diagram as trained and, with a temperature, a second one after scaling beside it.

    Args:
        head: Name of the head.
        probabilities: Predicted probabilities as trained, float [examples, classes].
        labels: True classes, int [examples].
        temperature: Temperature that was fitted on validation images; None if there is none.
    """
    panels = [("as trained", probabilities)]
    if temperature is not None:
        scaled = at_temperature(probabilities, temperature)
        panels.append((f"at temperature {temperature:.3f}", scaled))
    drawing = Drawing(_PANEL * len(panels), _HEIGHT)
    spoken = []
    for k, (name, values) in enumerate(panels):
        error = expected_calibration_error(values, labels)
        _panel(drawing, k * _PANEL, f"{name}: ECE {error:.3f}", reliability_bins(values, labels))
        spoken.append(f"{error:.3f} {name}")
    description = (
        "Accuracy against confidence in 15 bins; on the diagonal a model is as often right as it "
        f"says. Expected calibration error {'; '.join(spoken)}."
    )
    return drawing.figure(f"reliability-{head}", "Reliability diagram", description)


def _panel(drawing: Drawing, x0: float, title: str, bins: tuple[Bin, ...]) -> None:
    x = Scale(0, 1, x0 + _LEFT, x0 + _LEFT + _SIDE)
    axes = Axes(x, Scale(0, 1, _TOP + _SIDE, _TOP))
    drawing.text(x.start, 20, title, "label strong")
    width = (x.end - x.start) / len(bins)
    axes.draw(drawing, (), _TICKS, "", "accuracy")
    for b in bins:
        if b.accuracy is not None and b.confidence is not None:
            _bar(drawing, axes, b, width)
    drawing.line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), "diagonal")
    counts = Scale(0, max(b.examples for b in bins) or 1, 0, _COUNTS - 12)
    base = _TOP + _SIDE + _COUNTS
    for b in bins:
        height = counts(b.examples)
        if b.examples:
            drawing.rect(
                x(b.low) + 1, base - height, width - 2, height, "bar", f"{b.examples:,} images"
            )
    drawing.line(x.start, base, x.end, base, "axis")
    drawing.text(x.start - 8, base - 4, "images", "tick", "end")
    for value in _TICKS:
        drawing.text(x(value), base + 18, f"{value:g}", "tick", "middle")
    drawing.text((x.start + x.end) / 2, base + 38, "confidence", "tick", "middle")


def _bar(drawing: Drawing, axes: Axes, b: Bin, width: float) -> None:
    accuracy, confidence = b.accuracy or 0.0, b.confidence or 0.0
    tip = (
        f"confidence {b.low:.2f} to {b.high:.2f}: {b.examples:,} images, "
        f"said {confidence:.3f}, right {accuracy:.3f}"
    )
    left, right, said = axes.x(b.low) + 1.5, axes.y(accuracy), axes.y(confidence)
    lower, upper = max(right, said), min(right, said)
    drawing.rect(left, lower, width - 3, axes.y(0) - lower, "cell trained", tip)
    kind = "gap sure" if confidence > accuracy else "gap unsure"
    drawing.rect(left, upper, width - 3, lower - upper, kind, tip)
