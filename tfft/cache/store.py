"""Rows of tensors on disk, one for each example, computed once.

What the rows are of is a `Content`; an example is known by a key of 32 bytes. The rows of a content
lie in segments (`tfft.cache.segment`), each with those that one run lacked. A run opens the rows
that are there, and makes a segment of those that are missing. Small segments go into the new one,
so that there are never many (as in a log-structured merge tree).

Two runs that lack the same rows at the same time: one makes them, the other waits. Two that lack
rows in part the same: both make theirs. Nothing is waited for with a segment half made or open, so
that no two runs wait for each other.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from tfft.cache.keys import comparable
from tfft.cache.merge import copy_rows, distinct_places, segments_to_merge
from tfft.cache.room import (
    BUILDING,
    PROMISED_FILE,
    NoRoomError,
    discard,
    make_room,
    remove,
)
from tfft.cache.segment import (
    Content,
    Fill,
    Segment,
    open_segment,
    segments_of,
    write_segment,
)
from tfft.cache.tensors import GatheredTensor, Rows, TensorWriter
from tfft.errors import NewerFormatError, TfftError
from tfft.system.caches import cache_place, cache_places
from tfft.system.files import cache_directory, explained_os_errors, lock_or_none
from tfft.system.progress import SILENT, Progress

# How often rows are made that are gone when they are opened.
_ATTEMPTS = 10


@dataclass(eq=False)
class StoredRows:
    """The rows of some examples that are in the cache; their segments stay until it is closed.

    Attributes:
        content: What the rows are.
        keys: Keys of the examples, as `comparable` gives them, [n].
        segments: The segments that rows were found in.
        segment_of: int32 [n], which of them each row is in; -1 where it is missing.
        row_of: int64 [n], which row of it each one is.
    """

    content: Content
    keys: np.ndarray
    segments: list[Segment] = field(default_factory=list)
    segment_of: np.ndarray = field(init=False)
    row_of: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.segment_of = np.full(len(self.keys), -1, np.int32)
        self.row_of = np.full(len(self.keys), -1, np.int64)

    @property
    def tensors(self) -> tuple[Rows, ...]:
        """The tensors, a row an example in the order of the keys; none may be missing."""
        if not len(self.keys):
            kind = np.dtype(self.content.dtype)
            return tuple(np.empty((0, *shape), kind) for shape in self.content.shapes)
        of_segments = zip(*(segment.tensors for segment in self.segments), strict=True)
        return tuple(GatheredTensor(each, self.segment_of, self.row_of) for each in of_segments)

    def said(self, name: str) -> list[str]:
        """Returns what the segments say of their rows under a name, sorted, each once."""
        return sorted({str(s.about[name]) for s in self.segments if s.about.get(name)})

    @property
    def missing(self) -> np.ndarray:
        """Positions of the examples without a row, int64 [m]; of equal ones the first."""
        places = np.flatnonzero(self.segment_of < 0)
        _, first = np.unique(self.keys[places], return_index=True)
        return places[np.sort(first)]

    def add(self, segment: Segment) -> bool:
        """Takes the rows that a segment has and others have not, and closes it if there are none.

        Returns:
            False if one of these rows is damaged; the segment is then left as it is.
        """
        places = np.flatnonzero(self.segment_of < 0)
        rows = segment.rows_of(self.keys[places])
        places, rows = places[rows >= 0], rows[rows >= 0]
        if not segment.is_intact(np.unique(rows)):
            return False
        if not len(places):
            segment.close()
            return True
        self.segment_of[places], self.row_of[places] = len(self.segments), rows
        self.segments.append(segment)
        segment.mark_used()
        return True

    def close(self) -> None:
        """Closes the segments, and lets them be removed."""
        while self.segments:
            self.segments.pop().close()


def activation_directory() -> Path:
    """Returns the directory of the cache."""
    return cache_directory("activations")


def open_rows(content: Content, keys: np.ndarray, progress: Progress = SILENT) -> StoredRows:
    """Opens the rows of some examples that are in the cache.

    What is opened is read once and checked. A segment with a damaged row is removed, and its rows
    are missing.

    Args:
        content: What the rows are.
        keys: Keys of the examples, uint8 [n, 32].
        progress: Where it is said that something is damaged.

    Raises:
        NewerFormatError: A newer version of tfft made a segment.
    """
    found = StoredRows(content, comparable(keys))
    try:
        with explained_os_errors(activation_directory()):
            paths = segments_of(content, cache_places("activations"))
            for path in paths:
                segment = _usable(path, content, progress)
                if segment is not None and not found.add(segment):
                    segment.close()
                    _remove_damaged(path, progress)
            _remove_replaced(found.segments, paths)
    except BaseException:
        found.close()
        raise
    return found


def completed_rows(
    content: Content,
    keys: np.ndarray,
    fill: Callable[[np.ndarray, Sequence[TensorWriter]], None],
    *,
    max_bytes: float,
    progress: Progress = SILENT,
) -> StoredRows:
    """Opens the rows of some examples, and makes those first that are missing.

    Args:
        content: What the rows are.
        keys: Keys of the examples, uint8 [n, 32].
        fill: Function that writes the rows of the examples at some positions, int64 [m]; not called
            for what another run makes meanwhile.
        max_bytes: Bound of the whole cache.
        progress: Where it is said that something is damaged, or that another run is waited for.

    Raises:
        NoRoomError: The bound or the disk is too small.
        TfftError: The disk is full, or the cache cannot be written to.
    """
    for _ in range(_ATTEMPTS):
        found = open_rows(content, keys, progress)
        if not len(found.missing):
            return found
        with closing(found):
            building = _being_made(content, keys, found, fill, max_bytes)
        if building is not None:
            _wait_for_builder(building, progress)
    raise TfftError(
        f"rows in {activation_directory()} were removed as often as they were made: the cache is "
        "too small for all runs together, or its disk is damaged. Raise train.cache.max_gb"
    )


def _being_made(
    content: Content,
    keys: np.ndarray,
    found: StoredRows,
    fill: Callable[[np.ndarray, Sequence[TensorWriter]], None],
    max_bytes: float,
) -> Path | None:
    """Makes what is missing; returns the directory in which another run is making the same."""

    def make(missing: np.ndarray) -> Path | None:
        lacking = keys[missing]
        made = try_rows(content, lacking, partial(fill, missing), max_bytes=max_bytes)
        return None if made else _building(_place(content, lacking))

    try:
        return make(found.missing)
    except NoRoomError:
        if not found.segments:
            raise
    # Rows that other runs needed lie beside those found, and fill the bound: without them all fits.
    found.close()
    return make(StoredRows(content, found.keys).missing)


def try_rows(content: Content, keys: np.ndarray, fill: Fill, *, max_bytes: float) -> bool:
    """Makes a segment of rows, unless another run has made it, or is making it now.

    Args:
        content: What the rows are.
        keys: Distinct keys of the rows, uint8 [n, 32], in the order of `fill`.
        fill: Function that writes the rows.
        max_bytes: Bound of the whole cache.

    Returns:
        False if another run is making the segment.

    Raises:
        NoRoomError: The bound or the disk is too small.
        TfftError: The disk is full, or the cache cannot be written to.
    """
    path = _place(content, keys)
    building = _building(path)
    with explained_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        building.mkdir(exist_ok=True)
        lock = lock_or_none(building, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            return False
        try:
            if _is_made(path, content):
                building.rmdir()
            else:
                _build(content, comparable(keys), fill, path, max_bytes)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        finally:
            os.close(lock)
    return True


def _place(content: Content, keys: np.ndarray) -> Path:
    return cache_place("activations") / content.segment_name(comparable(keys))


def _building(path: Path) -> Path:
    """The directory in which a segment is filled."""
    return path.with_name(f".{path.name}{BUILDING}")


def _is_made(path: Path, content: Content) -> bool:
    """Whether a segment is there; what is damaged in its place is removed."""
    try:
        segment = open_segment(path, content)
    except NewerFormatError:
        raise
    except TfftError:
        discard(path)
        return False
    if segment is not None:
        segment.close()
    return segment is not None


def _build(content: Content, keys: np.ndarray, fill: Fill, path: Path, max_bytes: float) -> None:
    """Fills the directory that this process has locked: rows of small segments, then new ones."""
    building = _building(path)
    for left in building.iterdir():
        left.unlink()
    size = len(keys) * content.row_bytes
    make_room(path.parent, size, max_bytes)
    (building / PROMISED_FILE).write_text(str(size))
    with ExitStack() as stack:
        merged = segments_to_merge(content, path.parent, size, max_bytes)
        for segment in merged:
            stack.callback(segment.close)
        copied = distinct_places(keys, merged)
        size += sum(map(len, copied)) * content.row_bytes
        (building / PROMISED_FILE).write_text(str(size))

        def fill_all(writers: Sequence[TensorWriter]) -> None:
            for segment, places in zip(merged, copied, strict=True):
                copy_rows(segment, segment.rows[places], writers)
            fill(writers)

        write_segment(
            building,
            path,
            content,
            np.concatenate([*(s.keys[p] for s, p in zip(merged, copied, strict=True)), keys]),
            fill_all,
            [segment.path.name for segment in merged],
        )
    for segment in merged:
        remove(segment.path)  # if it is in use, the next run that opens the new one does


def _usable(path: Path, content: Content, progress: Progress) -> Segment | None:
    """Opens a segment; one that is damaged is removed, and counts as absent."""
    try:
        return open_segment(path, content)
    except NewerFormatError:  # not damaged, and another version of tfft uses it
        raise
    except TfftError:
        _remove_damaged(path, progress)
        return None


def _remove_damaged(path: Path, progress: Progress) -> None:
    progress.message(f"a part of the cache is damaged and is computed again: {path}")
    try:
        discard(path)
    except TfftError:
        if path.parent == cache_place("activations"):
            raise
        # It can only be read, and is made elsewhere.


def _remove_replaced(segments: Sequence[Segment], paths: Sequence[Path]) -> None:
    """Removes segments that were in use when their rows went into another one."""
    replaced = {name for segment in segments for name in segment.replaces}
    for path in paths:
        if path.name in replaced:
            remove(path)


def _wait_for_builder(building: Path, progress: Progress) -> None:
    """Waits until no other process is building in this directory."""
    told = False
    while building.exists():
        lock = lock_or_none(building, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is not None:
            os.close(lock)
            return
        if not told:
            progress.message("another run is computing the same: waiting for it")
            told = True
        time.sleep(0.2)
