"""What heads say about examples that they were not solved on, over all folds of a data set."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tfft.runtime.predictor import softmax
from tfft.transfer.linear.inputs import on_principal_axes
from tfft.transfer.linear.losses import SoftmaxLoss
from tfft.transfer.linear.parallel import products_on_one_thread
from tfft.transfer.linear.regression import LogisticRegression


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Answers of heads about the examples that each was not solved on.

    Attributes:
        probabilities: Probabilities float32 [n, classes], in the order of the features.
        loss: Mean cross-entropy of all examples.
        top1: Share of examples whose class is the most probable one.
        converged: Whether the head of every fold is.
    """

    probabilities: np.ndarray
    loss: float
    top1: float
    converged: bool


@products_on_one_thread
def out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    inverse_regularization: float,
    *,
    classes: int,
    class_weights: np.ndarray | None = None,
    solved_on: np.ndarray | None = None,
) -> OutOfFold:
    """Solves a head for each fold, on all other folds, and returns what it says about the fold.

    The features are standardised, and brought to their axes, once for all folds: by the mean and
    deviation of all rows, whose labels this does not use. The search of a fold starts from the
    solution of the one before, on which it depends by no more than its bound.

    Args:
        features: Features, float32 [n, d].
        labels: Class of each row, int [n] in 0..classes-1.
        folds: Number of the fold of each row, int [n].
        inverse_regularization: C, the inverse strength of the penalty.
        classes: Number of classes.
        class_weights: Weight of an example of each class, float [classes]; None: 1.
        solved_on: Where an example may be solved on, bool [n]; the others are only answered. None:
            everywhere.

    Raises:
        ValueError: There is only one fold.
    """
    counted = np.ones(len(labels), bool) if solved_on is None else solved_on
    order = np.lexsort((~counted, folds))  # in each fold, those that are solved on come first
    features, labels, folds = features[order], labels[order], folds[order]
    numbers, starts = np.unique(folds, return_index=True)
    if len(numbers) < 2:
        raise ValueError(f"two folds or more are needed. Received: {len(numbers)}")
    inputs = on_principal_axes(features)
    found = np.empty((len(labels), classes), np.float32)
    start, converged = None, True
    solved = starts + np.add.reduceat(counted[order], starts, dtype=np.int64)
    ranges = list(zip(starts.tolist(), solved.tolist(), strict=True))
    for number, (first, last) in enumerate(pairwise([*starts.tolist(), len(labels)])):
        others = inputs.only(*ranges[:number], *ranges[number + 1 :])
        loss = SoftmaxLoss(others, labels, classes, class_weights)
        solution = LogisticRegression(others, loss).solve(inverse_regularization, start)
        start, converged = solution.coefficients, converged and solution.converged
        held_out = features[first:last]
        found[first:last] = softmax(solution.weights.outputs(held_out))
    of_label = np.maximum(found[np.arange(len(labels)), labels], np.finfo(np.float32).tiny)
    probabilities = np.empty_like(found)
    probabilities[order] = found
    return OutOfFold(
        probabilities,
        float(-np.log(of_label.astype(np.float64)).mean()),
        float((found.argmax(axis=1) == labels).mean()),
        converged,
    )
