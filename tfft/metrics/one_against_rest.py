"""Metrics of each class or label against all others."""

from collections.abc import Sequence
from typing import Any

import numpy as np

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
    auc, average_precision = _over_all_thresholds(truth, scores)
    return {
        "precision": right / said if said else None,
        "recall": right / positives if positives else None,
        "f1": 2 * right / (positives + said) if positives else None,
        "auc": auc,
        "average_precision": average_precision,
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


def _over_all_thresholds(
    truth: np.ndarray, scores: np.ndarray
) -> tuple[float | None, float | None]:
    """Returns the area under the ROC curve and the average precision."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    # A threshold lies between two scores that differ, and after the last one.
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(truth[order])[ends].astype(np.float64)
    false_alarms = ends + 1.0 - hits
    positives, negatives = hits[-1], false_alarms[-1]
    if not positives:
        return None, None
    precision = hits / (hits + false_alarms)
    average_precision = float(np.diff(hits, prepend=0.0) @ precision / positives)
    if not negatives:
        return None, average_precision
    heights = (hits + np.append(0.0, hits[:-1])) / 2
    area = float(np.diff(false_alarms, prepend=0.0) @ heights)
    return area / (positives * negatives), average_precision
