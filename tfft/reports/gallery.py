"""The mistakes that a head is surest of, with their photos and where the model looked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tfft.data.index import ImageIndex
from tfft.metrics.boxes import iou
from tfft.reports.names import percent
from tfft.reports.photos import data_uri, overlaid
from tfft.runtime.info import HeadInfo
from tfft.runtime.keras_predictor import KerasPredictor

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mistake:
    """One image that a head is wrong about.

    Attributes:
        position: Position of the image in its split.
        said: What the model says.
        true: What is true.
        how: How sure the model is, or how far off.
        output: Number of the output that is explained; None if no output is.
        boxes: Predicted and true box, as shares of the pixels; None for other heads.
    """

    position: int
    said: str
    true: str
    how: str
    output: int | None = None
    boxes: tuple[Box, Box] | None = None


@dataclass(frozen=True)
class Picture:
    """A mistake with its pictures as data URIs; `heat` is None where nothing is explained."""

    mistake: Mistake
    file: str
    photo: str
    heat: str | None


def worst_mistakes(
    head: HeadInfo, names: Sequence[str], answers: np.ndarray, targets: np.ndarray, most: int
) -> list[Mistake]:
    """Returns what a head is wrong about: the surest first, or the furthest off.

    Args:
        head: Description of the head.
        names: Names of its classes, as they are shown.
        answers: Answers of the head, as `Predictor.answers` gives them.
        targets: Targets, as `tfft.evaluation.data.targets_of_model` gives them.
        most: Largest number of mistakes to return.
    """
    if head.kind == "multi_label":
        limits = np.array([head.threshold(k) for k in range(len(names))], np.float32)
        return _of_labels(names, answers, targets, most, limits)
    find = {"classification": _of_classes, "regression": _of_numbers, "box": _of_boxes}[head.kind]
    return find(names, answers, targets, most)


def pictures(
    predictor: KerasPredictor,
    index: ImageIndex,
    mistakes: Sequence[Mistake],
    explain: Callable[[np.ndarray, np.ndarray], np.ndarray] | None,
) -> list[Picture]:
    """Returns the mistakes with their photos as the model sees them.

    Args:
        predictor: Model of the run.
        index: Images of the split that the positions refer to.
        mistakes: Mistakes of one head.
        explain: Returns maps for images and outputs, as `Saliency` does; None: nothing is
            explained.
    """
    if not mistakes:
        return []
    positions = [mistake.position for mistake in mistakes]
    boxes = None if index.boxes is None else index.boxes[positions]
    pixels = predictor.pixels([index.read(p) for p in positions], boxes)
    outputs = [mistake.output for mistake in mistakes]
    heats: Sequence[np.ndarray | None] = [None] * len(mistakes)
    if explain is not None and None not in outputs:
        heats = list(explain(pixels, np.array(outputs, np.int64)))
    return [
        Picture(
            mistake,
            index.ids[mistake.position],
            data_uri(photo),
            None if heat is None else data_uri(overlaid(photo, heat)),
        )
        for mistake, photo, heat in zip(mistakes, pixels, heats, strict=True)
    ]


def _of_classes(
    names: Sequence[str], answers: np.ndarray, targets: np.ndarray, most: int
) -> list[Mistake]:
    said = answers.argmax(axis=1)
    wrong = np.flatnonzero(said != targets)
    surest = wrong[np.argsort(-answers.max(axis=1)[wrong], kind="stable")][:most]
    mistakes = []
    for k in surest.tolist():
        output, true = int(said[k]), int(targets[k])
        sure, left = percent(float(answers[k, output])), percent(float(answers[k, true]))
        how = f"said with {sure}, the true class {left}"
        mistakes.append(Mistake(k, names[output], names[true], how, output))
    return mistakes


def _of_labels(
    names: Sequence[str], answers: np.ndarray, targets: np.ndarray, most: int, limits: np.ndarray
) -> list[Mistake]:
    """Returns the images with a label that is wrong, furthest off first, each with that label.

    Args:
        names: Names of the labels, as they are shown.
        answers: Probabilities, float [images, labels].
        targets: True labels, float [images, labels], 0 or 1.
        most: Largest number of mistakes to return.
        limits: Probability above which each label applies, float [labels].
    """
    applies = answers > limits
    off = np.where(applies == (targets > 0.5), 0.0, np.abs(answers - targets))
    label = off.argmax(axis=1)
    distance = off[np.arange(len(off)), label]
    worst = np.argsort(-distance, kind="stable")[:most]
    worst = worst[distance[worst] > 0]

    def listed(flags: np.ndarray) -> str:
        return ", ".join(name for name, flag in zip(names, flags, strict=True) if flag) or "none"

    return [
        Mistake(
            int(k),
            listed(applies[k]),
            listed(targets[k] > 0.5),
            f"{names[int(label[k])]}: said with {percent(float(answers[k, label[k]]))}",
            output=int(label[k]),
        )
        for k in worst
    ]


def _of_numbers(
    names: Sequence[str], answers: np.ndarray, targets: np.ndarray, most: int
) -> list[Mistake]:
    off = np.nan_to_num(np.abs(answers - targets)[:, 0], nan=-1.0)
    return [
        Mistake(int(k), f"{answers[k, 0]:.4g}", f"{targets[k, 0]:.4g}", f"off by {off[k]:.4g}")
        for k in np.argsort(-off, kind="stable")[:most]
        if off[k] > 0
    ]


def _of_boxes(
    names: Sequence[str], answers: np.ndarray, targets: np.ndarray, most: int
) -> list[Mistake]:
    known = np.flatnonzero(np.isfinite(targets).all(axis=1))
    overlaps = iou(answers[known], targets[known])
    order = np.argsort(overlaps, kind="stable")[:most]
    return [
        Mistake(
            int(known[k]),
            _box_text(answers[known[k]]),
            _box_text(targets[known[k]]),
            f"IoU {overlaps[k]:.2f}",
            boxes=(_box(answers[known[k]]), _box(targets[known[k]])),
        )
        for k in order
        if overlaps[k] < 0.5
    ]


def _box(values: np.ndarray) -> Box:
    top, left, bottom, right = (float(value) for value in values)
    return top, left, bottom, right


def _box_text(values: np.ndarray) -> str:
    top, left, bottom, right = values
    return f"{left:.2f}, {top:.2f} to {right:.2f}, {bottom:.2f}"
