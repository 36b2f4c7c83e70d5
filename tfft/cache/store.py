"""A store of tensors on disk, keyed by everything that decides their content.

An entry is a directory ``<key>`` with a ``.npy`` file for each tensor and ``entry.json``. It is
filled as ``.<key>.building``, which its builder keeps locked, then renamed: it is whole or absent.
A second run that needs the same entry waits for the first, and takes over if the first one dies.
A reader keeps a shared lock on ``entry.json``, so that the entry is not removed while it is read.
The system frees the locks of a process that is killed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tfft.cache.room import BUILDING, ENTRY_FILE, PROMISED_FILE, discard, make_room
from tfft.cache.tensors import StoredTensor, TensorWriter
from tfft.errors import NewerFormatError, TfftError
from tfft.system.caches import cache_place
from tfft.system.files import (
    cache_directory,
    explained_os_errors,
    lock_or_none,
    sync,
)
from tfft.system.formats import CACHE_ENTRY
from tfft.system.progress import SILENT, Progress

# Part of every key: a change to what is stored, or to how, makes a new key.
_FORMAT = 2


@dataclass(frozen=True)
class Content:
    """What an entry holds.

    Attributes:
        identity: Everything that decides the content, as JSON values.
        about: Description for people, as JSON values.
        shapes: Shapes of the tensors; the first dimension is the number of images.
        dtype: Data type of the tensors.
    """

    identity: Mapping[str, object]
    about: Mapping[str, object]
    shapes: Sequence[tuple[int, ...]]
    dtype: str = "float32"

    @property
    def key(self) -> str:
        """The name of the entry: hexadecimal SHA-256 of the identity."""
        text = json.dumps({"format": _FORMAT, **self.identity, "dtype": self.dtype}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Size of the tensors on disk."""
        return sum(int(np.prod(shape)) for shape in self.shapes) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry that is open for reading; it is not removed until it is closed."""

    tensors: tuple[StoredTensor, ...]
    lock: int

    def close(self) -> None:
        """Closes the files and lets the entry be removed."""
        for tensor in self.tensors:
            tensor.close()
        os.close(self.lock)


def activation_directory() -> Path:
    """Returns the directory of the entries."""
    return cache_directory("activations")


def open_entry(content: Content) -> Entry | None:
    """Opens an entry, or returns None if there is none.

    Every byte is read once and checked. A damaged entry is removed and counts as absent. Others may
    have written it: its files, shapes and types are those of `content`, whatever its record says.

    Raises:
        NewerFormatError: A newer version of tfft made it.
        TfftError: It is damaged and cannot be removed.
    """
    directory = cache_place("activations", content.key)
    record = directory / ENTRY_FILE
    is_entry = record.is_file() and not (directory.is_symlink() or record.is_symlink())
    if not is_entry:
        if os.path.lexists(directory):
            discard(directory)
        return None
    lock = lock_or_none(record, fcntl.LOCK_SH)
    if lock is None:  # removed meanwhile
        return None
    try:
        tensors = _checked_tensors(directory, content)
    except NewerFormatError:  # not damaged, and another version of tfft uses it
        os.close(lock)
        raise
    except TfftError:
        os.close(lock)
        discard(directory)
        return None
    with suppress(PermissionError):  # someone else's cache, which can only be read
        os.utime(record)
    return Entry(tensors, lock)


def make_entry(
    content: Content,
    fill: Callable[[Sequence[TensorWriter]], None],
    *,
    max_bytes: float,
    progress: Progress = SILENT,
) -> Entry:
    """Opens an entry, and makes it first if there is none.

    Args:
        content: What the entry holds.
        fill: Function that writes all rows of the tensors; not called if another run makes the
            entry meanwhile.
        max_bytes: Bound of the whole cache.
        progress: Where a message goes if another run is waited for.

    Raises:
        TfftError: The disk is full, the bound is too small, or the cache cannot be written to.
    """
    while True:
        entry = try_entry(content, fill, max_bytes=max_bytes)
        if entry is not None:
            return entry
        _wait_for_builder(_building(content), progress)


def try_entry(
    content: Content, fill: Callable[[Sequence[TensorWriter]], None], *, max_bytes: float
) -> Entry | None:
    """Does what `make_entry` does, but returns None while another run is making the entry."""
    directory = cache_place("activations", content.key)
    building = _building(content)
    with explained_os_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        entry = open_entry(content)
        if entry is not None:
            return entry
        building.mkdir(exist_ok=True)
        lock = lock_or_none(building, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            return None
        try:
            if directory.exists():  # another run made it meanwhile
                return open_entry(content)
            _build(content, fill, building, directory, max_bytes)
            return _opened(directory, content)
        finally:
            os.close(lock)


def _building(content: Content) -> Path:
    """The directory in which the entry is filled."""
    return cache_place("activations", content.key).with_name(f".{content.key}{BUILDING}")


def _build(
    content: Content,
    fill: Callable[[Sequence[TensorWriter]], None],
    building: Path,
    directory: Path,
    max_bytes: float,
) -> None:
    """Fills the directory that this process has locked, and renames it."""
    try:
        for left in building.iterdir():
            left.unlink()
        make_room(directory.parent, content.bytes, max_bytes)
        promised = building / PROMISED_FILE
        promised.write_text(str(content.bytes))
        with ExitStack() as stack:
            writers = [
                stack.enter_context(
                    TensorWriter(building / f"{number}.npy", shape, np.dtype(content.dtype))
                )
                for number, shape in enumerate(content.shapes)
            ]
            fill(writers)
        if any(w.rows != shape[0] for w, shape in zip(writers, content.shapes, strict=True)):
            raise TfftError(f"{directory}: not every image was computed")
        entry = {
            "identity": dict(content.identity),
            "about": dict(content.about),
            "bytes": content.bytes,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "tensors": [{"file": f"{i}.npy", "crc32": w.crc32} for i, w in enumerate(writers)],
        }
        CACHE_ENTRY.write(building / ENTRY_FILE, entry)
        promised.unlink()
        building.rename(directory)
        sync(directory.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _opened(directory: Path, content: Content) -> Entry:
    """Opens an entry that this process has just written, without checking it again."""
    lock = lock_or_none(directory / ENTRY_FILE, fcntl.LOCK_SH)
    if lock is None:
        raise TfftError(f"{directory} was removed as soon as it was written. Run again.")
    return Entry(_tensors(directory, content), lock)


def _checked_tensors(directory: Path, content: Content) -> tuple[StoredTensor, ...]:
    recorded = [tensor["crc32"] for tensor in CACHE_ENTRY.read(directory / ENTRY_FILE)["tensors"]]
    tensors = _tensors(directory, content)
    with ThreadPoolExecutor(4) as executor:
        if list(executor.map(StoredTensor.crc32, tensors)) == recorded:
            return tensors
    for tensor in tensors:
        tensor.close()
    raise TfftError(f"{directory} is damaged: its tensors have other checksums")


def _tensors(directory: Path, content: Content) -> tuple[StoredTensor, ...]:
    """Opens the files of an entry, which have the shapes and the type of its content."""
    tensors: list[StoredTensor] = []
    try:
        for number, shape in enumerate(content.shapes):
            path = directory / f"{number}.npy"
            tensors.append(StoredTensor(path, shape, np.dtype(content.dtype)))
    except TfftError:
        for tensor in tensors:
            tensor.close()
        raise
    return tuple(tensors)


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
