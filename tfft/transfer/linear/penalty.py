"""A linear head, solved for several strengths of the penalty; validation data choose one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tfft.cache.tensors import Rows
from tfft.errors import TfftError
from tfft.metrics.examples import of_classes, of_labels, of_numbers
from tfft.system.progress import SILENT, Progress
from tfft.transfer.linear.inputs import Inputs, on_principal_axes
from tfft.transfer.linear.losses import SigmoidLoss, SoftmaxLoss
from tfft.transfer.linear.parallel import products_on_one_thread
from tfft.transfer.linear.regression import LogisticRegression
from tfft.transfer.linear.ridge import RidgeRegression
from tfft.transfer.linear.weights import LinearWeights, Solution

# Candidates are tried from the strongest regularisation on; after this many in a row that are
# worse on validation data than the best, the weaker ones are not tried.
_PATIENCE = 2
# Candidates are first solved to a wider bound, which is enough to tell the best on validation data
# from the others, except for those within this share of its loss, or of top-1.
_CLOSE = 2e-3
_BLOCK_ROWS = 4096
# By kind of head, the name of its metric and what measures its examples.
_MEASURES = {
    "classification": ("top1", of_classes),
    "multi_label": ("f1", of_labels),
    "regression": ("mae", of_numbers),
}


@dataclass(frozen=True, eq=False)
class LinearSolution:
    """The result of the solver.

    Attributes:
        chosen: Weights solved on the training data.
        refitted: Weights solved on training and validation data, if that was asked for.
        inverse_regularization: The chosen value of C.
        validation: Metrics on validation data by value of C: ``loss``, and ``top1``, ``f1`` or
            ``mae`` by the kind of the head; empty without known targets. Those of values that are
            clearly worse are of solutions to a wider bound.
    """

    chosen: LinearWeights
    refitted: LinearWeights | None
    inverse_regularization: float
    validation: dict[float, dict[str, float]]


@products_on_one_thread
def solve_linear_head(
    features: Rows,
    targets: np.ndarray,
    validation_features: Rows,
    validation_targets: np.ndarray,
    *,
    outputs: int,
    candidates: Sequence[float],
    choose_by: str,
    refit: bool,
    kind: str = "classification",
    class_weights: np.ndarray | None = None,
    progress: Progress = SILENT,
) -> LinearSolution:
    """Solves a regression for each candidate and keeps the best on validation data.

    The features are standardised by the training data's mean and deviation, also in the refit; the
    returned weights have both folded in. The search for a candidate starts on the line through the
    two before it, over the logarithm of C.

    Args:
        features: Training features, float32 [n, d], in memory or on the disk.
        targets: Training targets: classes int64 [n] in 0..outputs-1; labels float32 [n, outputs], 0
            or 1; or numbers float32 [n, 1], NaN where one is missing.
        validation_features: Validation features, float32 [m, d]; m may be 0.
        validation_targets: Validation targets, as `targets`.
        outputs: Number of classes or labels; 1 for a number.
        candidates: Values of C (inverse strength of the L2 penalty) of scikit-learn's
            LogisticRegression, or the reciprocals of the alpha of its Ridge.
        choose_by: ``loss``, or ``top1`` of a classification: the validation metric that chooses;
            the other breaks ties.
        refit: Solve once more with the chosen value on training and validation data together.
        kind: What the head predicts: ``classification``, ``multi_label`` or ``regression``.
        class_weights: Weight of an example of each class, float [outputs]; None: 1.
        progress: Where the work is reported.

    Raises:
        TfftError: A feature is not finite.
    """
    _require_finite(features, "training")
    _require_finite(validation_features, "validation")
    inputs = on_principal_axes(features)
    regression = regression_of(kind, inputs, targets, outputs, class_weights)

    def rate(weights: LinearWeights) -> dict[str, float]:
        return _metrics(kind, weights, validation_features, validation_targets)

    path = _Path(regression, rate, choose_by, progress)
    chosen = path.best(candidates)
    solution, refitted = path.solutions[chosen], None
    if refit:
        progress.message(f"solving again on training and validation images with C = {chosen:g}")
        everything = inputs.with_more(validation_features)
        every = np.concatenate([targets, validation_targets])
        again = regression_of(kind, everything, every, outputs, class_weights)
        refitted = again.solve(chosen, everything.moved_here(solution.coefficients, inputs))
        _report(refitted, chosen, progress)
    return LinearSolution(
        solution.weights, refitted.weights if refitted else None, chosen, path.validation
    )


def regression_of(
    kind: str,
    inputs: Inputs,
    targets: np.ndarray,
    outputs: int,
    class_weights: np.ndarray | None = None,
) -> LogisticRegression | RidgeRegression:
    """Returns the regression of the targets of a head on the rows that `inputs` visits.

    Args:
        kind: What the head predicts.
        inputs: The features.
        targets: Targets of all rows, as in `solve_linear_head`.
        outputs: Number of classes or labels; 1 for a number.
        class_weights: Weight of an example of each class, float [outputs]; None: 1.
    """
    if kind == "regression":
        return RidgeRegression(inputs, targets)
    if kind == "multi_label":
        return LogisticRegression(inputs, SigmoidLoss(inputs, targets))
    return LogisticRegression(inputs, SoftmaxLoss(inputs, targets, outputs, class_weights))


class _Path:
    """Solutions over C, and what each does on validation data."""

    def __init__(
        self,
        regression: LogisticRegression | RidgeRegression,
        rate: Callable[[LinearWeights], dict[str, float]],
        choose_by: str,
        progress: Progress,
    ) -> None:
        self._regression, self._rate = regression, rate
        self._choose_by, self._progress = choose_by, progress
        self.solutions: dict[float, Solution] = {}
        self.validation: dict[float, dict[str, float]] = {}

    def best(self, candidates: Sequence[float]) -> float:
        """Returns the best candidate; it and those close to it are converged."""
        task = self._progress.start("solving the linear head", len(candidates), "values of C")
        try:
            worse = 0
            for candidate in sorted(candidates):
                self._solve(candidate, self._guess(candidate), candidate=True)
                task.advance(1, **self.validation[candidate])
                worse = 0 if self._best() == candidate else worse + 1
                if worse == _PATIENCE:
                    break
            while rough := [c for c in self._close_to_best() if not self.solutions[c].converged]:
                self._solve(rough[0], self.solutions[rough[0]].coefficients)
                if not self.solutions[rough[0]].converged:
                    _report(self.solutions[rough[0]], rough[0], self._progress)
                    break
        finally:
            task.close()
        return self._best()

    def _solve(self, c: float, start: np.ndarray | None, *, candidate: bool = False) -> None:
        self.solutions[c] = solution = self._regression.solve(c, start, candidate=candidate)
        self.validation[c] = self._rate(solution.weights)

    def _guess(self, candidate: float) -> np.ndarray | None:
        """Where to start: on the line through the last two solutions, over the logarithm of C."""
        solved = [(np.log(c), solution.coefficients) for c, solution in self.solutions.items()]
        if len(solved) < 2:
            return solved[0][1] if solved else None
        (before, start), (last, end) = solved[-2:]
        return end + (np.log(candidate) - last) / (last - before) * (end - start)

    def _quality(self, candidate: float) -> tuple[float, float]:
        reached = self.validation[candidate]
        loss, top1 = -reached.get("loss", 0.0), reached.get("top1", 0.0)
        return (top1, loss) if self._choose_by == "top1" else (loss, top1)

    def _best(self) -> float:
        return max(self.validation, key=self._quality)

    def _close_to_best(self) -> list[float]:
        """The best, and those that a solution to the wider bound may have put behind it."""
        best = self._quality(self._best())[0]
        margin = _CLOSE if self._choose_by == "top1" else _CLOSE * abs(best)
        return [c for c in self.validation if self._quality(c)[0] >= best - margin]


def _require_finite(features: Rows, split: str) -> None:
    count = features.shape[0]
    broken = sum(
        int((~np.isfinite(features[at : at + _BLOCK_ROWS])).any(axis=1).sum())
        for at in range(0, count, _BLOCK_ROWS)
    )
    if broken:
        raise TfftError(
            f"the backbone's features of {broken:,} of {count:,} {split} images are not "
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


def _metrics(
    kind: str, weights: LinearWeights, features: Rows, targets: np.ndarray
) -> dict[str, float]:
    """Returns the mean loss and the mean metric of the examples with a target; {} without any."""
    name, measured = _MEASURES[kind]
    losses, values = [np.empty(0)], [np.empty(0)]
    for at in range(0, len(targets), _BLOCK_ROWS):
        outputs = weights.outputs(features[at : at + _BLOCK_ROWS]).astype(np.float64)
        loss, value = measured(outputs, targets[at : at + _BLOCK_ROWS])
        losses.append(loss)
        values.append(value)
    if not sum(map(len, losses)):
        return {}
    return {
        "loss": float(np.concatenate(losses).mean()),
        name: float(np.concatenate(values).mean()),
    }
