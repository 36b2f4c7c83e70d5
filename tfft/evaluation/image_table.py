"""What a model said of each image of an evaluation, beside what is true, as a CSV file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfft.data.sources.manifest import LABELS_BETWEEN
from tfft.metrics.boxes import iou
from tfft.runtime.info import HeadInfo
from tfft.system.names import UNLIKENESS
from tfft.system.tables import written_table

_EDGES = ("ymin", "xmin", "ymax", "xmax")


def write_image_table(
    path: Path,
    ids: Sequence[str],
    heads: Mapping[str, HeadInfo],
    answers: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
) -> None:
    """Writes a row for each of N images: its name, and what each head says of it.

    A classification has the columns ``label``, ``predicted``, ``probability``,
    ``label_probability`` and ``right`` (1 or 0); labels ``labels``, ``predicted`` (those that
    apply) and ``right`` (1 where all are); a number ``value``, ``predicted`` and ``error``; a box
    ``iou`` and the edges that were predicted. Where there are several heads the columns begin with
    their names. What is missing in the data is an empty cell. The last column is ``unlikeness``, if
    the model measures it.

    Args:
        path: The file; one that is there is replaced.
        ids: Names of the images.
        heads: Heads by name.
        answers: Their answers, as `Predictor.answers` gives them, float32 [N, ...].
        targets: What is true, as `tfft.evaluation.data.targets_of_model` gives it.

    Raises:
        TfftError: The disk is full, or `path` cannot be written to.
    """
    columns: dict[str, Sequence[object]] = {"path": ids}
    for name, head in heads.items():
        found = _COLUMNS[head.kind](head, answers[name], targets[name])
        prefix = "" if len(heads) == 1 else f"{name}_"
        columns |= {f"{prefix}{column}": values for column, values in found.items()}
    if UNLIKENESS in answers:
        columns[UNLIKENESS] = _rounded(answers[UNLIKENESS][:, 0])
    with written_table(path, list(columns)) as write:
        for row in zip(*columns.values(), strict=True):
            write(row)


def _classes(
    head: HeadInfo, answers: np.ndarray, labels: np.ndarray
) -> dict[str, Sequence[object]]:
    names, predicted, every = head.class_names, answers.argmax(axis=1), np.arange(len(answers))
    return {
        "label": [names[k] for k in labels],
        "predicted": [names[k] for k in predicted],
        "probability": _rounded(answers[every, predicted]),
        "label_probability": _rounded(answers[every, labels]),
        "right": (predicted == labels).astype(int).tolist(),
    }


def _labels(head: HeadInfo, answers: np.ndarray, truth: np.ndarray) -> dict[str, Sequence[object]]:
    thresholds = np.array([head.threshold(k) for k in range(len(head.class_names))], np.float32)
    applies, is_true = answers > thresholds, truth > 0

    def texts(rows: np.ndarray) -> list[str]:
        return [
            LABELS_BETWEEN.join(head.class_names[k] for k in np.flatnonzero(row)) for row in rows
        ]

    right = (applies == is_true).all(axis=1)
    return {
        "labels": texts(is_true),
        "predicted": texts(applies),
        "right": right.astype(int).tolist(),
    }


def _numbers(_: HeadInfo, answers: np.ndarray, truth: np.ndarray) -> dict[str, Sequence[object]]:
    return {
        "value": _rounded(truth[:, 0]),
        "predicted": _rounded(answers[:, 0]),
        "error": _rounded(answers[:, 0].astype(np.float64) - truth[:, 0]),
    }


def _boxes(_: HeadInfo, answers: np.ndarray, truth: np.ndarray) -> dict[str, Sequence[object]]:
    edges = {edge: _rounded(answers[:, place]) for place, edge in enumerate(_EDGES)}
    return {"iou": _rounded(iou(answers, truth)), **edges}


_COLUMNS = {
    "classification": _classes,
    "multi_label": _labels,
    "regression": _numbers,
    "box": _boxes,
}


def _rounded(values: np.ndarray) -> list[float | None]:
    """Returns numbers to six digits behind the point; None for what is missing."""
    return [None if np.isnan(value) else round(float(value), 6) for value in values]
