"""Small segments go into a new one, so that a content never has many.

A segment goes into one of at least half its size: a row is written again no more often than the
number of rows doubles. One of more than `LARGEST_BYTES` stays as it is.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfft.cache.room import has_room
from tfft.cache.segment import Content, Segment, open_segment, segments_of
from tfft.cache.tensors import TensorWriter
from tfft.errors import TfftError

LARGEST_BYTES = 256 * 2**20
_GROWTH = 2
_COPIED_BYTES = 4 * 2**20


def segments_to_merge(
    content: Content, directory: Path, size: int, max_bytes: float
) -> list[Segment]:
    """Opens the segments whose rows go into a new one, as far as there is room for the copies.

    Args:
        content: What the rows are.
        directory: Where the segments are.
        size: Bytes of the new rows.
        max_bytes: Bound of the whole cache.
    """
    merged: list[Segment] = []
    total = 0
    for path in reversed(segments_of(content, (directory,))):
        try:
            segment = open_segment(path, content)
        except TfftError:  # who needs its rows sees to it
            continue
        if segment is None:
            continue
        small = segment.bytes <= min(_GROWTH * (size + total), LARGEST_BYTES)
        total += segment.bytes
        if not (small and has_room(directory, total, max_bytes)):
            segment.close()
            break
        if segment.is_intact(segment.rows):
            merged.append(segment)
        else:
            segment.close()
    return merged


def distinct_places(keys: np.ndarray, segments: Sequence[Segment]) -> list[np.ndarray]:
    """Returns which keys of each segment are in no segment before it and are not new, as places.

    Args:
        keys: The new keys, as `comparable` gives them, [n].
        segments: The segments.

    Returns:
        int64 [m] for each, in the order of its rows.
    """
    every = np.concatenate([keys, *(segment.keys for segment in segments)])
    first = np.unique(every, return_index=True)[1]
    start, found = len(keys), []
    for segment in segments:
        stop = start + len(segment.keys)
        places = first[(first >= start) & (first < stop)] - start
        found.append(places[np.argsort(segment.rows[places])])
        start = stop
    return found


def copy_rows(segment: Segment, rows: np.ndarray, writers: Sequence[TensorWriter]) -> None:
    """Writes rows, int64 [n], of each tensor of a segment."""
    for writer, tensor in zip(writers, segment.tensors, strict=True):
        at_once = max(1, _COPIED_BYTES * len(tensor) // max(1, tensor.bytes))
        for start in range(0, len(rows), at_once):
            writer.append(tensor[rows[start : start + at_once]])
