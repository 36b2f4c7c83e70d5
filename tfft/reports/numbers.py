"""Figures of heads that give numbers or boxes."""

import numpy as np

from tfft.reports.drawing import Axes, Drawing, Figure, Scale, round_ticks

_WIDTH, _HEIGHT = 480, 400
_LEFT, _TOP, _BOTTOM = 66, 46, 60
_MOST_DOTS = 3000
_IOU_BINS = 20


def scatter_figure(head: str, values: np.ndarray, targets: np.ndarray) -> Figure:
    """Draws what a regression head predicted against what is true.

    Args:
        head: Name of the head.
        values: Predicted numbers, float [n].
        targets: True numbers, float [n].
    """
    low = float(min(values.min(), targets.min()))
    high = float(max(values.max(), targets.max()))
    drawing, axes = Drawing(_WIDTH, _HEIGHT), _axes(low, high, low, high)
    chosen = np.linspace(0, len(values) - 1, min(len(values), _MOST_DOTS)).astype(int)
    ticks = round_ticks(low, high)
    axes.draw(drawing, ticks, ticks, "true", "said")
    drawing.line(axes.x(low), axes.y(low), axes.x(high), axes.y(high), "diagonal")
    for k in chosen:
        drawing.dot(axes.x(float(targets[k])), axes.y(float(values[k])), 2.5, "dot s0 faint")
    spread = float(np.abs(values - targets).mean())
    return drawing.figure(
        f"numbers-{head}",
        "Said against true",
        f"{len(values):,} images from {low:.4g} to {high:.4g}; off by {spread:.4g} on average.",
    )


def overlap_figure(head: str, overlaps: np.ndarray) -> Figure:
    """Draws how the predicted boxes overlap the true ones: a histogram of IoU, float [n]."""
    counts, edges = np.histogram(overlaps, _IOU_BINS, (0.0, 1.0))
    most = int(counts.max()) or 1
    drawing, axes = Drawing(_WIDTH, _HEIGHT), _axes(0.0, 1.0, 0.0, float(most))
    axes.draw(drawing, round_ticks(0, 1), round_ticks(0, most), "intersection over union", "images")
    for count, low, high in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        top, left = axes.y(count), axes.x(float(low))
        drawing.rect(
            left + 1,
            top,
            axes.x(float(high)) - left - 2,
            axes.y(0) - top,
            "cell trained",
            f"IoU {low:.2f} to {high:.2f}: {count:,} images",
        )
    return drawing.figure(
        f"boxes-{head}",
        "Overlap with the true boxes",
        f"{len(overlaps):,} boxes; half of them overlap by {np.median(overlaps):.2f} or more.",
    )


def _axes(x_low: float, x_high: float, y_low: float, y_high: float) -> Axes:
    return Axes(
        Scale(x_low, x_high, _LEFT, _WIDTH - 20), Scale(y_low, y_high, _HEIGHT - _BOTTOM, _TOP)
    )
