"""Whether an exported file answers as the Keras model does, compared on real images."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import GateError
from tfft.metrics.heads import head_metrics, main_metric
from tfft.runtime.info import HeadInfo
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.names import UNLIKENESS

# Largest difference of a probability that the order of float32 additions explains: about 1e-6 in
# the logits of a deep network, times their size.
FLOAT_ROUNDING = 1e-4
# The same for pixels from another decoder: Pillow's differ by 2e-4 of 255 levels.
OTHER_DECODER = 1e-3
# Largest difference of `UNLIKENESS`, as a share of it or of the threshold: it is a difference of
# squares, in which rounding counts for more.
_SAME_UNLIKENESS = 1e-3
# By storage of the weights; what 16 bits change is small beside what decides an answer.
SAVED_MODEL_TOLERANCE = {"float32": FLOAT_ROUNDING, "float16": 0.02, "bfloat16": 0.1}
# Name of the metric of a head in a check, by the head's kind: its main metric, top-1 as accuracy.
CHECKED_METRICS = {
    "classification": "accuracy",
    "multi_label": "f1",
    "regression": "mae",
    "box": "mean_iou",
}
_BATCH_SIZE = 32


@dataclass(frozen=True)
class ParityCheck:
    """How a file compares with the Keras model.

    Attributes:
        images: Number of real images compared.
        largest_difference: Largest difference of all heads; None where an answer is not a number.
        heads: By head, its `agreement`, its metric (accuracy, f1, mae or mean_iou) and that of the
            Keras model on the same images.
        unsure: Of a model that says where it is unsure: ``largest_difference`` of ``unlikeness``,
            as a share of it where that is above 1; ``agreement``, the share of images on the same
            side of the threshold; ``kept`` and ``keras_kept``, the shares within it. {} of others.
    """

    images: int
    largest_difference: float | None
    heads: dict[str, dict[str, float | None]]
    unsure: dict[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the check as JSON values; those of a single head are not under its name."""
        values = asdict(self)
        heads = values.pop("heads")
        if not self.unsure:
            del values["unsure"]
        return (
            {**values, **next(iter(heads.values()))}
            if len(heads) == 1
            else {**values, "heads": heads}
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """The answers of a file beside those of the Keras model.

    Attributes:
        heads: Heads of the Keras model.
        file_heads: Heads as the file describes them.
        actual: Answers of the file by head.
        expected: Answers of the Keras model by head.
        targets: Right answers by head.
        check: How the two compare.
    """

    heads: dict[str, HeadInfo]
    file_heads: dict[str, HeadInfo]
    actual: Outputs
    expected: Outputs
    targets: dict[str, np.ndarray]
    check: ParityCheck

    def require_same(self, what: str, tolerance: float) -> None:
        """Raises a GateError unless all answers agree within a tolerance, as float files must."""
        for name, head in self.heads.items():
            where = what if len(self.heads) == 1 else f"{what}, head {name}"
            actual, expected = self.actual[name], self.expected[name]
            check = self.check.heads[name]
            if _largest(check) > tolerance:
                values = ", ".join(f"{key} {value:.4g}" for key, value in check.items() if value)
                raise GateError(
                    f"{where} does not answer as the Keras model does: an answer differs by "
                    f"{_largest(check):.3g} where {tolerance:g} is allowed ({values}). It is not "
                    "put in place."
                )
            if head.kind == "classification":
                best_two = np.sort(expected, axis=1)[:, -2:]
                decided = best_two[:, 1] - best_two[:, 0] > 2 * tolerance
                if (decided & (actual.argmax(axis=1) != expected.argmax(axis=1))).any():
                    raise GateError(
                        f"{where} gives other answers than the Keras model; not put in place"
                    )
        unsure, allowed = self.check.unsure, max(tolerance, _SAME_UNLIKENESS)
        if unsure and _largest(unsure) > allowed:
            raise GateError(
                f"{what} is not unsure as the Keras model is: {UNLIKENESS} differs by "
                f"{_largest(unsure):.3g} where {allowed:g} is allowed; not put in place"
            )
        if self.file_heads != self.heads:
            raise GateError(f"{what}: its class names are not those of the model; not put in place")


@dataclass(frozen=True, eq=False)
class Reference:
    """The images of a check with their labels, and how the Keras model answers.

    Attributes:
        original: The Keras model.
        images: Images to compare on.
        targets: Targets by head, as `tfft.evaluation.data.targets_of_model` gives them.
    """

    original: Predictor
    images: ImageIndex
    targets: dict[str, np.ndarray]
    # Answers of the Keras model by kind of input, computed once.
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
            predictor: Predictor of the file.
            what: Name of the file in the error.
            tolerance: Largest difference allowed of probabilities, edges of boxes and (relative)
                numbers.
            rounded: Whether both answer on rounded pixels, as the file takes whole values.
            from_bytes: Whether both answer on whole images, as the file decodes them itself and
                cuts no boxes.

        Raises:
            GateError: The file does not agree.
        """
        comparison = self.comparison(predictor, rounded=rounded, from_bytes=from_bytes)
        comparison.require_same(what, tolerance)
        return comparison.check

    def comparison(
        self, predictor: Predictor, *, rounded: bool = False, from_bytes: bool = False
    ) -> "Comparison":
        """Returns the answers of both without judging them; arguments as for `compare`."""
        boxes = None if from_bytes else self.images.boxes
        expected = self.expected(rounded=rounded, from_bytes=from_bytes)
        actual = answers_in_batches(self.images, predictor.answers_from_bytes, boxes)
        checks = {}
        for name, head in self.original.info.heads.items():
            ours = head_metrics(head, np.nan_to_num(actual[name]), self.targets[name])
            theirs = head_metrics(head, expected[name], self.targets[name])
            metric = CHECKED_METRICS[head.kind]
            checks[name] = {
                **agreement(head, actual[name], expected[name]),
                metric: main_metric(head, ours)[1],
                f"keras_{metric}": main_metric(head, theirs)[1],
            }
        worst = max(_largest(check) for check in checks.values())
        unsure = unsure_agreement(actual, expected)
        return Comparison(
            self.original.info.heads,
            predictor.info.heads,
            actual,
            expected,
            self.targets,
            ParityCheck(len(self.images), _finite(worst), checks, unsure),
        )

    def expected(self, *, rounded: bool = False, from_bytes: bool = False) -> Outputs:
        """Returns the answers of the Keras model by head, computed once; as for `compare`."""
        kind = (rounded, from_bytes)
        if kind not in self._expected:
            boxes = None if from_bytes else self.images.boxes
            answer = partial(self._answer, rounded)
            self._expected[kind] = answers_in_batches(self.images, answer, boxes)
        return self._expected[kind]

    def _answer(self, rounded: bool, encoded: Sequence[bytes], boxes: np.ndarray | None) -> Outputs:
        pixels = self.original.pixels(encoded, boxes)
        return self.original.answers(np.clip(np.rint(pixels), 0, 255) if rounded else pixels)


def answers_in_batches(
    images: ImageIndex,
    answer: Callable[[Sequence[bytes], np.ndarray | None], Outputs],
    boxes: np.ndarray | None = None,
    advance: Callable[[int], None] | None = None,
) -> Outputs:
    """Returns the answers on all images by head, float32 [len(images), ...].

    Args:
        images: Images to answer on.
        answer: Answers a batch of encoded images, cut to boxes unless these are None.
        boxes: Boxes of the images, float32 [len(images), 4]; None: the images are not cut.
        advance: Called with the number of images of each batch that is done.
    """
    parts = []
    for start in range(0, len(images), _BATCH_SIZE):
        batch = range(start, min(start + _BATCH_SIZE, len(images)))
        encoded = [images.read(position) for position in batch]
        parts.append(answer(encoded, None if boxes is None else boxes[batch]))
        if advance is not None:
            advance(len(batch))
    return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}


def agreement(head: HeadInfo, actual: np.ndarray, expected: np.ndarray) -> dict[str, float | None]:
    """Returns how well the answers of a head agree with those expected.

    Args:
        head: Description of the head.
        actual: Answers to compare, float [images, ...].
        expected: Answers to compare with, float [images, ...].

    Returns:
        ``largest_difference`` of a probability, of an edge of a box as a share of the image, or of
        a number relative to the largest, None where an answer is not a number; and for
        classification ``top1_agreement``, the share of images with the same answer.
    """
    scale = max(float(np.abs(expected).max()), 1e-6) if head.kind == "regression" else 1.0
    difference = _finite(float(np.abs(actual - expected).max()) / scale)
    if head.kind != "classification":
        return {"largest_difference": difference}
    same = float((actual.argmax(axis=1) == expected.argmax(axis=1)).mean())
    return {"largest_difference": difference, "top1_agreement": same}


def unsure_agreement(actual: Outputs, expected: Outputs) -> dict[str, float | None]:
    """Returns how well answers agree on what is unsure, as `ParityCheck.unsure` has it."""
    if UNLIKENESS not in expected:
        return {}
    one, other = actual[UNLIKENESS][:, 0], expected[UNLIKENESS][:, 0]
    difference = float((np.abs(one - other) / np.maximum(other, 1.0)).max())
    return {
        "largest_difference": _finite(difference),
        "agreement": float(((one <= 1.0) == (other <= 1.0)).mean()),
        "kept": float((one <= 1.0).mean()),
        "keras_kept": float((other <= 1.0).mean()),
    }


def require_metrics(check: ParityCheck, what: str, max_drop: float) -> None:
    """Refuses a file that is less accurate than the Keras model.

    Args:
        check: Check of the file on evaluation images.
        what: Name of the file in the error.
        max_drop: How much of accuracy, F1 or mean IoU a head may lose.

    Raises:
        GateError: A head loses more.
    """
    for head, metrics in check.heads.items():
        for name in ("accuracy", "f1", "mean_iou"):
            value, of_keras = metrics.get(name), metrics.get(f"keras_{name}")
            if value is not None and of_keras is not None and of_keras - value > max_drop:
                raise GateError(
                    f"{what}, head {head}: {name} {value:.4f} is below the Keras model's "
                    f"{of_keras:.4f} by more than {max_drop:g} (--max-accuracy-drop). It is not "
                    "put in place."
                )


def spread_over_classes(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns positions of `count` examples (or all) from each class in turn, ascending."""
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        found = np.flatnonzero(labels == label)
        turn[found] = np.arange(len(found))
    return np.sort(np.argsort(turn, kind="stable")[:count])


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _largest(check: dict[str, float | None]) -> float:
    """Returns the largest difference of a head; infinite where an answer is not a number."""
    difference = check["largest_difference"]
    return float("inf") if difference is None else difference
