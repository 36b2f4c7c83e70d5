"""Arrays of an ``.npz`` archive, whose shapes and types are known before their values are read."""

import math
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.untrusted.zip_members import check_member

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array in an archive; `numpy.asarray` reads it.

    Attributes:
        archive: The open archive.
        member: Name of the array's file in the archive.
        shape: Shape of the array, as its header says.
        dtype: Type of its numbers, as its header says.
    """

    archive: zipfile.ZipFile
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        with self.archive.open(self.member) as stream:
            values = np.lib.format.read_array(stream, allow_pickle=False)
        return values if dtype is None else values.astype(dtype)


def stored_arrays(archive: zipfile.ZipFile) -> dict[str, StoredArray]:
    """Returns the arrays of an archive by their names; only their headers are read.

    Raises:
        ValueError: A member is not an array of numbers, or is not as long as its header says; or as
            `check_member`.
        zlib.error: A member is damaged.
    """
    found = {}
    for info in archive.infolist():
        member = info.filename
        check_member(archive, info)
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            if version not in _HEADERS:
                raise ValueError(f"{member} is an array in a format that is not known")
            shape, _, dtype = _HEADERS[version](stream)
            announced = stream.tell() + math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(f"{member} holds Python objects")
        if announced != info.file_size:
            raise ValueError(f"{member} is not as long as its shape {shape} says")
        found[member.removesuffix(".npy")] = StoredArray(archive, member, shape, dtype)
    return found
