"""Weights of a dense layer, as the solver finds them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LinearWeights:
    """Weights of a dense layer on raw features.

    Attributes:
        kernel: float32 [features, outputs].
        bias: float32 [outputs].
    """

    kernel: np.ndarray
    bias: np.ndarray

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """Returns logits, or numbers, float32 [n, outputs] of features [n, features]."""
        return features @ self.kernel + self.bias


@dataclass(frozen=True, eq=False)
class Solution:
    """A minimum, to within a bound.

    Attributes:
        weights: Weights on raw features.
        coefficients: The same on the axes of the features, from which another solution can start,
            float64 [axes + 1, columns]; the last row is the bias.
        error: Bound of the distance to the minimum, as a share of the norm of the weights.
        converged: Whether the bound is as small as that of a solution that is kept has to be.
    """

    weights: LinearWeights
    coefficients: np.ndarray
    error: float
    converged: bool
