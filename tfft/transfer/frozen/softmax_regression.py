"""Softmax regression with an L2 penalty on standardised features, solved to convergence.

The loss has one minimum, and the penalty bounds how far a solution is from it: with the penalty
``λ/2·‖W‖²``, the distance of W to the minimum is at most the norm of the gradient over λ. A search
ends when this bound is a small share of ‖W‖, so that neither its start nor the rounding of another
processor decides what the weights predict.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from tfft.runtime.predictor import softmax

# A solution is at most this share of the norm of its weights away from the minimum.
_TOLERANCE = 1e-4
_MAX_ITERATIONS = 2000
# Where the features explain nothing, λ·‖W‖ is rounding, and the gradient is compared with this.
_NO_PENALTY = 1e-8
# Axes along which the features vary less than this share of the first one's variance are rounding.
_NO_VARIANCE = 1e-10


@dataclass(frozen=True, eq=False)
class LinearWeights:
    """Weights of a dense layer on raw features.

    Attributes:
        kernel: float32 [features, classes].
        bias: float32 [classes].
    """

    kernel: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Returns probabilities float32 [n, classes] of features [n, features]."""
        return softmax(self.logits(features))

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns logits float32 [n, classes] of features [n, features]."""
        return features @ self.kernel + self.bias


@dataclass(frozen=True, eq=False)
class Solution:
    """A minimum, to within a tolerance.

    Attributes:
        weights: Weights on raw features.
        coefficients: The same on the principal axes of the features, from which another solution
            can start, float64 [axes + 1, classes]; the last row is the bias.
        error: Bound of the distance to the minimum, as a share of the norm of the weights.
    """

    weights: LinearWeights
    coefficients: np.ndarray
    error: float

    @property
    def converged(self) -> bool:
        """Whether the search has reached the tolerance."""
        return self.error <= _TOLERANCE


class SoftmaxRegression:
    """The regression of labels on features, for any strength of the penalty.

    It minimises ``C · Σ loss + ‖W‖²/2`` over the weights W of the standardised features and a bias
    without a penalty, as scikit-learn's LogisticRegression does; with two classes, too, C is
    scikit-learn's, which has one row of weights for both.

    Args:
        features: Training features, float32 [n, d].
        labels: Labels, int64 [n] in 0..classes-1. A class without examples is never predicted.
        classes: Number of classes.
        class_weights: Weight of an example of each class, float [classes]; None: 1.

    Source: L-BFGS (Liu, Nocedal 1989), in coordinates in which the loss at the start of the search
    is about equally curved: principal axes, each divided by the root of its curvature.
    """

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        classes: int,
        class_weights: np.ndarray | None = None,
    ) -> None:
        self._classes = classes
        self._present, positions = np.unique(labels, return_inverse=True)
        counted = np.ones(len(labels)) if class_weights is None else class_weights[labels]
        self._counted = counted[:, None] / len(labels)
        self._wanted = np.eye(len(self._present))[positions] * self._counted
        self._mean = features.mean(axis=0, dtype=np.float64)
        deviation = features.std(axis=0, dtype=np.float64)
        # A feature that never varies stays 0.
        self._scale = np.where(deviation > 1e-8, 1.0 / np.maximum(deviation, 1e-8), 0.0)
        standardised = (features - self._mean) * self._scale
        self._axes, variances = _principal_axes(standardised)
        self._inputs = np.column_stack([standardised @ self._axes, np.ones(len(labels))])
        self._variances = np.append(variances, 1.0)

    def solve(self, inverse_regularization: float, start: np.ndarray | None = None) -> Solution:
        """Returns the minimum for one value of C.

        Args:
            inverse_regularization: C, the inverse strength of the penalty.
            start: Coefficients of another solution to start from; default: 0.
        """
        shape = (len(self._variances), len(self._present))
        # The two rows of a softmax are half the one row that scikit-learn penalises.
        inverse = inverse_regularization / (2 if len(self._present) == 2 else 1)
        penalty = np.full((shape[0], 1), 1.0 / (inverse * len(self._inputs)))
        penalty[-1] = 0.0
        start = np.zeros(shape) if start is None else start
        scale = np.sqrt(self._curvature(start) + penalty)
        error = np.inf

        def loss_and_gradient(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal error
            coefficients = scaled.reshape(shape) / scale
            loss, gradient = self._loss_and_gradient(coefficients, penalty)
            penalised = np.linalg.norm(penalty * coefficients)
            error = float(np.linalg.norm(gradient) / max(penalised, _NO_PENALTY))
            return loss, (gradient / scale).ravel()

        def stop_when_converged(intermediate_result: OptimizeResult) -> None:
            if error <= _TOLERANCE:
                raise StopIteration

        found = minimize(
            loss_and_gradient,
            (start * scale).ravel(),
            jac=True,
            method="L-BFGS-B",
            callback=stop_when_converged,
            options={"maxiter": _MAX_ITERATIONS, "maxfun": np.inf, "ftol": 0.0, "gtol": 0.0},
        )
        # A search that gave up tried points beyond the one that it returns.
        loss_and_gradient(found.x)
        coefficients = found.x.reshape(shape) / scale
        # A number added to every bias changes no probability: the search may have added one.
        coefficients[-1] -= coefficients[-1].mean()
        return Solution(self._on_features(coefficients), coefficients, error)

    def _probabilities(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the logarithms of the probabilities, and the probabilities, [n, present]."""
        logits = self._inputs @ coefficients
        logits -= logits.max(axis=1, keepdims=True)
        probabilities = np.exp(logits)
        total = probabilities.sum(axis=1, keepdims=True)
        probabilities /= total
        logits -= np.log(total)
        return logits, probabilities

    def _loss_and_gradient(
        self, coefficients: np.ndarray, penalty: np.ndarray
    ) -> tuple[float, np.ndarray]:
        logarithms, probabilities = self._probabilities(coefficients)
        penalised = penalty * coefficients
        loss = 0.5 * np.vdot(penalised, coefficients) - np.vdot(logarithms, self._wanted)
        probabilities *= self._counted
        probabilities -= self._wanted
        return float(loss), self._inputs.T @ probabilities + penalised

    def _curvature(self, coefficients: np.ndarray) -> np.ndarray:
        """About how curved the loss is along each coefficient, [axes + 1, present]."""
        _, probabilities = self._probabilities(coefficients)
        of_class = (self._counted * probabilities * (1.0 - probabilities)).sum(axis=0)
        return self._variances[:, None] * np.maximum(of_class, np.finfo(float).tiny)

    def _on_features(self, coefficients: np.ndarray) -> LinearWeights:
        """Returns the weights on raw features, of all classes."""
        of_present = self._scale[:, None] * (self._axes @ coefficients[:-1])
        kernel = np.zeros((len(self._mean), self._classes))
        kernel[:, self._present] = of_present
        # A class without examples gets no chance.
        bias = np.full(self._classes, coefficients[-1].min() - 20.0)
        bias[self._present] = coefficients[-1]
        bias -= self._mean @ kernel
        return LinearWeights(kernel.astype(np.float32), bias.astype(np.float32))


def _principal_axes(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the axes along which features vary, [d, axes], and their variances [axes]."""
    examples, features = centred.shape
    if features <= examples:
        variances, axes = np.linalg.eigh(centred.T @ centred / examples)
        varies = variances > _NO_VARIANCE * variances[-1]
        return axes[:, varies], variances[varies]
    variances, of_examples = np.linalg.eigh(centred @ centred.T / examples)
    varies = variances > _NO_VARIANCE * variances[-1]
    deviations = np.sqrt(examples * variances[varies])
    return centred.T @ (of_examples[:, varies] / deviations), variances[varies]
