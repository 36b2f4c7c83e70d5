"""A part of the cache: tensors of some examples, which are found by their keys.

A segment is a directory ``<content>-<keys>``: what its rows are of, and which it was made for. It
has a ``.npy`` file for each tensor, with a row for each example; ``rows.npz``, which says which row
is whose and holds the checksum of each; and ``entry.json``. It is filled as ``.<name>.building``,
which its builder keeps locked, then renamed: it is whole or absent, and never changes. A reader
keeps a shared lock on ``entry.json``, so that the segment is not removed while it is read. The
system frees the locks of a process that is killed.
"""

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tfft.cache.keys import KEY_BYTES, comparable, places_of
from tfft.cache.room import ENTRY_FILE, PROMISED_FILE
from tfft.cache.tensors import StoredTensor, TensorWriter
from tfft.errors import TfftError
from tfft.system.damage import reading
from tfft.system.files import lock_or_none, read_arrays, sync, write_arrays
from tfft.system.formats import CACHE_ENTRY

# Part of every name: a change to what is stored, or to how, makes a new one.
_FORMAT = 3
_TABLE_FILE = "rows.npz"
_NAME_DIGITS = 32

# Writes rows into the writer of each tensor.
Fill = Callable[[Sequence[TensorWriter]], None]


@dataclass(frozen=True)
class Content:
    """What the rows of segments are.

    Attributes:
        identity: Everything that decides a row beside its example, as JSON values.
        about: Description for people, as JSON values; what is added while rows are made, such as
            what computes them, is kept with them.
        shapes: Shapes of the tensors of one example.
        dtype: Data type of the tensors.
    """

    identity: Mapping[str, object]
    about: dict[str, object]
    shapes: Sequence[tuple[int, ...]]
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """How the names of its segments begin: hexadecimal digits and a hyphen."""
        described = {"format": _FORMAT, **self.identity, "dtype": self.dtype}
        text = json.dumps(described, sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:_NAME_DIGITS]}-"

    @property
    def row_bytes(self) -> int:
        """Size of the tensors of one example on disk."""
        return sum(map(math.prod, self.shapes)) * np.dtype(self.dtype).itemsize

    def segment_name(self, keys: np.ndarray) -> str:
        """Returns the name of the segment that is made when `keys` are missing."""
        digest = hashlib.sha256(np.sort(keys).tobytes()).hexdigest()
        return self.name + digest[:_NAME_DIGITS]


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment that is open for reading; it is not removed until it is closed.

    Attributes:
        path: Its directory.
        tensors: Its tensors.
        keys: Keys of its rows, sorted, as `comparable` gives them, [n].
        rows: int64 [n], which row is whose, in the order of `keys`.
        checksums: uint32 [n, tensors], crc32 of each row, in the order of the rows.
        about: Description of the rows, as `Content.about` was when they were made.
        replaces: Names of the segments whose rows it has too.
        lock: Descriptor that keeps it.
    """

    path: Path
    tensors: tuple[StoredTensor, ...]
    keys: np.ndarray
    rows: np.ndarray
    checksums: np.ndarray
    about: Mapping[str, object]
    replaces: frozenset[str]
    lock: int

    @property
    def bytes(self) -> int:
        """Size of the tensors on disk."""
        return sum(tensor.bytes for tensor in self.tensors)

    def rows_of(self, keys: np.ndarray) -> np.ndarray:
        """Returns the row of each key, int64 [m]; -1 where there is none."""
        places = places_of(keys, self.keys)
        return np.where(places < 0, -1, self.rows[places] if len(self.rows) else -1)

    def is_intact(self, rows: np.ndarray) -> bool:
        """Reads rows, int64 [n], and says whether they have their checksums."""
        if not len(rows):
            return True
        try:
            with ThreadPoolExecutor(4) as executor:
                found = list(executor.map(lambda tensor: tensor.checksums(rows), self.tensors))
        except OSError:  # cut off meanwhile, or the disk is damaged
            return False
        return np.array_equal(np.array(found).T, self.checksums[rows])

    def mark_used(self) -> None:
        """Notes the time of the last use."""
        with suppress(OSError):  # someone else's cache, which can only be read
            os.utime(self.path / ENTRY_FILE)

    def close(self) -> None:
        """Closes the files and lets the segment be removed."""
        for tensor in self.tensors:
            tensor.close()
        os.close(self.lock)


def open_segment(path: Path, content: Content) -> Segment | None:
    """Opens a segment, or returns None if it is gone.

    Others may have written it: its files, shapes and types are those of `content`, whatever its
    record says. Its rows are not read yet.

    Raises:
        NewerFormatError: A newer version of tfft made it.
        TfftError: It is damaged, or not such a segment.
    """
    record, table = path / ENTRY_FILE, path / _TABLE_FILE
    lock = lock_or_none(record, fcntl.LOCK_SH) if record.is_file() else None
    if lock is None and not os.path.lexists(path):
        return None
    try:
        if lock is None or any(each.is_symlink() for each in (path, record, table)):
            raise TfftError(f"{path} is not whole, or leads elsewhere")
        entry = CACHE_ENTRY.read(record)
        about, replaces = entry.get("about", {}), frozenset(entry["replaces"])
        keys, rows, checksums = _read_table(table, len(content.shapes))
        tensors = _tensors(path, content, len(rows))
        return Segment(path, tensors, keys, rows, checksums, about, replaces, lock)
    except BaseException:
        if lock is not None:
            os.close(lock)
        raise


def segments_of(content: Content, places: Sequence[Path]) -> list[Path]:
    """Returns the segments of a content in some directories, those with most rows first."""
    found = []
    for path in (path for place in places for path in place.glob(f"{content.name}*")):
        with suppress(OSError):  # removed meanwhile
            found.append(((path / _TABLE_FILE).lstat().st_size, path))
    return [path for _, path in sorted(found, reverse=True)]


def _read_table(path: Path, tensors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads keys, rows and checksums of a segment, and requires that they fit each other."""
    with reading(path, "the rows of a part of the cache"):
        if not path.is_file():
            raise ValueError("it is missing")
        found = read_arrays(path)
        keys, rows, checksums = (found.get(name) for name in ("keys", "rows", "checksums"))
        if keys is None or rows is None or checksums is None:
            raise ValueError("arrays in it are missing")
        count = len(rows)
        expected = {"uint8": (count, KEY_BYTES), "int64": (count,), "uint32": (count, tensors)}
        if {str(each.dtype): each.shape for each in (keys, rows, checksums)} != expected:
            raise ValueError("its arrays have other shapes or types")
        ordered = comparable(keys)
        if (np.argsort(ordered, kind="stable") != np.arange(count)).any():
            raise ValueError("its keys are not sorted")
        if (np.sort(rows) != np.arange(count)).any():
            raise ValueError("it does not say which row is whose")
    return ordered, rows, checksums


def _tensors(directory: Path, content: Content, rows: int) -> tuple[StoredTensor, ...]:
    """Opens the files of a segment, which have the shapes and the type of its content."""
    tensors: list[StoredTensor] = []
    try:
        for number, shape in enumerate(content.shapes):
            path = directory / f"{number}.npy"
            tensors.append(StoredTensor(path, (rows, *shape), np.dtype(content.dtype)))
    except TfftError:
        for tensor in tensors:
            tensor.close()
        raise
    return tuple(tensors)


def write_segment(
    building: Path,
    path: Path,
    content: Content,
    keys: np.ndarray,
    fill: Fill,
    replaces: Sequence[str] = (),
) -> None:
    """Fills a directory that this process has locked, and renames it.

    Args:
        building: The directory.
        path: Its name when it is whole.
        content: What the rows are.
        keys: Distinct keys of the rows, in their order, as `comparable` gives them, [n].
        fill: Function that writes all rows.
        replaces: Names of segments whose rows are among these.
    """
    shapes = [(len(keys), *shape) for shape in content.shapes]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                TensorWriter(building / f"{number}.npy", shape, np.dtype(content.dtype))
            )
            for number, shape in enumerate(shapes)
        ]
        fill(writers)
    if any(len(writer.checksums) != len(keys) for writer in writers):
        raise TfftError(f"{path}: not every example was computed")
    order = np.argsort(keys)
    table = {
        "keys": keys[order].view(np.uint8).reshape(-1, KEY_BYTES),
        "rows": order.astype(np.int64),
        "checksums": np.array([w.checksums for w in writers], np.uint32).reshape(-1, len(keys)).T,
    }
    write_arrays(building / _TABLE_FILE, table)
    entry = {
        "identity": dict(content.identity),
        "about": dict(content.about),
        "examples": len(keys),
        "replaces": list(replaces),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    CACHE_ENTRY.write(building / ENTRY_FILE, entry)
    (building / PROMISED_FILE).unlink(missing_ok=True)
    building.rename(path)
    sync(path.parent)
