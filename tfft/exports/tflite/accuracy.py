"""Is a smaller file still as accurate? The gate for files whose answers differ by design."""

import numpy as np

from tfft.errors import GateError
from tfft.exports.parity import Comparison
from tfft.runtime.info import HeadInfo

# Keras is sure of an image if its best class leads by more; rounding does not turn such answers.
_SURE = 0.5
# One such answer may be lost by chance, all of a class's are not.
_SURE_IMAGES = 2
_FIGURES = {
    "classification": "accuracy",
    "multi_label": "f1",
    "regression": "mae",
    "box": "mean_iou",
}


def accuracy_drop(comparison: Comparison) -> float:
    """Returns by how much the file is worse than the Keras model, on its worst head.

    A difference of accuracy, F1 or mean IoU; for numbers, of the mean absolute error as a share of
    the standard deviation of the right answers. Negative: the file is better.
    """
    return max(_drop(comparison, name, head) for name, head in comparison.heads.items())


def require_accuracy(comparison: Comparison, what: str, max_drop: float) -> None:
    """Lets a file pass that is about as accurate as the Keras model and has not swapped classes.

    Args:
        comparison: on evaluation images.
        what: the file is called in the error.
        max_drop: the largest `accuracy_drop` that passes.

    Raises:
        GateError: It does not pass.
    """
    if comparison.file_heads != comparison.heads:
        raise GateError(f"{what}: its class names are not those of the model; not put in place")
    for name, head in comparison.heads.items():
        if not np.isfinite(comparison.actual[name]).all():
            raise GateError(f"{what} gives answers that are no numbers; not put in place")
        if head.kind == "classification":
            _require_every_class(comparison, name, head, what)
    drop = accuracy_drop(comparison)
    if drop > max_drop:
        raise GateError(
            f"{what} is worse than the Keras model by {drop:.4f} on {comparison.check.images} "
            f"images, where {max_drop:g} is allowed (--max-accuracy-drop); not put in place"
        )


def _drop(comparison: Comparison, name: str, head: HeadInfo) -> float:
    check, figure = comparison.check.heads[name], _FIGURES[head.kind]
    file, keras = (float(check[key] or 0.0) for key in (figure, f"keras_{figure}"))
    if head.kind != "regression":
        return keras - file
    targets = comparison.targets[name]
    spread = float(targets[np.isfinite(targets)].std())
    return (file - keras) / max(spread, 1e-9)


def _require_every_class(comparison: Comparison, name: str, head: HeadInfo, what: str) -> None:
    """Finds classes whose answers went elsewhere, which few images hide in the accuracy."""
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
