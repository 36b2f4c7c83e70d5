"""Loss and metric of each example, as training reports them, without TensorFlow.

They are those of `tfft.model.losses`, which computes them within the steps of a training.
"""

import numpy as np

# Losses and metrics of examples, float64 [n] each.
Measured = tuple[np.ndarray, np.ndarray]


def of_classes(logits: np.ndarray, labels: np.ndarray) -> Measured:
    """Returns the cross-entropy of each example, and 1 where its class is right.

    Args:
        logits: float [n, classes].
        labels: The classes, int [n].
    """
    right = logits.argmax(axis=1) == labels
    logits = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    return losses, right.astype(np.float64)


def of_labels(logits: np.ndarray, labels: np.ndarray) -> Measured:
    """Returns the mean cross-entropy of the labels of each example, and their F1.

    Args:
        logits: float [n, labels].
        labels: 0 or 1, float [n, labels].
    """
    predicted = logits > 0.0
    either = labels.sum(axis=1) + predicted.sum(axis=1)
    f1 = np.where(either > 0, 2.0 * (labels * predicted).sum(axis=1) / np.maximum(either, 1), 1.0)
    return (np.logaddexp(0.0, logits) - logits * labels).mean(axis=1), f1


def of_numbers(outputs: np.ndarray, numbers: np.ndarray, deviation: float = 1.0) -> Measured:
    """Returns the squared errors in deviations, and the absolute errors; of known numbers only.

    Args:
        outputs: float [n, 1].
        numbers: float [n, 1]; NaN where one is missing.
        deviation: Standard deviation of the number in the training data.
    """
    errors = (outputs - numbers)[:, 0]
    errors = errors[np.isfinite(errors)]
    return (errors / deviation) ** 2, np.abs(errors)
