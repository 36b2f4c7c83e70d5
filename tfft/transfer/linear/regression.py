"""Logistic regression with an L2 penalty on standardised features, solved to a stated bound.

With the penalty ``λ/2·‖W‖²`` the loss is strongly convex in W, once the biases are at their best.
So the distance of W to the minimum is at most the norm of the gradient over λ. Where this bound is
a share ε of ‖W‖, the loss is at most ε² of the penalty's part above its minimum. A search ends at
an ε, and not where the loss seems to stand still:

- where a pass over the rows is cheap, at 1e-4: no rounding shows in what the weights predict;
- elsewhere at 3e-3, with the loss within 1e-5 of itself, and at 3e-2 for a candidate.
"""

import numpy as np

from tfft.transfer.linear.inputs import Inputs
from tfft.transfer.linear.lbfgs import Evaluation, minimise
from tfft.transfer.linear.losses import Loss
from tfft.transfer.linear.parallel import in_parallel
from tfft.transfer.linear.weights import LinearWeights, Solution

# Multiply-adds of a pass over the rows that is cheap.
_CHEAP = 1e8
_CHEAP_ERROR, _ERROR, _CANDIDATE_ERROR = 1e-4, 3e-3, 3e-2
# Where the features explain nothing, λ·‖W‖ is rounding, and the gradient is compared with this.
_NO_PENALTY = 1e-8
# Second derivatives below this are of classes that are told from the others without a doubt.
_NO_CURVATURE = 1e-9

# Over a block of rows: the loss, its second derivatives by column, the gradients of weights and of
# biases.
_Sums = tuple[float, np.ndarray, np.ndarray, np.ndarray]


class LogisticRegression:
    """The regression of classes or labels on features, for any strength of the penalty.

    It minimises ``C · Σ loss + ‖W‖²/2`` over the weights W of the standardised features and a bias
    without a penalty, as scikit-learn's LogisticRegression does.

    Args:
        inputs: The features; those rows count that they visit.
        loss: The loss, which knows the targets.

    Source: L-BFGS (Liu, Nocedal 1989) from a diagonal curvature: the variance along a principal
    axis times the mean second derivative of the loss in a class's logit, plus the penalty's.
    """

    def __init__(self, inputs: Inputs, loss: Loss) -> None:
        self._inputs, self._loss = inputs, loss
        self._variances = np.append(inputs.variances, 1.0)[:, None]
        cheap = len(inputs) * len(self._variances) * loss.columns <= _CHEAP
        self._error = _CHEAP_ERROR if cheap else _ERROR
        self._candidate_error = _CHEAP_ERROR if cheap else _CANDIDATE_ERROR

    def solve(
        self,
        inverse_regularization: float,
        start: np.ndarray | None = None,
        *,
        candidate: bool = False,
    ) -> Solution:
        """Returns the minimum for one value of C.

        Args:
            inverse_regularization: C, the inverse strength of the penalty.
            start: Coefficients of another solution to start from, unless it was of other classes;
                default: no weights.
            candidate: Whether the solution only serves to choose C, so that a wider bound will do.
        """
        allowed = self._candidate_error if candidate else self._error
        penalty = np.full_like(
            self._variances, self._loss.penalty / (inverse_regularization * len(self._inputs))
        )
        penalty[-1] = 0.0

        def error(point: np.ndarray, here: Evaluation) -> float:
            penalised = max(float(np.linalg.norm(penalty * point)), _NO_PENALTY)
            return float(np.linalg.norm(here.gradient)) / penalised

        point = self._start()
        if start is not None and start.shape == point.shape:
            point = start
        for dtype in (np.float32, np.float64):  # the latter where rounding hides the way down
            point, here = minimise(
                lambda at, dtype=dtype: self._evaluate(at, penalty, dtype),
                point,
                lambda at, there: error(at, there) <= allowed,
            )
            if error(point, here) <= allowed:
                break
        found = error(point, here)
        return Solution(self._weights(point), point, found, found <= self._error)

    def _start(self) -> np.ndarray:
        start = np.zeros((len(self._variances), self._loss.columns))
        start[-1] = self._loss.start
        return start

    def _evaluate(
        self, coefficients: np.ndarray, penalty: np.ndarray, dtype: type[np.floating]
    ) -> Evaluation:
        inputs, columns = self._inputs, coefficients.shape[1]
        kernel = inputs.onto_rows(coefficients[:-1].astype(dtype))
        bias = coefficients[-1].astype(dtype)
        value, of_column = 0.0, np.zeros(columns)
        of_kernel, of_bias = np.zeros(kernel.shape), np.zeros(columns)

        def differentiate(rows: slice, some: np.ndarray) -> _Sums:
            block = some.astype(dtype, copy=False)
            logits = block @ kernel
            logits += bias
            loss, curvature = self._loss.differentiate(logits, rows)
            return loss, curvature, block.T @ logits, logits.sum(axis=0, dtype=np.float64)

        for loss, curvature, kernels, biases in in_parallel(differentiate, inputs.blocks(columns)):
            value += loss
            of_column += curvature
            of_kernel += kernels
            of_bias += biases
        penalised = penalty * coefficients
        gradient = np.concatenate([inputs.onto_axes(of_kernel), of_bias[None]]) / len(inputs)
        gradient += penalised
        of_column = np.maximum(of_column / len(inputs), _NO_CURVATURE)
        return Evaluation(
            value / len(inputs) + 0.5 * float(np.vdot(penalised, coefficients)),
            gradient,
            self._variances * of_column + penalty,
        )

    def _weights(self, coefficients: np.ndarray) -> LinearWeights:
        kernel = self._inputs.on_features(coefficients[:-1])
        kernel, bias = self._loss.of_outputs(kernel, coefficients[-1])
        bias -= self._inputs.mean @ kernel
        return LinearWeights(kernel.astype(np.float32), bias.astype(np.float32))
