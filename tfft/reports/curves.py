"""The curves of a training: loss, metric and learning rate over the epochs of all phases."""

import math
from collections.abc import Mapping, Sequence

from tfft.reports.drawing import Axes, Drawing, Figure, Scale, round_ticks

_WIDTH, _HEIGHT = 500, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 84, 34, 50
_NAMES = {
    "loss": "loss",
    "top1": "top-1 accuracy",
    "f1": "F1",
    "mae": "mean absolute error",
    "mean_iou": "mean IoU",
}

Row = Mapping[str, float]


def curve_figures(rows: Sequence[Row], head: str) -> list[Figure]:
    """Draws the curves of a head, one figure for each metric; none for a single epoch."""
    if len(rows) < 2:
        return []
    names = dict.fromkeys(
        column.split("/")[2] for row in rows for column in row if column.split("/")[1:2] == [head]
    )
    figures = []
    for name in names:
        series = {part: _values(rows, f"{part}/{head}/{name}") for part in ("train", "validation")}
        shown = _NAMES.get(name, name.replace("_", " "))
        figures.append(_figure(f"curve-{head}-{name}", shown, series, rows))
    return figures


def learning_rate_figure(rows: Sequence[Row]) -> Figure | None:
    """Draws the learning rate at the end of each epoch; None where no learning rate was used."""
    values = _values(rows, "learning_rate")
    if sum(math.isfinite(value) for value in values) < 2:
        return None
    return _figure("curve-learning-rate", "learning rate", {"rate": values}, rows)


def _values(rows: Sequence[Row], column: str) -> list[float]:
    return [row.get(column, math.nan) for row in rows]


def _figure(
    name: str, shown: str, series: Mapping[str, Sequence[float]], rows: Sequence[Row]
) -> Figure:
    drawing = Drawing(_WIDTH, _HEIGHT)
    finite = [v for values in series.values() for v in values if math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    room = 2.5 * margin  # above the curves, for the names of the phases
    axes = Axes(
        Scale(0.5, len(rows) + 0.5, _LEFT, _WIDTH - _RIGHT),
        Scale(low - margin, high + room, _HEIGHT - _BOTTOM, _TOP),
    )
    _phases(drawing, axes, rows)
    every = max(1, round(len(rows) / 8))
    axes.draw(
        drawing,
        [k for k in range(1, len(rows) + 1) if (k - 1) % every == 0],
        round_ticks(low - margin, high + room, 6),
        "epoch",
        shown,
    )
    _curves(drawing, axes, series)
    title = f"{shown[0].upper()}{shown[1:]}"
    return drawing.figure(name, f"{title} by epoch", _spoken(title, series))


def _phases(drawing: Drawing, axes: Axes, rows: Sequence[Row]) -> None:
    """Shades every other phase and writes the numbers of all on top."""
    phases = [row["phase"] for row in rows]
    for phase in dict.fromkeys(phases):
        first = phases.index(phase) + 0.5
        last = len(phases) - phases[::-1].index(phase) + 0.5
        if int(phase) % 2 == 0:
            width = axes.x(last) - axes.x(first)
            drawing.rect(axes.x(first), axes.y.end, width, axes.y.start - axes.y.end, "shade")
        middle = (axes.x(first) + axes.x(last)) / 2
        drawing.text(middle, axes.y.end + 14, f"phase {phase:.0f}", "tick", "middle")


def _curves(drawing: Drawing, axes: Axes, series: Mapping[str, Sequence[float]]) -> None:
    """Draws a curve for each series, with its name at its end, the names apart from each other."""
    ends = []
    for number, (label, values) in enumerate(series.items()):
        points = [(k, value) for k, value in enumerate(values, start=1) if math.isfinite(value)]
        if not points:
            continue
        placed = [(axes.x(k), axes.y(value)) for k, value in points]
        if len(placed) > 1:
            drawing.polyline(placed, f"curve s{number}")
        for (x, y), (k, value) in zip(placed, points, strict=True):
            drawing.dot(x, y, 3.5, f"dot s{number}", f"{label}, epoch {k}: {value:.4g}")
        ends.append((placed[-1][1], label, number))
    previous = -math.inf
    for y, label, number in sorted(ends):
        previous = max(y + 4, previous + 16)
        drawing.text(_WIDTH - _RIGHT + 8, previous, label, f"tick strong t{number}")


def _spoken(title: str, series: Mapping[str, Sequence[float]]) -> str:
    parts = []
    for label, values in series.items():
        known = [value for value in values if math.isfinite(value)]
        if known:
            parts.append(f"{label}: from {known[0]:.4g} to {known[-1]:.4g}")
    return f"{title} over {max(map(len, series.values()))} epochs. {'; '.join(parts)}."
