"""Does an exported file answer as the Keras model does? Compared on real images."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import GateError
from tfft.runtime.predictor import Outputs, Predictor

# Largest difference of a probability that the order of float32 additions explains: some 1e-6 in
# the logits of a deep network, times their size.
FLOAT_ROUNDING = 1e-4
# The same where the pixels come from another decoder: Pillow's differ by 2e-4 of 255 levels.
OTHER_DECODER = 1e-3
_BATCH_SIZE = 32


@dataclass(frozen=True)
class ParityCheck:
    """How a file compares with the Keras model.

    Attributes:
        images: number of real images compared.
        largest_difference: of a probability.
        top1_agreement: share of images with the same answer.
        accuracy: of the file; keras_accuracy: of the Keras model on the same images.
    """

    images: int
    largest_difference: float
    top1_agreement: float
    accuracy: float
    keras_accuracy: float

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Reference:
    """The images of a check with their labels, and how the Keras model answers.

    Attributes:
        keras: the Keras model.
        images: to compare on.
        labels: int64 [n] by head, in the model's numbering.
    """

    keras: Predictor
    images: ImageIndex
    labels: dict[str, np.ndarray]

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
            tolerance: on probabilities.
            rounded: the file takes whole pixel values, so both answer on rounded pixels.
            from_bytes: the file decodes itself and cuts no boxes, so neither does Keras.

        Raises:
            GateError: It does not agree.
        """
        boxes = None if from_bytes else self.images.boxes
        expected = self._answers(self._keras_answer(rounded), boxes)
        actual = self._answers(predictor.probabilities_from_bytes, boxes)
        checks = [_check(actual[head], expected[head], self.labels[head]) for head in self.labels]
        worst = max(checks, key=lambda check: check.largest_difference)
        _require(worst, actual, expected, what, tolerance)
        if predictor.info.heads != self.keras.info.heads:
            raise GateError(f"{what}: its class names are not those of the model; not put in place")
        return worst

    def _keras_answer(self, rounded: bool) -> Callable[..., Outputs]:
        def answer(encoded: Sequence[bytes], boxes: np.ndarray | None) -> Outputs:
            pixels = self.keras.pixels(encoded, boxes)
            return self.keras.probabilities(np.clip(np.rint(pixels), 0, 255) if rounded else pixels)

        return answer

    def _answers(self, answer: Callable[..., Outputs], boxes: np.ndarray | None) -> Outputs:
        parts = []
        for start in range(0, len(self.images), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(self.images)))
            encoded = [self.images.read(position) for position in batch]
            parts.append(answer(encoded, None if boxes is None else boxes[batch]))
        return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}


def spread_over_classes(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns positions of `count` examples (or all), the classes in turn, in ascending order."""
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        found = np.flatnonzero(labels == label)
        turn[found] = np.arange(len(found))
    return np.sort(np.argsort(turn, kind="stable")[:count])


def _check(actual: np.ndarray, expected: np.ndarray, labels: np.ndarray) -> ParityCheck:
    difference = np.abs(actual - expected).max()
    answers, wanted = actual.argmax(axis=1), expected.argmax(axis=1)
    return ParityCheck(
        images=len(labels),
        largest_difference=float(difference) if np.isfinite(difference) else float("inf"),
        top1_agreement=float((answers == wanted).mean()),
        accuracy=float((answers == labels).mean()),
        keras_accuracy=float((wanted == labels).mean()),
    )


def _require(
    check: ParityCheck, actual: Outputs, expected: Outputs, what: str, tolerance: float
) -> None:
    if check.largest_difference > tolerance:
        raise GateError(
            f"{what} does not answer as the Keras model does: a probability differs by "
            f"{check.largest_difference:.3g} where {tolerance:g} is allowed; the answers agree on "
            f"{check.top1_agreement:.1%} of {check.images} images (accuracy {check.accuracy:.4f} "
            f"against {check.keras_accuracy:.4f}). It is not put in place."
        )
    for head, probabilities in expected.items():
        best_two = np.sort(probabilities, axis=1)[:, -2:]
        decided = best_two[:, 1] - best_two[:, 0] > 2 * tolerance
        other = actual[head].argmax(axis=1) != probabilities.argmax(axis=1)
        if (decided & other).any():
            raise GateError(f"{what} gives other answers than the Keras model; not put in place")
