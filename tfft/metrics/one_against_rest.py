"""Metrics of each class or label against all others."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfft.metrics.threshold_curves import threshold_curve

# Metrics of one class, and the name of their mean over the classes that occur.
_MEANS = {
    "precision": "macro_precision",
    "recall": "macro_recall",
    "f1": "macro_f1",
    "auc": "macro_auc",
    "average_precision": "map",
}


def class_metrics(
    truth: np.ndarray, predicted: np.ndarray, scores: np.ndarray
) -> dict[str, float | None]:
    """Returns the metrics of one class or label against all others.

    Args:
        truth: Where it is true, bool [examples].
        predicted: Where it is predicted, bool [examples].
        scores: How strongly it is predicted, float [examples].

    Returns:
        ``precision`` (None where it is never predicted), ``recall``, ``f1``, ``auc`` (area under
        the ROC curve, equal scores half each) and ``average_precision`` (the precision at each
        score, weighted by the growth of recall); None where no example has it, and ``auc`` also
        where every example has.
    """
    positives, said = int(truth.sum()), int(predicted.sum())
    right = int((truth & predicted).sum())
    curve = threshold_curve(truth, scores)
    return {
        "precision": right / said if said else None,
        "recall": right / positives if positives else None,
        "f1": 2 * right / (positives + said) if positives else None,
        "auc": curve.auc,
        "average_precision": curve.average_precision,
    }


def macro_metrics(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Returns the mean of each metric over the classes or labels that occur.

    Args:
        rows: Metrics of each, as `class_metrics` gives them. The precision of one that occurs and
            is never predicted counts as 0.

    Returns:
        ``macro_precision``, ``macro_recall``, ``macro_f1``, ``macro_auc`` and ``map`` (mean average
        precision); None where there is none to average.
    """
    occur = [row for row in rows if row["recall"] is not None]
    counted = [{**row, "precision": row["precision"] or 0.0} for row in occur]
    known = {name: [row[name] for row in counted if row[name] is not None] for name in _MEANS}
    return {
        mean: float(np.mean(known[name])) if known[name] else None for name, mean in _MEANS.items()
    }
