"""Tensors in files, written row by row and read in any order without holding them in memory.

Files are read with `pread` and not mapped: the pages of a map count as memory of the process, and
touching a map of a truncated file, or of one on a full disk, kills it.
"""

import contextlib
import itertools
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tfft.errors import TfftError
from tfft.system.damage import reading

# Up to here the tensors of a phase are held in memory; larger ones are read from the disk.
RESIDENT_BYTES = 512 * 2**20
_AT_ONCE_BYTES = 1 << 22


class TensorWriter:
    """Writes the rows of a ``.npy`` file in order.

    Args:
        path: Path of the new file.
        shape: Shape of the whole tensor.
        dtype: Data type of the tensor; rows are converted to it.

    Attributes:
        checksums: crc32 of each row written so far.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._dtype = dtype
        self._file = path.open("wb")
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self.checksums: list[int] = []

    def append(self, rows: np.ndarray) -> None:
        """Appends rows [n, ...].

        Raises:
            TfftError: A number is too large for the data type.
        """
        with np.errstate(over="ignore"):
            data = np.ascontiguousarray(rows, self._dtype)
        if not np.isfinite(data).all() and np.isfinite(rows).all():
            raise TfftError(
                f"numbers up to {np.abs(rows).max():.3g} are too large for {self._dtype}. "
                "Set train.cache.dtype: float32."
            )
        self.checksums += _checksums(data)
        self._file.write(_bytes_of(data))

    def __enter__(self) -> "TensorWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if error is None:
                self._file.flush()
                os.fsync(self._file.fileno())


class StoredTensor:
    """A tensor in a ``.npy`` file: ``tensor[positions]`` and ``tensor[start:stop]`` read rows.

    Args:
        path: Path of the file, which stays open, so that it can be read even after its removal. A
            link is not followed.
        shape: Shape that the whole tensor must have.
        dtype: Data type that it must have.

    Attributes:
        shape: Shape of the whole tensor.
        dtype: Data type of the tensor.

    Raises:
        TfftError: The file cannot be read, or is not the ``.npy`` file of such a tensor.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._path, self.shape, self.dtype = path, tuple(shape), dtype
        self._row_bytes = math.prod(self.shape[1:]) * dtype.itemsize
        with reading(path, "a tensor of the cache"), contextlib.ExitStack() as stack:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            stack.callback(os.close, self._descriptor)
            with os.fdopen(os.dup(self._descriptor), "rb") as file:
                np.lib.format.read_magic(file)
                found = np.lib.format.read_array_header_1_0(file)
                self._start = file.tell()
            if found != (self.shape, False, dtype):
                raise ValueError(f"its shape and type are {found[0]} and {found[2]}")
            if os.fstat(self._descriptor).st_size != self._start + self.bytes:
                raise ValueError("it is not whole")
            stack.pop_all()

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def bytes(self) -> int:
        """Size of the numbers in the file."""
        return self._row_bytes * len(self)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        if isinstance(which, slice):
            which = np.arange(*which.indices(len(self)))
        rows = np.empty((len(which), *self.shape[1:]), self.dtype)
        self.read_into(rows, np.arange(len(which)), which)
        return rows

    def read_into(self, target: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
        """Reads rows into places of an array, in the file's order; neighbours in one go.

        Args:
            target: Array [m, ...] of the tensor's type, C-contiguous.
            places: int64 [n], where in `target` each row goes.
            rows: int64 [n], numbers of the rows.
        """
        order = np.argsort(rows, kind="stable")
        rows, places = rows[order], places[order]
        apart = (np.diff(rows) != 1) | (np.diff(places) != 1)
        starts = np.flatnonzero(np.concatenate([[True], apart])) if len(rows) else rows
        for start, stop in itertools.pairwise([*starts.tolist(), len(rows)]):
            first = int(places[start])
            self._read(_bytes_of(target[first : first + stop - start]), int(rows[start]))

    def checksums(self, rows: np.ndarray) -> np.ndarray:
        """Reads rows, a part of them at a time, and returns the crc32 of each, uint32 [n].

        Args:
            rows: int64 [n], numbers of the rows.
        """
        found = np.empty(len(rows), np.uint32)
        order = np.argsort(rows)
        at_once = max(1, _AT_ONCE_BYTES // max(1, self._row_bytes))
        for start in range(0, len(rows), at_once):
            part = order[start : start + at_once]
            found[part] = _checksums(self[rows[part]])
        return found

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _read(self, target: memoryview, row: int) -> None:
        done, position = 0, self._start + row * self._row_bytes
        while done < len(target):
            count = os.preadv(self._descriptor, [target[done:]], position + done)
            if count == 0:
                raise OSError(f"{self._path} was cut off while it was in use")
            done += count


class GatheredTensor:
    """Rows of several tensors as one tensor, read as those of a `StoredTensor` are.

    Args:
        tensors: Tensors whose rows have the same shape and type.
        tensor_of: int32 [n], which of the tensors each row is in.
        row_of: int64 [n], which row of it each one is.

    Attributes:
        shape: Shape of the whole tensor, [n, ...].
        dtype: Data type of the tensor.
    """

    def __init__(
        self, tensors: Sequence[StoredTensor], tensor_of: np.ndarray, row_of: np.ndarray
    ) -> None:
        self._tensors, self._tensor_of, self._row_of = tensors, tensor_of, row_of
        self.shape: tuple[int, ...] = (len(row_of), *tensors[0].shape[1:])
        self.dtype = tensors[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        tensor_of, row_of = self._tensor_of[which], self._row_of[which]
        rows = np.empty((len(row_of), *self.shape[1:]), self.dtype)
        for number in np.unique(tensor_of):
            places = np.flatnonzero(tensor_of == number)
            self._tensors[number].read_into(rows, places, row_of[places])
        return rows


# Where a phase reads its rows from: memory or disk.
Rows = np.ndarray | GatheredTensor


def row_bytes(tensors: Sequence[Rows]) -> int:
    """Returns the size of one row of all tensors together, in float32."""
    return sum(int(np.prod(tensor.shape[1:])) * 4 for tensor in tensors)


def _checksums(rows: np.ndarray) -> list[int]:
    content, size = _bytes_of(rows), rows[:1].nbytes
    return [zlib.crc32(content[n * size : (n + 1) * size]) for n in range(len(rows))]


def _bytes_of(rows: np.ndarray) -> Any:
    return rows.data.cast("B") if rows.size else memoryview(b"")
