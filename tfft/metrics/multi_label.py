"""Figures of a head with any number of labels an image."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

_SMALLEST = 1e-7


def multi_label_metrics(
    probabilities: np.ndarray, labels: np.ndarray, label_names: Sequence[str]
) -> dict[str, Any]:
    """Returns the figures of one head as JSON values.

    Args:
        probabilities: float [examples, labels].
        labels: float [examples, labels], 0 or 1.
        label_names: by column.

    Returns:
        ``loss`` (mean binary cross-entropy), ``f1`` (of each image at one half, averaged; 1 where
        no label is true and none predicted), ``macro_f1`` (of each label, averaged over those that
        occur), ``exact`` (share of images with every label right), ``map`` (mean average precision
        over the labels that occur) and ``per_label`` (label, examples, f1, average_precision).
    """
    from sklearn.metrics import average_precision_score

    truth: Any = labels > 0.5  # scikit-learn's own annotations are narrower than what it takes
    predicted: Any = probabilities > 0.5
    occurs = truth.any(axis=0)
    limited = np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    of_label = np.atleast_1d(_f1(truth, predicted, None, 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # labels that do not occur are left out below
        options: Any = {"average": None}
        precision = np.atleast_1d(average_precision_score(truth, probabilities, **options))
    return {
        "loss": float(-np.where(truth, np.log(limited), np.log(1 - limited)).mean()),
        "f1": float(_f1(truth, predicted, "samples", 1.0)),
        "macro_f1": float(np.mean(of_label[occurs])) if occurs.any() else None,
        "exact": float((truth == predicted).all(axis=1).mean()),
        "map": float(np.mean(precision[occurs])) if occurs.any() else None,
        "per_label": [
            {
                "label": name,
                "examples": int(truth[:, k].sum()),
                "f1": float(of_label[k]) if occurs[k] else None,
                "average_precision": float(precision[k]) if occurs[k] else None,
            }
            for k, name in enumerate(label_names)
        ],
    }


def _f1(truth: np.ndarray, predicted: np.ndarray, average: str | None, empty: float) -> Any:
    from sklearn.metrics import f1_score

    options: Any = {"average": average, "zero_division": empty}
    return f1_score(truth, predicted, **options)
