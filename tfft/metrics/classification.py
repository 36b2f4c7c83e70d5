"""Metrics of a classifier on labelled examples."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfft.metrics.calibration import expected_calibration_error
from tfft.metrics.intervals import wilson_interval
from tfft.metrics.one_against_rest import class_metrics, macro_metrics

_SMALLEST = 1e-12
_TOP = 5


def classification_metrics(
    probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Returns the metrics of one head.

    Args:
        probabilities: Predicted probabilities, float [examples, classes]; rows sum to 1.
        labels: True classes, int [examples], in 0..classes-1.
        class_names: Names of the classes, in the order of their labels.

    Returns:
        ``loss`` (mean cross-entropy), ``top1``, ``top1_interval`` (95 %, Wilson), ``top5`` (None
        for five classes or fewer, where it says nothing), ``mean_class_accuracy`` (over the classes
        that have examples), ``ece``, the means over classes of `macro_metrics`, ``per_class``
        (label, examples, accuracy, and what `class_metrics` gives; accuracy is recall) and
        ``confusion`` (counts [true][predicted]).
    """
    examples, classes = probabilities.shape
    ranks = _ranks_of_truth(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    counts = confusion.sum(axis=1)
    truth = probabilities[np.arange(examples), labels].astype(np.float64)
    correct = int((predicted == labels).sum())
    rows = [class_metrics(labels == k, predicted == k, probabilities[:, k]) for k in range(classes)]
    macro = macro_metrics(rows)
    return {
        "loss": float(-np.log(np.maximum(truth, _SMALLEST)).mean()),
        "top1": correct / examples,
        "top1_interval": wilson_interval(correct, examples),
        "top5": float((ranks < _TOP).mean()) if classes > _TOP else None,
        "mean_class_accuracy": macro["macro_recall"],
        "ece": expected_calibration_error(probabilities, labels),
        **macro,
        "per_class": [
            {"label": name, "examples": int(count), "accuracy": row["recall"], **row}
            for name, count, row in zip(class_names, counts, rows, strict=True)
        ],
        "confusion": confusion.tolist(),
    }


def _ranks_of_truth(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how many classes rank above the true one; of equals, the lower index ranks higher."""
    truth = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1])[None, :] < labels[:, None]
    return ((probabilities > truth) | ((probabilities == truth) & before)).sum(axis=1)
