"""Does an exported file answer as the Keras model does? Compared on real images."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import GateError
from tfft.metrics.heads import head_metrics, main_metric
from tfft.runtime.info import HeadInfo
from tfft.runtime.predictor import Outputs, Predictor

# Largest difference of a probability that the order of float32 additions explains: some 1e-6 in
# the logits of a deep network, times their size.
FLOAT_ROUNDING = 1e-4
# The same where the pixels come from another decoder: Pillow's differ by 2e-4 of 255 levels.
OTHER_DECODER = 1e-3
# By how the weights are stored; what 16 bits may move is small beside what decides.
SAVED_MODEL_TOLERANCE = {"float32": FLOAT_ROUNDING, "float16": 0.02, "bfloat16": 0.1}
_BATCH_SIZE = 32


@dataclass(frozen=True)
class ParityCheck:
    """How a file compares with the Keras model.

    Attributes:
        images: number of real images compared.
        largest_difference: of a probability, or of a box's edge as a share of the picture, or of a
            number relative to the largest; None where an answer is no number.
        heads: by head, its own largest difference, its figure (accuracy, f1, mae or mean_iou) and
            that of the Keras model on the same images, and for classification ``top1_agreement``,
            the share of images with the same answer.
    """

    images: int
    largest_difference: float | None
    heads: dict[str, dict[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON values; a single head's are not under its name."""
        values = asdict(self)
        heads = values.pop("heads")
        return (
            {**values, **next(iter(heads.values()))}
            if len(heads) == 1
            else {**values, "heads": heads}
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """The answers of a file beside those of the Keras model.

    Attributes:
        heads: of the Keras model.
        file_heads: what the file says of its heads.
        actual: the file's answers by head.
        expected: the Keras model's.
        targets: the right answers.
        check: the figures.
    """

    heads: dict[str, HeadInfo]
    file_heads: dict[str, HeadInfo]
    actual: Outputs
    expected: Outputs
    targets: dict[str, np.ndarray]
    check: ParityCheck

    def require_same(self, what: str, tolerance: float) -> None:
        """Raises a GateError unless all answers are equal to a tolerance, as for float files."""
        for name, head in self.heads.items():
            where = what if len(self.heads) == 1 else f"{what}, head {name}"
            check = self.check.heads[name]
            _require(head, check, self.actual[name], self.expected[name], where, tolerance)
        if self.file_heads != self.heads:
            raise GateError(f"{what}: its class names are not those of the model; not put in place")


@dataclass(frozen=True, eq=False)
class Reference:
    """The images of a check with their labels, and how the Keras model answers.

    Attributes:
        keras: the Keras model.
        images: to compare on.
        targets: by head, as `tfft.evaluation.data.targets_of_model` gives them.
    """

    keras: Predictor
    images: ImageIndex
    targets: dict[str, np.ndarray]
    # What the Keras model answered, by kind of input; it is asked once.
    _expected: dict[tuple[bool, bool], Outputs] = field(default_factory=dict)

    def compare(
        self,
        predictor: Predictor,
        what: str,
        tolerance: float,
        *,
        rounded: bool = False,
        from_bytes: bool = False,
    ) -> ParityCheck:
        """Compares a file with the Keras model.

        Args:
            predictor: the file.
            what: it is called in the error.
            tolerance: on probabilities, edges of boxes and (relative) numbers.
            rounded: the file takes whole pixel values, so both answer on rounded pixels.
            from_bytes: the file decodes itself and cuts no boxes, so neither does Keras.

        Raises:
            GateError: It does not agree.
        """
        comparison = self.comparison(predictor, rounded=rounded, from_bytes=from_bytes)
        comparison.require_same(what, tolerance)
        return comparison.check

    def comparison(
        self, predictor: Predictor, *, rounded: bool = False, from_bytes: bool = False
    ) -> "Comparison":
        """Lets a file answer beside the Keras model, and judges nothing; arguments of `compare`."""
        boxes = None if from_bytes else self.images.boxes
        kind = (rounded, from_bytes)
        if kind not in self._expected:
            self._expected[kind] = self._answers(self._keras_answer(rounded), boxes)
        actual = self._answers(predictor.answers_from_bytes, boxes)
        heads = self.keras.info.heads
        checks = {
            name: _check(head, actual[name], self._expected[kind][name], self.targets[name])
            for name, head in heads.items()
        }
        worst = max(_largest(check) for check in checks.values())
        return Comparison(
            heads,
            predictor.info.heads,
            actual,
            self._expected[kind],
            self.targets,
            ParityCheck(len(self.images), _finite(worst), checks),
        )

    def _keras_answer(self, rounded: bool) -> Callable[..., Outputs]:
        def answer(encoded: Sequence[bytes], boxes: np.ndarray | None) -> Outputs:
            pixels = self.keras.pixels(encoded, boxes)
            return self.keras.answers(np.clip(np.rint(pixels), 0, 255) if rounded else pixels)

        return answer

    def _answers(self, answer: Callable[..., Outputs], boxes: np.ndarray | None) -> Outputs:
        parts = []
        for start in range(0, len(self.images), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(self.images)))
            encoded = [self.images.read(position) for position in batch]
            parts.append(answer(encoded, None if boxes is None else boxes[batch]))
        return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}


def require_figures(check: ParityCheck, what: str, max_drop: float) -> None:
    """Refuses a file that is less accurate than the Keras model.

    Args:
        check: on evaluation images.
        what: the file is called in the error.
        max_drop: how much of accuracy, f1 or mean IoU a head may lose.

    Raises:
        GateError: A head loses more.
    """
    for head, figures in check.heads.items():
        for name in ("accuracy", "f1", "mean_iou"):
            figure, of_keras = figures.get(name), figures.get(f"keras_{name}")
            if figure is not None and of_keras is not None and of_keras - figure > max_drop:
                raise GateError(
                    f"{what}, head {head}: {name} {figure:.4f} is below the Keras model's "
                    f"{of_keras:.4f} by more than {max_drop:g} (--max-accuracy-drop). It is not "
                    "put in place."
                )


def spread_over_classes(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns positions of `count` examples (or all), the classes in turn, in ascending order."""
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        found = np.flatnonzero(labels == label)
        turn[found] = np.arange(len(found))
    return np.sort(np.argsort(turn, kind="stable")[:count])


def _check(
    head: HeadInfo, actual: np.ndarray, expected: np.ndarray, targets: np.ndarray
) -> dict[str, float | None]:
    scale = max(float(np.abs(expected).max()), 1e-6) if head.kind == "regression" else 1.0
    difference = float(np.abs(actual - expected).max()) / scale
    check: dict[str, float | None] = {"largest_difference": _finite(difference)}
    if head.kind == "classification":
        check["top1_agreement"] = float((actual.argmax(axis=1) == expected.argmax(axis=1)).mean())
    name, figure = main_metric(head, head_metrics(head, np.nan_to_num(actual), targets))
    _, of_keras = main_metric(head, head_metrics(head, expected, targets))
    name = "accuracy" if name == "top1" else name
    return {**check, name: figure, f"keras_{name}": of_keras}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _largest(check: dict[str, float | None]) -> float:
    """The largest difference of a head; infinite where an answer is no number."""
    difference = check["largest_difference"]
    return float("inf") if difference is None else difference


def _require(
    head: HeadInfo,
    check: dict[str, float | None],
    actual: np.ndarray,
    expected: np.ndarray,
    what: str,
    tolerance: float,
) -> None:
    if _largest(check) > tolerance:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in check.items() if value)
        raise GateError(
            f"{what} does not answer as the Keras model does: an answer differs by "
            f"{_largest(check):.3g} where {tolerance:g} is allowed ({figures}). It is not put in "
            "place."
        )
    if head.kind == "classification":
        best_two = np.sort(expected, axis=1)[:, -2:]
        decided = best_two[:, 1] - best_two[:, 0] > 2 * tolerance
        if (decided & (actual.argmax(axis=1) != expected.argmax(axis=1))).any():
            raise GateError(f"{what} gives other answers than the Keras model; not put in place")
