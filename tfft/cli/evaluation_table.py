"""An evaluation as tables: the metrics, the classes or labels, confusions, thresholds."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from tfft.cli.output import new_table
from tfft.metrics.heads import METRIC_NAMES
from tfft.metrics.threshold_curves import ThresholdCurve
from tfft.runtime.info import GOALS

if TYPE_CHECKING:
    from tfft.evaluation.evaluate import Evaluation

_ROWS = 5
# Number of classes up to which every one has a row.
_ALL_CLASSES = 20
_OF_A_CLASS = ("recall", "precision", "f1", "average_precision")
# Shares of precision and recall at which the thresholds of a class are shown.
_SHARES = (0.5, 0.8, 0.9, 0.95, 0.99)
_SIDES = ("value", "left_out")


def evaluation_tables(evaluation: "Evaluation") -> list[Table]:
    """Returns for each head tables of its metrics, its classes or labels, and its thresholds."""
    tables = []
    for head, metrics in evaluation.metrics.items():
        title = f"{evaluation.model}, {evaluation.split}, {evaluation.examples:,} images"
        title = title if len(evaluation.metrics) == 1 else f"{title}: {head}"
        tables.append(_metrics_table(title, metrics))
        if "confusion" in metrics:
            tables += [_classes(metrics), _confusions(metrics)]
        if "per_label" in metrics:
            tables.append(_labels(metrics))
        tables.append(_operating_points(metrics.get("operating_points", ())))
        tables += [_curve(label, curve) for label, curve in metrics.get("curves", {}).items()]
    if evaluation.unsure:
        tables += [_unsure(evaluation.unsure), _others(evaluation.unsure)]
    return [table for table in tables if table.row_count]


def _metrics_table(title: str, metrics: dict[str, Any]) -> Table:
    table = new_table(["metric"], ["value"], title, show_header=False)
    table.add_column("remark")
    for name, shown in METRIC_NAMES.items():
        if metrics.get(name) is not None:
            interval = metrics.get(f"{name}_interval")
            remark = "95 % interval {:.4f} … {:.4f}".format(*interval) if interval else ""
            table.add_row(shown, f"{metrics[name]:.4f}", remark)
    return table


def _unsure(unsure: dict[str, Any]) -> Table:
    """A row for each head: its main metric where the model is sure, and where it is not."""
    title = f"sure of {unsure['coverage']:.1%} of the images (set to {unsure['keep']:.0%})"
    table = new_table(["head", "metric"], ["where sure", "where unsure"], title)
    for head, side in unsure["kept"].items():
        values = ("-" if side[name] is None else f"{side[name]:.4f}" for name in _SIDES)
        table.add_row(head, METRIC_NAMES[side["metric"]], *values)
    return table


def _others(unsure: dict[str, Any]) -> Table:
    table = new_table(["images of"], ["images", "unsure", "AUROC"], "other images")
    for row in unsure["others"]:
        share = f"{row['caught']:.1%}"
        table.add_row(row["name"], f"{row['examples']:,}", share, f"{row['auroc']:.4f}")
    return table


def _classes(metrics: dict[str, Any]) -> Table:
    """Returns all classes, or of many those with errors that are recognised least; worst first."""
    rows = [row for row in metrics["per_class"] if row["examples"]]
    every = len(metrics["per_class"]) <= _ALL_CLASSES
    shown = [row for row in rows if every or row["recall"] < 1]
    shown = sorted(shown, key=lambda row: row["recall"])[: None if every else _ROWS]
    columns = ["images", "recall", "precision", "F1", "AP"]
    table = new_table(["class"], columns, "classes" if every else "worst classes")
    for row in shown:
        table.add_row(row["label"], f"{row['examples']:,}", *map(_share, map(row.get, _OF_A_CLASS)))
    return table


def _labels(metrics: dict[str, Any]) -> Table:
    columns = ["images", "threshold", "recall", "precision", "F1", "AP"]
    table = new_table(["label"], columns, "labels")
    for row in metrics["per_label"]:
        values = map(_share, map(row.get, ("threshold", *_OF_A_CLASS)))
        table.add_row(row["label"], f"{row['examples']:,}", *values)
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _confusions(metrics: dict[str, Any]) -> Table:
    table = new_table(["images of", "taken for"], ["times"], "most confused")
    labels = [row["label"] for row in metrics["per_class"]]
    counts = np.array(metrics["confusion"], dtype=np.int64)
    np.fill_diagonal(counts, 0)
    for position in np.argsort(-counts, axis=None, kind="stable")[:_ROWS]:
        true, predicted = np.unravel_index(position, counts.shape)
        if counts[true, predicted]:
            table.add_row(labels[true], labels[predicted], f"{counts[true, predicted]:,}")
    return table


def _operating_points(points: Sequence[Mapping[str, Any]]) -> Table:
    """Returns what each operating point, chosen on validation images, gives on these."""
    columns = ["threshold", "precision", "95 %", "recall", "95 %"]
    table = new_table(["class", "chosen for"], columns, "operating points")
    for point in points:
        shares = []
        for goal in GOALS:
            value, interval = point[goal], point[f"{goal}_interval"]
            shares += (
                ["-", ""]
                if value is None
                else [f"{value:.3f}", "{:.2f} … {:.2f}".format(*interval)]
            )
        asked = f"{point['goal']} {point['at_least']:g}"
        table.add_row(point["label"], asked, f"{point['threshold']:.4f}", *shares)
    return table


def _curve(label: str, curve: Mapping[str, Any]) -> Table:
    """Returns what has to be given up for each precision and recall of a class."""
    found = ThresholdCurve.from_json(curve)
    area = [
        f"{name} {value:.4f}"
        for name, value in (("AUC", found.auc), ("average precision", found.average_precision))
        if value is not None
    ]
    title = ", ".join([f"thresholds of {label}, {found.positives:,} images", *area])
    columns = ["threshold", "precision", "recall", "false positive rate"]
    table = new_table(["at least"], columns, title)
    for goal, share in product(GOALS, _SHARES):
        position = found.reaching(goal, share)
        asked = f"{goal} {share:g}"
        if position is None:
            table.add_row(asked, *["-"] * len(columns))
            continue
        table.add_row(
            asked,
            f"{found.threshold(position):.4f}",
            f"{found.precision[position]:.3f}",
            f"{found.recall[position]:.3f}",
            f"{found.false_positive_rate[position]:.4f}" if found.negatives else "-",
        )
    return table
