"""Which classes are taken for which: the matrix, the most confused pairs, the metrics by class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfft.reports.contrast import Colour, contrast, over
from tfft.reports.drawing import Drawing, Figure, Scale

# The matrix is as large as its rows need, between these sides.
_ROW, _SIDES = 44, (300, 640)
_LETTERS = 24
# Number of classes from which on confused ones are put beside each other; with fewer, the order of
# the data is clearer.
_REORDERED_FROM = 21
# Numbers of classes up to which every row has its name, and every cell its count, in the figure.
_NAMED_UP_TO, _COUNTED_UP_TO = 140, 20
# Names of the usual size need rows of this many pixels; smaller names are read zoomed in.
_READABLE = 12
_MOST_CELLS = 20_000
# Colours of figures.css: the ground of the cells, the cells, the counts on them. On any colour,
# black or white has a contrast of 4.58 or more.
_FIELD: Colour = (0xF6, 0xF7, 0xFA)
_CELL_COLOURS: dict[str, Colour] = {"right": (0x24, 0x56, 0xC7), "wrong": (0xC2, 0x41, 0x0C)}
_COUNT_COLOURS: dict[str, Colour] = {"count": (0, 0, 0), "count light": (255, 255, 255)}


@dataclass(frozen=True)
class Pair:
    """Images of one class that were taken for another."""

    true: str
    said: str
    times: int
    share: float


@dataclass(frozen=True)
class ClassRow:
    """The metrics of one class; None where it has no images, or was never predicted.

    Attributes:
        name: Name of the class.
        images: Number of its images.
        recall: Share of its images that were recognised.
        precision: Share of the images predicted as this class that belong to it.
        f1: Harmonic mean of recall and precision.
        mistaken_for: Class that its images were most often taken for, and how many of them.
    """

    name: str
    images: int
    recall: float | None
    precision: float | None
    f1: float | None
    mistaken_for: tuple[str, int] | None


def most_confused(counts: np.ndarray, names: Sequence[str], most: int) -> list[Pair]:
    """Returns the pairs of classes that are confused most often.

    Args:
        counts: Confusion matrix, int [true, predicted].
        names: Names of the classes.
        most: Largest number of pairs to return.
    """
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    images = counts.sum(axis=1)
    pairs = []
    for place in np.argsort(-wrong, axis=None, kind="stable")[:most]:
        true, said = divmod(int(place), len(names))
        times = int(wrong[true, said])
        if times:
            pairs.append(Pair(names[true], names[said], times, times / int(images[true])))
    return pairs


def class_rows(counts: np.ndarray, names: Sequence[str]) -> list[ClassRow]:
    """Returns the metrics of each class, those recognised least first."""
    images, said, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    rows = []
    for k, name in enumerate(names):
        worst = int(wrong[k].argmax())
        rows.append(
            ClassRow(
                name,
                int(images[k]),
                recall=_share(right[k], images[k]),
                precision=_share(right[k], said[k]),
                f1=_share(2 * right[k], images[k] + said[k]),
                mistaken_for=(names[worst], int(wrong[k, worst])) if wrong[k, worst] else None,
            )
        )
    return sorted(rows, key=lambda row: (row.recall is None, row.recall or 0.0, row.name))


def confusion_figure(head: str, counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Draws the matrix: rows are true classes, columns predicted ones, colours shares of the row.

    Args:
        head: Name of the head.
        counts: Confusion matrix, int [true, predicted].
        names: Names of the classes.
    """
    order = _order(counts)
    shown = counts[np.ix_(order, order)]
    labels = [names[int(k)] for k in order]
    side = min(max(_ROW * len(labels), _SIDES[0]), _SIDES[1])
    margin = _margin(labels, side)
    drawing = Drawing(margin + side + 10, margin + side + 10)
    place = Scale(0, len(labels), margin, margin + side)
    drawing.rect(margin, margin, side, side, "field")
    _cells(drawing, shown, labels, place)
    if len(labels) <= _NAMED_UP_TO:
        _names(drawing, labels, place)
    drawing.text(margin - 8, margin - 26, "said →", "tick strong", "end")
    drawing.text(margin - 8, margin - 10, "true ↓", "tick strong", "end")
    right = float(np.trace(counts)) / max(int(counts.sum()), 1)
    pairs = most_confused(counts, names, 3)
    worst = "; ".join(f"{p.true} for {p.said} ({p.times:,})" for p in pairs)
    description = (
        f"{len(names)} by {len(names)} classes, {100 * right:.1f} % of the images on the "
        f"diagonal. Taken most often: {worst or 'none for another'}. The tables of pairs and "
        "classes say the same in text."
    )
    return drawing.figure(f"confusion-{head}", "Confusion matrix", description)


def _margin(labels: Sequence[str], side: float) -> float:
    """Returns the room in pixels for the names beside the rows and above the columns."""
    if len(labels) > _NAMED_UP_TO:
        return 60.0
    letters = min(max(map(len, labels)), _LETTERS)
    return max(60.0, 16 + letters * (2.2 if side / len(labels) < _READABLE else 6.6))


def _cells(drawing: Drawing, counts: np.ndarray, labels: Sequence[str], place: Scale) -> None:
    size = place(1) - place(0)
    images = np.maximum(counts.sum(axis=1), 1)
    rows, columns = np.nonzero(counts)
    if len(rows) > _MOST_CELLS:
        often = np.sort(np.argsort(-counts[rows, columns], kind="stable")[:_MOST_CELLS])
        rows, columns = rows[often], columns[often]
    gap = min(size * 0.06, 1.0)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        count, share = int(counts[row, column]), counts[row, column] / images[row]
        cell = "right" if row == column else "wrong"
        # A wrong cell is opaque from a share of a half on.
        opacity = round(0.12 + 0.88 * (share if cell == "right" else min(1.0, 2 * share)), 2)
        tip = f"{labels[row]} → {labels[column]}: {count:,} of {images[row]:,}"
        drawing.rect(
            place(column) + gap,
            place(row) + gap,
            size - 2 * gap,
            size - 2 * gap,
            cell,
            tip,
            fill_opacity=f"{opacity:.2f}",
        )
        if len(labels) <= _COUNTED_UP_TO:
            ground = over(_CELL_COLOURS[cell], opacity, _FIELD)
            kind = max(_COUNT_COLOURS, key=lambda kind: contrast(_COUNT_COLOURS[kind], ground))
            drawing.text(place(column + 0.5), place(row + 0.5) + 4, f"{count:,}", kind, "middle")


def _names(drawing: Drawing, labels: Sequence[str], place: Scale) -> None:
    readable = place(1) - place(0) >= _READABLE
    kind, shift = ("tick", 4.0) if readable else ("tick tiny", 1.4)
    for k, label in enumerate(labels):
        short = label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"
        drawing.text(place.start - 4, place(k + 0.5) + shift, short, kind, "end")
        drawing.text(place(k + 0.5) + shift, place.start - 4, short, kind, "start", turn=-90)


def _order(counts: np.ndarray) -> np.ndarray:
    """Returns an order that puts confused classes beside each other, by average linkage."""
    if len(counts) < _REORDERED_FROM:
        return np.arange(len(counts))
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    closeness = shares + shares.T
    distance = 1.0 - closeness / max(float(closeness.max()), 1e-9)
    np.fill_diagonal(distance, 0.0)
    return leaves_list(linkage(squareform(distance, checks=False), "average"))


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
