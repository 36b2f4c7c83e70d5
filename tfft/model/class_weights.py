"""How much an example of each class counts."""

import numpy as np

from tfft.config.model import HeadConfig
from tfft.model.head_size import HeadSize


def class_weights_of(config: HeadConfig, size: HeadSize, labels: np.ndarray) -> np.ndarray | None:
    """Returns the weight of an example of each class, float64 [classes]; None: 1 each.

    Args:
        config: The head's section of the recipe.
        size: Its size, from the data.
        labels: Its targets of the training examples.
    """
    if config.kind != "classification" or config.class_weights == "none":
        return None
    if config.class_weights == "balanced":
        return balanced_weights(labels, size.outputs)
    return np.array([config.class_weights.get(name, 1.0) for name in size.class_names])


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
