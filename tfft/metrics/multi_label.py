"""Metrics of a head that gives an image any number of labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_SMALLEST = 1e-7


def multi_label_metrics(
    probabilities: np.ndarray, labels: np.ndarray, label_names: Sequence[str]
) -> dict[str, Any]:
    """Returns the metrics of one head.

    Args:
        probabilities: Predicted probabilities, float [examples, labels].
        labels: True labels, float [examples, labels], 0 or 1.
        label_names: Names of the labels, in the order of the columns.

    Returns:
        ``loss`` (mean binary cross-entropy), ``f1`` (of each image at one half, averaged; 1 where
        no label is true and none predicted), ``macro_f1`` (of each label, averaged over those that
        occur), ``exact`` (share of images with every label right), ``map`` (mean average precision
        over the labels that occur) and ``per_label`` (label, examples, f1, average_precision).
    """
    truth, predicted = labels > 0.5, probabilities > 0.5
    occurs = truth.sum(axis=0) > 0
    limited = np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    of_label = _f1(truth, predicted, axis=0, empty=0.0)
    precision = [_average_precision(truth[:, k], probabilities[:, k]) for k in range(len(occurs))]
    return {
        "loss": float(-np.where(truth, np.log(limited), np.log(1 - limited)).mean()),
        "f1": float(_f1(truth, predicted, axis=1, empty=1.0).mean()),
        "macro_f1": float(np.mean(of_label[occurs])) if occurs.any() else None,
        "exact": float((truth == predicted).all(axis=1).mean()),
        "map": float(np.mean([p for p in precision if p is not None])) if occurs.any() else None,
        "per_label": [
            {
                "label": name,
                "examples": int(truth[:, k].sum()),
                "f1": float(of_label[k]) if occurs[k] else None,
                "average_precision": precision[k],
            }
            for k, name in enumerate(label_names)
        ],
    }


def _f1(truth: np.ndarray, predicted: np.ndarray, axis: int, empty: float) -> np.ndarray:
    """Returns F1 along an axis, and `empty` where nothing is true and nothing predicted."""
    right = (truth & predicted).sum(axis=axis)
    either = truth.sum(axis=axis) + predicted.sum(axis=axis)
    return np.where(either > 0, 2.0 * right / np.maximum(either, 1), empty)


def _average_precision(truth: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Returns the average precision of one label; None if it does not occur."""
    from sklearn.metrics import average_precision_score

    if not truth.any():
        return None
    return float(average_precision_score(np.asarray(truth, int), probabilities))
