"""Ridge regression of numbers on standardised features, for all strengths of the penalty."""

import numpy as np
from scipy.linalg import eigh

from tfft.transfer.linear.inputs import Inputs
from tfft.transfer.linear.weights import LinearWeights, Solution


class RidgeRegression:
    """Least squares with an L2 penalty, in closed form.

    It minimises ``C · Σ (number - prediction)²/2 + ‖W‖²/2`` over the weights W of the standardised
    features and a bias without a penalty: scikit-learn's Ridge with ``alpha = 1/C``.

    One pass over the rows sums up all that any C needs.

    Args:
        inputs: The features; those rows count that they visit.
        numbers: Number of each row, float [n, 1]; a row without one (NaN) doesn't count.

    Source: Hoerl, Kennard 1970; the eigenvectors of the features' products solve it for all C.
    """

    def __init__(self, inputs: Inputs, numbers: np.ndarray) -> None:
        self._inputs = inputs
        width = inputs.axes.shape[1 if inputs.held else 0]
        products, with_numbers = np.zeros((width, width)), np.zeros((width, 1))
        of_rows, of_numbers, count = np.zeros((width, 1)), 0.0, 0
        for rows, block in inputs.blocks(width):
            known = np.isfinite(numbers[rows, 0])
            counted, wanted = block[known], numbers[rows][known].astype(np.float64)
            products += counted.T @ counted
            with_numbers += counted.T @ wanted
            of_rows += counted.sum(axis=0, dtype=np.float64)[:, None]
            of_numbers += float(wanted.sum())
            count += len(counted)
        self._mean = of_numbers / max(count, 1)
        self._middle = inputs.onto_axes(of_rows) / max(count, 1)
        products = inputs.onto_axes(inputs.onto_axes(products).T)
        products -= count * (self._middle @ self._middle.T)
        self._variances, self._axes = eigh(products, driver="evd")
        with_numbers = inputs.onto_axes(with_numbers) - count * self._mean * self._middle
        self._with_numbers = self._axes.T @ with_numbers

    def solve(
        self,
        inverse_regularization: float,
        start: np.ndarray | None = None,
        *,
        candidate: bool = False,
    ) -> Solution:
        """Returns the minimum for one value of C, wherever a search would have started."""
        curvature = np.maximum(self._variances, 0.0)[:, None] + 1.0 / inverse_regularization
        of_axes = self._axes @ (self._with_numbers / curvature)
        coefficients = np.concatenate([of_axes, self._mean - self._middle.T @ of_axes])
        kernel = self._inputs.on_features(of_axes)
        bias = coefficients[-1] - self._inputs.mean @ kernel
        weights = LinearWeights(kernel.astype(np.float32), bias.astype(np.float32))
        return Solution(weights, coefficients, error=0.0, converged=True)
