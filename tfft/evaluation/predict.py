"""What a model says of all images of an index, decoded as its own clients decode them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import DataError, UnreadableImagesError
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.progress import Progress

# Batches that are decoded while the batch before them is predicted.
_BATCHES_AHEAD = 2


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
        for start in range(0, len(index), batch_size):
            batch = range(start, min(start + batch_size, len(index)))
            try:
                outputs = predictor.answers_from_bytes([index.read(k) for k in batch])
            except UnreadableImagesError as error:
                named = [f"{index.ids[batch[k]]}: {reason}" for k, reason in error.reasons.items()]
                raise DataError("\n".join(named)) from error
            yield outputs
    elif predictor.decoder == "pillow":
        for pixels in _decoded(predictor, index, batch_size):
            yield predictor.answers(pixels)
    else:
        from tfft.data.graph.pipeline import evaluation_batches

        for batch in evaluation_batches(index, predictor.info.pixels, batch_size):
            yield predictor.answers(batch["inputs"].numpy())


def _decoded(predictor: Predictor, index: ImageIndex, batch_size: int) -> Iterator[np.ndarray]:
    """Yields the pixels of batches, decoded by threads while the batch before is predicted."""
    starts = range(0, len(index), batch_size)
    batches = [range(start, min(start + batch_size, len(index))) for start in starts]
    with ThreadPoolExecutor(_BATCHES_AHEAD) as decoders:
        waiting = deque(
            decoders.submit(_pixels, predictor, index, batch) for batch in batches[:_BATCHES_AHEAD]
        )
        for batch in [*batches[_BATCHES_AHEAD:], *[None] * len(waiting)]:
            pixels = waiting.popleft().result()
            if batch is not None:
                waiting.append(decoders.submit(_pixels, predictor, index, batch))
            yield pixels


def _pixels(predictor: Predictor, index: ImageIndex, batch: range) -> np.ndarray:
    """Decodes a batch; where that fails, the error names the image."""
    boxes = None if index.boxes is None else index.boxes[batch.start : batch.stop]
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
