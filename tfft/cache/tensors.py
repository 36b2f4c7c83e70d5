"""Tensors in files, written row by row and read in any order without holding them in memory.

Files are read with `pread` and not mapped: the pages of a map count as memory of the process, and
touching a map of a truncated file, or of one on a full disk, kills it.
"""

import contextlib
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

_AT_ONCE_BYTES = 1 << 22


class TensorWriter:
    """Writes the rows of a ``.npy`` file in order.

    Args:
        path: Path of the new file.
        shape: Shape of the whole tensor.
        dtype: Data type of the tensor; rows are converted to it.

    Attributes:
        crc32: Checksum of the rows written so far.
        rows: Number of rows written so far.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._dtype = dtype
        self._file = path.open("wb")
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self.crc32 = 0
        self.rows = 0

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
        content = _bytes_of(data)
        self.crc32 = zlib.crc32(content, self.crc32)
        self.rows += len(data)
        self._file.write(content)

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
            start, stop, _ = which.indices(len(self))
            rows = np.empty((max(stop - start, 0), *self.shape[1:]), self.dtype)
            self._read(_bytes_of(rows), start)
            return rows
        rows = np.empty((len(which), *self.shape[1:]), self.dtype)
        flat = rows.reshape(len(which), -1)
        # In the file's order: neighbours are then read together where they are not in memory yet.
        for place in np.argsort(which):
            self._read(_bytes_of(flat[place]), int(which[place]))
        return rows

    def crc32(self) -> int:
        """Reads all rows and returns their checksum."""
        value, position = 0, self._start
        while chunk := os.pread(self._descriptor, _AT_ONCE_BYTES, position):
            value = zlib.crc32(chunk, value)
            position += len(chunk)
        return value

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


# Where a phase reads its rows from: memory or disk.
Rows = np.ndarray | StoredTensor


def row_bytes(tensors: Sequence[Rows]) -> int:
    """Returns the size of one row of all tensors together, in float32."""
    return sum(int(np.prod(tensor.shape[1:])) * 4 for tensor in tensors)


def _bytes_of(rows: np.ndarray) -> Any:
    return rows.data.cast("B") if rows.size else memoryview(b"")
