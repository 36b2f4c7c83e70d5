"""The gate for files whose answers differ by design: whether a smaller file is as accurate."""

import numpy as np

from tfft.errors import GateError
from tfft.exports.parity import CHECKED_METRICS, Comparison
from tfft.runtime.info import HeadInfo

# Keras is sure of an image if its best class leads by more; rounding does not change such answers.
_SURE = 0.5
# One such answer may be lost by chance, but not all of a class.
_SURE_IMAGES = 2


def accuracy_drop(comparison: Comparison) -> float:
    """Returns by how much the file is worse than the Keras model, on its worst head.

    This is the difference of accuracy, F1 or mean IoU; for numbers, that of the mean absolute error
    as a share of the standard deviation of the right answers. It is negative if the file is better.
    """
    drops = []
    for name, head in comparison.heads.items():
        check, metric = comparison.check.heads[name], CHECKED_METRICS[head.kind]
        of_file, of_keras = (float(check[key] or 0.0) for key in (metric, f"keras_{metric}"))
        if head.kind == "regression":
            targets = comparison.targets[name]
            spread = float(targets[np.isfinite(targets)].std())
            drops.append((of_file - of_keras) / max(spread, 1e-9))
        else:
            drops.append(of_keras - of_file)
    return max(drops)


def require_accuracy(comparison: Comparison, what: str, max_drop: float) -> None:
    """Requires that a file is about as accurate as the Keras model and has not swapped classes.

    Args:
        comparison: Comparison on evaluation images.
        what: Name of the file in the error.
        max_drop: Largest `accuracy_drop` that is allowed.

    Raises:
        GateError: The file is worse, or is unsure of more of the images.
    """
    if comparison.file_heads != comparison.heads:
        raise GateError(f"{what}: its class names are not those of the model; not put in place")
    for name, head in comparison.heads.items():
        if not np.isfinite(comparison.actual[name]).all():
            raise GateError(f"{what} gives answers that are not numbers; not put in place")
        if head.kind == "classification":
            _require_every_class(comparison, name, head, what)
    kept, of_keras = (comparison.check.unsure.get(key) or 0.0 for key in ("kept", "keras_kept"))
    if of_keras - kept > max_drop:
        raise GateError(
            f"{what} is unsure of {1.0 - kept:.1%} of {comparison.check.images} images, and the "
            f"Keras model of {1.0 - of_keras:.1%}, where {max_drop:g} more is allowed "
            "(--max-accuracy-drop); not put in place"
        )
    drop = accuracy_drop(comparison)
    if drop > max_drop:
        raise GateError(
            f"{what} is worse than the Keras model by {drop:.4f} on {comparison.check.images} "
            f"images, where {max_drop:g} is allowed (--max-accuracy-drop); not put in place"
        )


def _require_every_class(comparison: Comparison, name: str, head: HeadInfo, what: str) -> None:
    """Raises a GateError if a class is lost, which the accuracy hides where it has few images."""
    expected, actual = comparison.expected[name], comparison.actual[name]
    best_two = np.sort(expected, axis=1)[:, -2:]
    sure = best_two[:, 1] - best_two[:, 0] > _SURE
    answers = expected.argmax(axis=1)[sure]
    same = answers == actual.argmax(axis=1)[sure]
    for label in np.unique(answers):
        of_label = answers == label
        if of_label.sum() >= _SURE_IMAGES and not same[of_label].any():
            raise GateError(
                f"{what} never says {head.class_names[label]!r} where the Keras model is sure of "
                f"it ({of_label.sum()} images); not put in place"
            )
