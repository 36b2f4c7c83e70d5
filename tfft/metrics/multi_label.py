"""Metrics of a head that gives an image any number of labels, and from where on a label applies."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfft.metrics.one_against_rest import class_metrics, macro_metrics

_SMALLEST = 1e-7
# The threshold of a label with fewer examples, or fewer without it, would follow chance.
_FEW = 10
ONE_HALF = 0.5


def multi_label_metrics(
    probabilities: np.ndarray,
    labels: np.ndarray,
    label_names: Sequence[str],
    thresholds: Sequence[float] = (),
) -> dict[str, Any]:
    """Returns the metrics of one head.

    Args:
        probabilities: Predicted probabilities, float [examples, labels].
        labels: True labels, float [examples, labels], 0 or 1.
        label_names: Names of the labels, in the order of the columns.
        thresholds: Probability above which each label applies; empty: one half.

    Returns:
        ``loss`` (mean binary cross-entropy), ``f1`` (of each image, averaged; 1 where no label is
        true and none applies), the means over labels of `macro_metrics`, ``exact`` (share of images
        with every label right) and ``per_label`` (label, examples, threshold and what
        `class_metrics` gives).
    """
    limits = np.asarray(thresholds or [ONE_HALF] * len(label_names), np.float32)
    truth, applies = labels > ONE_HALF, probabilities > limits
    limited = np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    right = (truth & applies).sum(axis=1)
    either = truth.sum(axis=1) + applies.sum(axis=1)
    rows = [
        {
            "label": name,
            "examples": int(truth[:, k].sum()),
            "threshold": float(limits[k]),
            **class_metrics(truth[:, k], applies[:, k], probabilities[:, k]),
        }
        for k, name in enumerate(label_names)
    ]
    return {
        "loss": float(-np.where(truth, np.log(limited), np.log(1 - limited)).mean()),
        "f1": float(np.where(either > 0, 2.0 * right / np.maximum(either, 1), 1.0).mean()),
        **macro_metrics(rows),
        "exact": float((truth == applies).all(axis=1).mean()),
        "per_label": rows,
    }


def best_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Returns, for each label, the probability above which it applies with the highest F1.

    It lies halfway between two probabilities, of equally good ones nearest to one half. A label
    that fewer than ten examples have, or all but so few, keeps one half.

    Args:
        probabilities: Predicted probabilities, float [examples, labels], of examples that the head
            was not trained on.
        labels: True labels, float [examples, labels], 0 or 1.

    Source: Lipton, Elkan, Narayanaswamy 2014, "Optimal Thresholding of Classifiers to Maximize F1
    Measure", on the macro average.
    """
    return tuple(
        _best_threshold(probabilities[:, k], labels[:, k] > ONE_HALF)
        for k in range(labels.shape[1])
    )


def _best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    positives = int(truth.sum())
    if min(positives, len(truth) - positives) < _FEW:
        return ONE_HALF
    order = np.argsort(-probabilities, kind="stable")
    ordered, hits = probabilities[order].astype(np.float64), np.cumsum(truth[order])
    ends = np.flatnonzero(np.diff(ordered))
    if not len(ends):
        return ONE_HALF
    f1 = 2.0 * hits[ends] / (positives + ends + 1)
    between = (ordered[ends] + ordered[ends + 1]) / 2
    best = between[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - ONE_HALF).argmin()])
