"""A linear head, solved for several strengths of the penalty; validation data choose one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfft.errors import TfftError
from tfft.system.progress import SILENT, Progress
from tfft.transfer.frozen.softmax_regression import LinearWeights, SoftmaxRegression, Solution

# Candidates are tried from the strongest regularisation on; after this many in a row that are
# worse on validation data than the best, the weaker ones are not tried.
_PATIENCE = 2


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
    weights have folded in. Each solution is converged, so that it doesn't matter that its search
    starts from the candidate before.

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

    Raises:
        TfftError: A feature is not finite.
    """
    _require_finite(features, "training")
    _require_finite(validation_features, "validation")
    regression = SoftmaxRegression(features, labels, classes, class_weights)
    best: tuple[tuple[float, float], float, LinearWeights] | None = None
    by_candidate: dict[float, dict[str, float]] = {}
    start, worse = None, 0
    task = progress.start("solving the linear head", len(candidates), "values of C")
    try:
        for candidate in sorted(candidates):
            solution = regression.solve(candidate, start)
            _report(solution, candidate, progress)
            start, weights = solution.coefficients, solution.weights
            reached = _metrics(weights.logits(validation_features), validation_labels)
            by_candidate[candidate] = reached
            task.advance(1, **reached)
            top1, negative_loss = reached["top1"], -reached["loss"]
            quality = (top1, negative_loss) if choose_by == "top1" else (negative_loss, top1)
            if best is None or quality > best[0]:
                best, worse = (quality, candidate, weights), 0
            else:
                worse += 1
            if worse == _PATIENCE:
                break
    finally:
        task.close()
    if best is None:
        raise ValueError("no candidates to choose from")
    _, chosen, weights = best
    refitted = None
    if refit:
        progress.message(f"solving again on training and validation images with C = {chosen:g}")
        together = np.concatenate([features, validation_features])
        labels = np.concatenate([labels, validation_labels])
        solution = SoftmaxRegression(together, labels, classes, class_weights).solve(chosen)
        _report(solution, chosen, progress)
        refitted = solution.weights
    return LinearSolution(weights, refitted, chosen, by_candidate)


def _require_finite(features: np.ndarray, split: str) -> None:
    broken = int((~np.isfinite(features)).any(axis=1).sum())
    if broken:
        raise TfftError(
            f"the backbone's features of {broken:,} of {len(features):,} {split} images are not "
            "finite (NaN or infinite), so that no head can be solved on them. Its weights do not "
            "fit these pixels, or train.mixed_precision does not fit the weights"
        )


def _report(solution: Solution, candidate: float, progress: Progress) -> None:
    """Says so if a search gave up before it converged."""
    if not solution.converged:
        progress.message(
            f"C = {candidate:g}: not converged; the weights are off by up to {solution.error:.2g} "
            "of their norm"
        )


def _metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if not len(labels):
        return {"loss": 0.0, "top1": 0.0}
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_probabilities[np.arange(len(labels)), labels].mean()
    return {"loss": float(loss), "top1": float((logits.argmax(axis=1) == labels).mean())}
