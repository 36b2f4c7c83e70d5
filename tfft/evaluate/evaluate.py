"""A MODEL on a split of data: its figures."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import DataError
from tfft.evaluate.answers import save_answers
from tfft.evaluate.data import evaluation_images, targets_of_model
from tfft.metrics.heads import head_metrics
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.files import write_json
from tfft.system.progress import SILENT, Progress

# Batches that are decoded while the one before them is predicted.
_BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model.

    Attributes:
        model: path that was evaluated.
        split: ``train``, ``validation``, ``test`` or ``all``.
        examples: number of images.
        metrics: by head, as `tfft.metrics` gives them for its kind.
    """

    model: str
    split: str
    examples: int
    metrics: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft evaluate --json`` prints."""
        return {
            "model": self.model,
            "split": self.split,
            "examples": self.examples,
            "metrics": self.metrics,
        }


def evaluate(
    model: str | Path | Predictor,
    *,
    split: str = "test",
    data: Path | None = None,
    batch_size: int = 32,
    progress: Progress = SILENT,
) -> Evaluation:
    """Evaluates a MODEL; the images are decoded by that model's own client.

    Memory does not grow with the number of images, but for 4 bytes a class and image. Where the
    model is a run directory, the figures are also written to its ``evaluation/<split>.json``, and
    what it says about each image beside them.

    Args:
        model: a run directory, a ``.keras`` file, a SavedModel directory, a ``.tflite`` file, or
            a predictor.
        split: ``train``, ``validation``, ``test`` or ``all``.
        data: a directory with one folder a class, or a manifest; default: the data that the model
            was trained on. Other data without splits of their own are taken whole.
        batch_size: images at a time.
        progress: where the work is reported.

    Raises:
        ModelFileError: `model` is no model.
        DataError: There is no such split, or it has classes that the model does not know.
    """
    predictor = load_predictor(model) if isinstance(model, str | Path) else model
    index, loaded, split = evaluation_images(predictor.info, split, data, progress)
    targets = targets_of_model(predictor.info, index, loaded.class_names)
    answers = predict_index(predictor, index, batch_size, f"evaluating on {split} images", progress)
    metrics = {
        name: head_metrics(head, answers[name], targets[name])
        for name, head in predictor.info.heads.items()
    }
    evaluation = Evaluation(_model_path(predictor), split, len(index), metrics)
    run = Path(evaluation.model)
    if data is None and (run / "run.json").is_file():
        write_json(run / "evaluation" / f"{split}.json", evaluation.to_json())
        save_answers(run, split, index.ids, targets, answers)
    return evaluation


def predict_index(
    predictor: Predictor, index: ImageIndex, batch_size: int, description: str, progress: Progress
) -> Outputs:
    """Returns what each head says, float32 [len(index), ...], in the order of `index`."""
    task = progress.start(description, len(index))
    parts: list[Outputs] = []
    try:
        for outputs in _batches(predictor, index, batch_size):
            parts.append(outputs)
            task.advance(len(next(iter(outputs.values()))))
    finally:
        task.close()
    return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}


def _batches(predictor: Predictor, index: ImageIndex, batch_size: int) -> Iterator[Outputs]:
    if predictor.decoder == "model" and index.boxes is None:
        for encoded in _encoded(index, batch_size):
            yield predictor.answers_from_bytes(encoded)
    elif predictor.decoder == "pillow":
        for pixels in _decoded(predictor, index, batch_size):
            yield predictor.answers(pixels)
    else:
        from tfft.data.pipeline import evaluation_batches

        for batch in evaluation_batches(index, predictor.info.pixels, batch_size):
            yield predictor.answers(batch["images"].numpy())


def _encoded(index: ImageIndex, batch_size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(index), batch_size):
        end = min(start + batch_size, len(index))
        yield [index.read(position) for position in range(start, end)]


def _decoded(predictor: Predictor, index: ImageIndex, batch_size: int) -> Iterator[np.ndarray]:
    """Yields the pixels of batches, decoded by threads while the batch before is predicted."""
    starts = range(0, len(index), batch_size)

    def decode(start: int) -> np.ndarray:
        batch = range(start, min(start + batch_size, len(index)))
        boxes = None if index.boxes is None else index.boxes[batch.start : batch.stop]
        return _pixels(predictor, index, batch, boxes)

    with ThreadPoolExecutor(_BATCHES_AHEAD) as decoders:
        waiting = deque(decoders.submit(decode, start) for start in starts[:_BATCHES_AHEAD])
        for start in [*starts[_BATCHES_AHEAD:], *[None] * len(waiting)]:
            pixels = waiting.popleft().result()
            if start is not None:
                waiting.append(decoders.submit(decode, start))
            yield pixels


def _pixels(
    predictor: Predictor, index: ImageIndex, batch: range, boxes: np.ndarray | None
) -> np.ndarray:
    encoded = [index.read(position) for position in batch]
    try:
        return predictor.pixels(encoded, boxes)
    except DataError:
        for position, image in zip(batch, encoded, strict=True):
            try:
                predictor.pixels([image])
            except DataError as error:
                raise DataError(f"{index.ids[position]}: {error}") from error
        raise


def _model_path(predictor: Predictor) -> str:
    """The path of a model as a user names it: a run, not the file in it."""
    path = Path(predictor.path)
    return str(path.parent if (path.parent / "run.json").is_file() else path)
