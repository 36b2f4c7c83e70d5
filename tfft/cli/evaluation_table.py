"""An evaluation as tables: the metrics, the worst classes and confusions, or each label."""

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from tfft.cli.output import new_table
from tfft.metrics.heads import METRIC_NAMES

if TYPE_CHECKING:
    from tfft.evaluation.evaluate import Evaluation

_ROWS = 5


def evaluation_tables(evaluation: "Evaluation") -> list[Table]:
    """Returns for each head tables of its metrics, and of its worst classes or all its labels."""
    tables = []
    for head, metrics in evaluation.metrics.items():
        title = f"{evaluation.model}, {evaluation.split}, {evaluation.examples:,} images"
        title = title if len(evaluation.metrics) == 1 else f"{title}: {head}"
        tables.append(_metrics_table(title, metrics))
        if "confusion" in metrics:
            tables += [_worst_classes(metrics), _confusions(metrics)]
        if "per_label" in metrics:
            tables.append(_labels(metrics))
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


def _worst_classes(metrics: dict[str, Any]) -> Table:
    table = new_table(["class"], ["images", "accuracy"], "worst classes")
    with_errors = [row for row in metrics["per_class"] if row["examples"] and row["accuracy"] < 1]
    for row in sorted(with_errors, key=lambda row: row["accuracy"])[:_ROWS]:
        table.add_row(row["label"], f"{row['examples']:,}", f"{row['accuracy']:.3f}")
    return table


def _labels(metrics: dict[str, Any]) -> Table:
    shown = ("threshold", "precision", "recall", "f1", "average_precision")
    columns = ["images", "threshold", "precision", "recall", "F1", "AP"]
    table = new_table(["label"], columns, "labels")
    for row in metrics["per_label"]:
        values = ("-" if row[name] is None else f"{row[name]:.3f}" for name in shown)
        table.add_row(row["label"], f"{row['examples']:,}", *values)
    return table


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
