"""What the report says of one head: figures, tables, pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfft.evaluation.calibrate import HeadCalibration
from tfft.metrics.boxes import iou
from tfft.metrics.calibration import at_temperature, expected_calibration_error
from tfft.metrics.heads import METRIC_NAMES, head_metrics
from tfft.reports.confusion import ClassRow, Pair, class_rows, confusion_figure, most_confused
from tfft.reports.drawing import Figure
from tfft.reports.gallery import Picture
from tfft.reports.names import display_names, percent
from tfft.reports.numbers import overlap_figure, scatter_figure
from tfft.reports.reliability import reliability_figure
from tfft.runtime.info import HeadInfo

_PAIRS = 20
# Figures that open the section of a head, those that there are.
_TILES = {
    "classification": ("top1", "top5", "mean_class_accuracy", "ece"),
    "multi_label": ("f1", "macro_f1", "map", "exact"),
    "regression": ("mae", "rmse", "r2"),
    "box": ("mean_iou", "iou_0.5", "iou_0.75"),
}
# Figures that are no shares of the images.
_NO_SHARES = frozenset({"mae", "rmse", "r2", "loss", "mean_iou"})


@dataclass(frozen=True)
class Tile:
    """A figure with its name, and what is to be known about it."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class HeadReport:
    """The section of one head.

    Attributes:
        name: of the head; kind: of `HeadInfo`.
        summary: its main result in a sentence.
        tiles: its figures.
        labels: names of its classes as they are shown.
        calibration: its temperature; None where there is none.
        reliability, confusion, numbers: figures that its kind has.
        pairs: most confused classes; classes: figures of each.
        per_label: of a multi_label head.
        mistakes: with photos; `explained` is the method of the maps over them, or "".
    """

    name: str
    kind: str
    summary: str
    tiles: tuple[Tile, ...]
    labels: tuple[str, ...]
    calibration: HeadCalibration | None = None
    reliability: Figure | None = None
    confusion: Figure | None = None
    numbers: Figure | None = None
    pairs: Sequence[Pair] = ()
    classes: Sequence[ClassRow] = ()
    per_label: Sequence[dict[str, Any]] = ()
    mistakes: Sequence[Picture] = field(default=(), repr=False)
    explained: str = ""

    @property
    def figures(self) -> list[Figure]:
        """The figures that there are, in the order in which they are shown."""
        return [f for f in (self.reliability, self.confusion, self.numbers) if f is not None]


def head_report(
    name: str,
    head: HeadInfo,
    answers: np.ndarray,
    targets: np.ndarray,
    calibration: HeadCalibration | None,
    mistakes: Sequence[Picture],
    explained: str,
    *,
    trained_on: bool = False,
) -> HeadReport:
    """Computes the section of a head.

    Args:
        name: of the head.
        head: its kind and classes.
        answers: as `Predictor.answers` gives them, as trained.
        targets: as `tfft.evaluation.data.targets_of_model` gives them.
        calibration: of the head, if there is one.
        mistakes: with their pictures.
        explained: by which method.
        trained_on: the head was trained on these images: its figures have no intervals, which
            would say something of other images.
    """
    labels = display_names(head.class_names)
    metrics = head_metrics(head, answers, targets)
    found: dict[str, Any] = {"mistakes": mistakes, "explained": explained if mistakes else ""}
    tiles = [
        _tile(key, metrics, trained_on) for key in _TILES[head.kind] if metrics.get(key) is not None
    ]
    if head.kind == "classification":
        counts = np.array(metrics["confusion"], np.int64)
        temperature = calibration.temperature if calibration and calibration.fitted else None
        found |= {
            "calibration": calibration,
            "reliability": reliability_figure(name, answers, targets, temperature),
            "confusion": confusion_figure(name, counts, labels),
            "pairs": most_confused(counts, labels, _PAIRS),
            "classes": class_rows(counts, labels),
        }
        if temperature is not None:
            tiles[-1] = _calibrated_tile(tiles[-1], answers, targets, temperature)
    elif head.kind == "multi_label":
        shown = zip(metrics["per_label"], labels, strict=True)
        found["per_label"] = [{**row, "label": label} for row, label in shown]
    elif head.kind == "regression":
        known = np.isfinite(targets[:, 0])
        if known.any():
            found["numbers"] = scatter_figure(name, answers[known, 0], targets[known, 0])
    else:
        known = np.isfinite(targets).all(axis=1)
        if known.any():
            found["numbers"] = overlap_figure(name, iou(answers[known], targets[known]))
    summary = _summary(head, metrics, len(targets), trained_on)
    return HeadReport(name, head.kind, summary, tuple(tiles), labels, **found)


def _tile(key: str, metrics: dict[str, Any], trained_on: bool) -> Tile:
    text = _text(key, metrics[key])
    interval = metrics.get(f"{key}_interval")
    remark = ""
    if interval is not None and not trained_on:
        remark = f"95 % interval {_text(key, interval[0])} to {_text(key, interval[1])}"
    return Tile(METRIC_NAMES[key], text, remark)


def _text(key: str, value: float) -> str:
    if key == "ece":
        return f"{value:.3f}"
    return f"{value:.4g}" if key in _NO_SHARES else percent(value)


def _calibrated_tile(
    tile: Tile, answers: np.ndarray, targets: np.ndarray, temperature: float
) -> Tile:
    scaled = expected_calibration_error(at_temperature(answers, temperature), targets)
    return Tile(tile.name, tile.value, f"{_text('ece', scaled)} at temperature {temperature:.3f}")


def _summary(head: HeadInfo, metrics: dict[str, Any], examples: int, trained_on: bool) -> str:
    if head.kind == "classification":
        right = round(metrics["top1"] * examples)
        text = f"{right:,} of {examples:,} images right: {percent(metrics['top1'])}"
        if trained_on:
            return f"{text}, of images that it was trained on."
        low, high = metrics["top1_interval"]
        return (
            f"{text}, and with 95 % confidence between {percent(low)} and {percent(high)} "
            "on images like these."
        )
    if head.kind == "multi_label":
        return f"On {examples:,} images all labels are right for {percent(metrics['exact'])}."
    if head.kind == "regression" and metrics["mae"] is not None:
        return f"On {metrics['examples']:,} images off by {metrics['mae']:.4g} on average."
    if head.kind == "box" and metrics["mean_iou"] is not None:
        return f"{metrics['examples']:,} boxes overlap the true ones by {metrics['mean_iou']:.2f}."
    return "None of these images says what is true."
