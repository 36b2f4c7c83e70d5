"""Losses of the solver: what logits of a block of rows cost, and how they should change."""

from typing import Protocol

import numpy as np

from tfft.transfer.linear.inputs import Inputs

# The logarithm of the chance that a class without examples has at most.
_NO_CHANCE = -20.0


class Loss(Protocol):
    """A convex loss of logits.

    Attributes:
        columns: Number of logits of a row.
        penalty: What the penalty on the weights is multiplied by.
        start: Biases to start from where no weights are known, float64 [columns].
    """

    columns: int
    penalty: float
    start: np.ndarray

    def differentiate(self, logits: np.ndarray, rows: slice) -> tuple[float, np.ndarray]:
        """Replaces logits by the gradient of the loss in them.

        Args:
            logits: Logits float [block, columns] of the rows, which are overwritten.
            rows: Their positions.

        Returns:
            The sum of the losses, and that of their second derivatives, float64 [columns].
        """
        ...

    def of_outputs(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns weights [d, columns] and biases as those of all outputs of the head."""
        ...


class SoftmaxLoss:
    """Cross-entropy of classes.

    Two classes have two columns, whose weights are half of the one column that scikit-learn
    penalises, and opposite: the penalty on them is twice as strong, so that C is scikit-learn's.

    Args:
        inputs: The rows, of which those that are visited count.
        labels: Class of each row, int [n] in 0..classes-1.
        classes: Number of classes. One without examples gets no column, and is never predicted.
        class_weights: Weight of an example of each class, float [classes]; None: 1.
    """

    def __init__(
        self,
        inputs: Inputs,
        labels: np.ndarray,
        classes: int,
        class_weights: np.ndarray | None = None,
    ) -> None:
        counts = np.bincount(labels[inputs.rows], minlength=classes)
        weights = np.ones(classes) if class_weights is None else np.asarray(class_weights)
        self._classes = classes
        self._present = np.flatnonzero(counts)
        columns = np.zeros(classes, np.int64)
        columns[self._present] = np.arange(len(self._present))
        self._column = columns[labels]
        self._weight = None if class_weights is None else weights[labels][:, None]
        self.columns = len(self._present)
        self.penalty = 2.0 if self.columns == 2 else 1.0
        shares = (counts * np.maximum(weights, 1e-30))[self._present]
        self.start = np.log(shares / shares.sum())
        self.start -= self.start.mean()

    def differentiate(self, logits: np.ndarray, rows: slice) -> tuple[float, np.ndarray]:
        of_label = np.arange(len(logits)), self._column[rows]
        logits -= logits.max(axis=1, keepdims=True)
        wanted = logits[of_label].astype(np.float64)
        probabilities = np.exp(logits, out=logits)
        totals = probabilities.sum(axis=1)
        losses = np.log(totals.astype(np.float64)) - wanted
        probabilities /= totals[:, None]
        weight = None if self._weight is None else self._weight[rows].astype(logits.dtype)
        weighted = probabilities if weight is None else probabilities * weight
        curvature = weighted.sum(axis=0, dtype=np.float64)
        curvature -= np.einsum("ij,ij->j", weighted, probabilities)
        probabilities[of_label] -= 1.0
        if weight is not None:
            probabilities *= weight
            losses *= weight[:, 0]
        return float(losses.sum()), curvature

    def of_outputs(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # A number added to every bias changes no probability: the search may have added one.
        bias = bias - bias.mean()
        every_kernel = np.zeros((len(kernel), self._classes))
        every_bias = np.full(self._classes, bias.min() + _NO_CHANCE)
        every_kernel[:, self._present], every_bias[self._present] = kernel, bias
        return every_kernel, every_bias


class SigmoidLoss:
    """Cross-entropy of labels of which any number can be true: one regression for each.

    Args:
        inputs: The rows, of which those that are visited count.
        labels: Labels of each row, float [n, labels], 0 or 1. One that no example has, or every
            one, gets no column: its chance is a half more than was counted, of one example more.
    """

    penalty = 1.0

    def __init__(self, inputs: Inputs, labels: np.ndarray) -> None:
        seen = labels[inputs.rows]
        count = seen.sum(axis=0, dtype=np.float64)
        self._varies = (count > 0) & (count < len(seen))
        self._labels = np.ascontiguousarray(labels[:, self._varies], np.float32)
        shares = (count + 0.5) / (len(seen) + 1.0)
        self._bias = np.log(shares / (1.0 - shares))
        self.columns = int(self._varies.sum())
        self.start = self._bias[self._varies]

    def differentiate(self, logits: np.ndarray, rows: slice) -> tuple[float, np.ndarray]:
        labels = self._labels[rows]
        # The logarithm of 1 + exp(z), as max(z, 0) and what is left of it.
        small = np.exp(-np.abs(logits))
        losses = np.log1p(small) + np.maximum(logits, 0.0) - logits * labels
        probabilities = np.where(logits >= 0.0, 1.0, small) / (1.0 + small)
        curvature = (probabilities * (1.0 - probabilities)).sum(axis=0, dtype=np.float64)
        np.subtract(probabilities, labels, out=logits)
        return float(losses.sum(dtype=np.float64)), curvature

    def of_outputs(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        every_kernel, every_bias = np.zeros((len(kernel), len(self._varies))), self._bias.copy()
        every_kernel[:, self._varies], every_bias[self._varies] = kernel, bias
        return every_kernel, every_bias
