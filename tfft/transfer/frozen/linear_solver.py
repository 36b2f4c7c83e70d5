"""A linear head solved to convergence: multinomial logistic regression on frozen features."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from tfft.runtime.predictor import softmax
from tfft.system.progress import SILENT, Progress

# Candidates are tried from the strongest regularisation on; after this many in a row that are
# worse on validation data than the best, the weaker ones are not tried.
_PATIENCE = 2
_MAX_ITERATIONS = 400
_TOLERANCE = 1e-4


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
        return softmax(features @ self.kernel + self.bias)


@dataclass(frozen=True, eq=False)
class LinearSolution:
    """The result of the solver.

    Attributes:
        chosen: Weights solved on the training data.
        refitted: Weights solved on training and validation data, if that was asked for.
        inverse_regularization: The chosen value of C.
        validation: Metrics on validation data, ``{"loss": …, "top1": …}``, by value of C.
    """

    chosen: LinearWeights
    refitted: LinearWeights | None
    inverse_regularization: float
    validation: dict[float, dict[str, float]]


def solve_linear_head(
    features: np.ndarray,
    labels: np.ndarray,
    validation_features: np.ndarray,
    validation_labels: np.ndarray,
    *,
    classes: int,
    candidates: Sequence[float],
    choose_by: str,
    refit: bool,
    class_weights: np.ndarray | None = None,
    progress: Progress = SILENT,
) -> LinearSolution:
    """Solves logistic regression for each candidate and keeps the best on validation data.

    The features are standardised by the training data's mean and deviation, which the returned
    weights have folded in. Each solution starts from that of the candidate before.

    Args:
        features: Training features, float32 [n, d].
        labels: Training labels, int64 [n] in 0..classes-1.
        validation_features: Validation features, float32 [m, d]; m may be 0.
        validation_labels: Validation labels, int64 [m].
        classes: Number of classes.
        candidates: Values of scikit-learn's C (inverse strength of the L2 penalty).
        choose_by: ``top1`` or ``loss``: the validation metric that chooses; the other breaks ties.
        refit: Solve once more with the chosen value on training and validation data together.
        class_weights: Weight of an example of each class, float [classes]; None: 1.
        progress: Where the work is reported.

    Source: L-BFGS on the multinomial loss, as in scikit-learn's LogisticRegression.
    """
    scaler = _Standardisation(features)
    standardised = scaler(features)
    standardised_validation = scaler(validation_features)
    solver = LogisticRegression(warm_start=True, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE)
    best: tuple[tuple[float, float], float, np.ndarray, np.ndarray] | None = None
    by_candidate: dict[float, dict[str, float]] = {}
    worse = 0
    task = progress.start("solving the linear head", len(candidates), "values of C")
    try:
        for candidate in sorted(candidates):
            _solve(solver, candidate, standardised, labels, class_weights, progress)
            kernel, bias = _weights(solver, classes)
            reached = _metrics(standardised_validation @ kernel + bias, validation_labels)
            by_candidate[candidate] = reached
            task.advance(1, **reached)
            top1, negative_loss = reached["top1"], -reached["loss"]
            quality = (top1, negative_loss) if choose_by == "top1" else (negative_loss, top1)
            if best is None or quality > best[0]:
                best, worse = (quality, candidate, kernel, bias), 0
            else:
                worse += 1
            if worse == _PATIENCE:
                break
    finally:
        task.close()
    if best is None:
        raise ValueError("no candidates to choose from")
    _, chosen, kernel, bias = best
    weights, refitted = scaler.fold(kernel, bias), None
    if refit:
        progress.message(f"solving again on training and validation images with C = {chosen:g}")
        together = np.concatenate([features, validation_features])
        scaler = _Standardisation(together)
        labels = np.concatenate([labels, validation_labels])
        _solve(solver, chosen, scaler(together), labels, class_weights, progress)
        refitted = scaler.fold(*_weights(solver, classes))
    return LinearSolution(weights, refitted, chosen, by_candidate)


class _Standardisation:
    """Features to mean 0 and deviation 1; a feature that never varies stays 0."""

    def __init__(self, features: np.ndarray) -> None:
        self._mean = features.mean(axis=0, dtype=np.float64)
        deviation = features.std(axis=0, dtype=np.float64)
        self._scale = np.where(deviation > 1e-8, 1.0 / np.maximum(deviation, 1e-8), 0.0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return ((features - self._mean) * self._scale).astype(np.float32)

    def fold(self, kernel: np.ndarray, bias: np.ndarray) -> LinearWeights:
        """Turns weights on standardised features into weights on raw ones."""
        raw = kernel * self._scale[:, None]
        return LinearWeights(raw.astype(np.float32), (bias - self._mean @ raw).astype(np.float32))


def _solve(
    solver: LogisticRegression,
    candidate: float,
    features: np.ndarray,
    labels: np.ndarray,
    class_weights: np.ndarray | None,
    progress: Progress,
) -> None:
    solver.set_params(C=candidate)
    sample_weight = None if class_weights is None else class_weights[labels]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        solver.fit(features, labels, sample_weight)
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        progress.message(f"C = {candidate:g}: not converged in {_MAX_ITERATIONS} iterations")


def _weights(solver: LogisticRegression, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel [features, classes] and bias [classes] of a fitted solver.

    Two classes come as one row of log-odds; a class without examples gets no chance.
    """
    rows, intercept = solver.coef_, solver.intercept_
    if len(solver.classes_) == 2:
        rows = np.concatenate([-rows, rows]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    kernel = np.zeros((rows.shape[1], classes))
    bias = np.full(classes, intercept.min() - 20.0)
    kernel[:, solver.classes_] = rows.T
    bias[solver.classes_] = intercept
    return kernel, bias


def _metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if not len(labels):
        return {"loss": 0.0, "top1": 0.0}
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_probabilities[np.arange(len(labels)), labels].mean()
    return {"loss": float(loss), "top1": float((logits.argmax(axis=1) == labels).mean())}
