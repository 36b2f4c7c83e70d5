"""What the report says of one head: metrics, tables, figures, photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfft.evaluation.calibrate import HeadCalibration
from tfft.metrics.boxes import iou
from tfft.metrics.calibration import at_temperature, expected_calibration_error
from tfft.metrics.heads import METRIC_NAMES, class_curve, head_metrics
from tfft.reports.confusion import ClassRow, Pair, class_rows, confusion_figure, most_confused
from tfft.reports.drawing import Figure
from tfft.reports.gallery import Picture
from tfft.reports.names import display_names, percent
from tfft.reports.numbers import overlap_figure, scatter_figure
from tfft.reports.reliability import reliability_figure
from tfft.reports.threshold_curves import ThresholdFigures, threshold_figures
from tfft.runtime.info import HeadInfo

_PAIRS = 20
# Metrics at the beginning of the section of a head, as far as they are known.
_TILES = {
    "classification": ("top1", "top5", "mean_class_accuracy", "ece"),
    "multi_label": ("f1", "macro_f1", "map", "exact"),
    "regression": ("mae", "rmse", "r2"),
    "box": ("mean_iou", "iou_0.5", "iou_0.75"),
}
# Metrics that are not shares of the images.
_NO_SHARES = frozenset({"mae", "rmse", "r2", "loss", "mean_iou"})


@dataclass(frozen=True)
class Tile:
    """A metric with its name, and a remark about it."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class HeadReport:
    """The section of one head.

    Attributes:
        name: Name of the head.
        kind: Kind of the head, as in `HeadInfo`.
        summary: Its main result in a sentence.
        tiles: Its metrics.
        labels: Names of its classes as they are shown.
        calibration: Its calibration; None if there is none.
        reliability: Reliability diagram of a head that classifies.
        confusion: Confusion matrix of a head that classifies.
        numbers: Figure of a head that gives numbers or boxes.
        pairs: Most confused pairs of classes.
        classes: Metrics of each class.
        per_label: Metrics of each label of a multi_label head.
        thresholds: Curves over all thresholds of the classes that matter.
        operating_points: What the operating points give, in a sentence each.
        mistakes: Mistakes with their photos.
        explained: Method of the maps over the photos; "" if there are none.
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
    thresholds: Sequence[ThresholdFigures] = ()
    operating_points: Sequence[str] = ()
    mistakes: Sequence[Picture] = field(default=(), repr=False)
    explained: str = ""

    @property
    def figures(self) -> list[Figure]:
        """The figures of the head, in the order in which they are shown."""
        single = (self.reliability, self.confusion, self.numbers)
        of_classes = [f for each in self.thresholds for f in (each.precision_recall, each.roc)]
        return [*(figure for figure in single if figure is not None), *of_classes]


def head_report(
    name: str,
    head: HeadInfo,
    answers: np.ndarray,
    targets: np.ndarray,
    calibration: HeadCalibration | None,
    mistakes: Sequence[Picture],
    explained: str,
    *,
    classes: Sequence[str] = (),
    trained_on: bool = False,
) -> HeadReport:
    """Computes the section of a head.

    Args:
        name: Name of the head.
        head: Description of the head.
        answers: Answers as trained, as `Predictor.answers` gives them.
        targets: Targets, as `tfft.evaluation.data.targets_of_model` gives them.
        calibration: Calibration of the head; None if there is none.
        mistakes: Mistakes with their photos.
        explained: Method of the maps over the photos.
        classes: Classes that matter, of this head or of others. Default: those with an operating
            point, or else the one with the lowest average precision.
        trained_on: Whether the head was trained on these images; its metrics then have no
            intervals, which would be about other images.
    """
    labels = display_names(head.class_names)
    metrics = head_metrics(head, answers, targets)
    remarks: dict[str, str] = {}
    found: dict[str, Any] = {"mistakes": mistakes, "explained": explained if mistakes else ""}
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
            scaled = expected_calibration_error(at_temperature(answers, temperature), targets)
            remarks["ece"] = f"{_text('ece', scaled)} at temperature {temperature:.3f}"
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
    if head.class_names:
        shown_as = dict(zip(head.class_names, labels, strict=True))
        points = {point["label"]: point for point in metrics.get("operating_points", ())}
        matter = [c for c in classes if c in shown_as] or list(points) or _hardest_class(metrics)
        curves = {label: class_curve(head, answers, targets, label) for label in matter}
        found["thresholds"] = [
            threshold_figures(
                f"{name}-{head.class_names.index(label)}",
                shown_as[label],
                curve,
                points.get(label),
            )
            for label, curve in curves.items()
            if curve.positives and curve.negatives
        ]
        found["operating_points"] = [
            _point_sentence(shown_as[label], point, trained_on) for label, point in points.items()
        ]
    summary = _summary(head, metrics, len(targets), trained_on)
    tiles = []
    for key in (key for key in _TILES[head.kind] if metrics.get(key) is not None):
        interval = metrics.get(f"{key}_interval")
        if interval is not None and not trained_on:
            remarks[key] = (
                f"95 % interval {_text(key, interval.low)} to {_text(key, interval.high)}"
            )
        tiles.append(Tile(METRIC_NAMES[key], _text(key, metrics[key]), remarks.get(key, "")))
    return HeadReport(name, head.kind, summary, tuple(tiles), labels, **found)


def _hardest_class(metrics: dict[str, Any]) -> list[str]:
    """Returns the class with the lowest average precision, if images of it and of others exist."""
    rows = metrics.get("per_class") or metrics["per_label"]
    known = [row for row in rows if row["auc"] is not None]
    return [min(known, key=lambda row: row["average_precision"])["label"]] if known else []


def _point_sentence(label: str, point: Mapping[str, Any], trained_on: bool) -> str:
    """Returns what an operating point was chosen for, and what it gives on these images."""
    given = []
    for goal in ("precision", "recall"):
        if point[goal] is None:
            given.append(f"no {goal}")
            continue
        low, high = map(percent, point[f"{goal}_interval"])
        interval = "" if trained_on else f" (95\N{NO-BREAK SPACE}% interval {low} to {high})"
        given.append(f"{goal} {percent(point[goal])}{interval}")
    return (
        f"{label} is said above {percent(point['threshold'])}, chosen on validation images for a "
        f"{point['goal']} of at least {percent(point['at_least'])}. Here: {', '.join(given)}, of "
        f"{point['examples']:,} images of it and {point['said']:,} said to be."
    )


def _text(key: str, value: float) -> str:
    if key == "ece":
        return f"{value:.3f}"
    return f"{value:.4g}" if key in _NO_SHARES else percent(value)


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
