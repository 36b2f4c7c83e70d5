"""What heads say about all images of a set, each about those that it was not solved on."""

from dataclasses import dataclass

import numpy as np

from tfft.audit.label_errors import find_label_errors
from tfft.config.train import LinearPhase
from tfft.errors import DataError
from tfft.system.progress import SILENT, Progress
from tfft.transfer.linear.folds import out_of_fold
from tfft.transfer.linear.penalty import solve_linear_head

# Share of the examples of a class that may be left out as suspects.
_MOST_SUSPECTS = 0.5


@dataclass(frozen=True, eq=False)
class Answers:
    """Out-of-fold answers about N images.

    Attributes:
        folds: Fold of each image, int64 [N].
        from_all: Probabilities by heads that were solved on all labels, float32 [N, classes].
        from_unsuspected: Probabilities by heads that were solved without the images whose labels
            the first ones contradict, float32 [N, classes]: wrong labels don't speak for each
            other.
        inverse_regularization: C of the heads.
    """

    folds: np.ndarray
    from_all: np.ndarray
    from_unsuspected: np.ndarray
    inverse_regularization: float


def answer_out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    classes: int,
    progress: Progress = SILENT,
) -> Answers:
    """Solves a head for each fold on the other folds, and asks it about the fold, twice.

    One fold chooses C, from the values that a solved phase tries: C is one number, and what it
    knows of that fold is next to nothing.

    Args:
        features: Features of the images, float32 [N, d].
        labels: Class of each image, int64 [N].
        folds: Fold of each image, int64 [N].
        classes: Number of classes.
        progress: Where the work is reported.

    Raises:
        DataError: There are no two classes, or no two folds.
    """
    if len(np.unique(labels)) < 2 or len(np.unique(folds)) < 2:
        raise DataError(
            "an audit compares images of two classes or more, at least two of which are no copies "
            f"of each other and of no common group. Received: {len(np.unique(labels))} classes, "
            f"{len(labels)} images"
        )
    held_out = folds == 0
    c = solve_linear_head(
        features[~held_out],
        labels[~held_out],
        features[held_out],
        labels[held_out],
        outputs=classes,
        candidates=LinearPhase(solver="linear").inverse_regularization,
        choose_by="loss",
        refit=False,
        progress=progress,
    ).inverse_regularization
    task = progress.start("answering out of fold", 2, "rounds")
    try:
        first = out_of_fold(features, labels, folds, c, classes=classes).probabilities
        task.advance()
        kept = _unsuspected(find_label_errors(first, labels).suspects, labels)
        second = out_of_fold(
            features, labels, folds, c, classes=classes, solved_on=kept
        ).probabilities
        task.advance()
    finally:
        task.close()
    return Answers(folds, first, second, c)


def _unsuspected(suspects: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns which examples are not suspects, bool [N]; of a class with many, all count as such.

    Where most labels of a class are contradicted, it is the class that the heads don't know.
    """
    suspected = np.zeros(len(labels), bool)
    suspected[suspects] = True
    shares = np.bincount(labels, suspected) / np.maximum(np.bincount(labels), 1)
    return ~suspected | (shares > _MOST_SUSPECTS)[labels]


def folds_of(pieces: np.ndarray, labels: np.ndarray, keys: np.ndarray, folds: int) -> np.ndarray:
    """Deals pieces out to folds, class by class, so that each class is in as many as it can be.

    Within a class the order is that of the keys, so that it follows from the images alone.

    Args:
        pieces: Number of what each of N images belongs to and no fold parts, int64 [N].
        labels: Class of each image, int64 [N]; a piece is dealt with the first of its classes.
        keys: What decides the pixels of each image, uint8 [N, 32].
        folds: Number of folds.

    Returns:
        Fold of each image, int64 [N] in 0..folds-1.
    """
    order = np.lexsort((*keys.T[::-1], labels))
    found, first = np.unique(pieces[order], return_index=True)
    fold = np.empty(len(found), np.int64)
    fold[np.argsort(first)] = np.arange(len(found)) % folds
    return fold[np.searchsorted(found, pieces)]
