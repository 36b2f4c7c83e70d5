"""Weights of examples by how common their class is."""

import numpy as np


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns a weight for each class, float64 [classes], inversely proportional to its examples.

    The mean weight of an example is 1; a class without examples has weight 0.

    Args:
        labels: Class of each example, int [n].
        classes: Number of classes.

    Source: scikit-learn's ``class_weight="balanced"``.
    """
    counts = np.bincount(labels, minlength=classes)
    present = np.count_nonzero(counts)
    return np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 0.0)
