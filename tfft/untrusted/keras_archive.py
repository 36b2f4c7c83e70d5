"""Looks through the archive of a ``.keras`` file before Keras unpacks it."""

import io
import zipfile
from pathlib import PurePosixPath
from typing import Any

import h5py

from tfft.errors import ModelFileError
from tfft.untrusted.hdf5 import check_hdf5

_WEIGHTS = "model.weights.h5"
_FILES = ("config.json", "metadata.json", _WEIGHTS)
_ASSETS = "assets"
_MAX_MEMBERS = 20_000
_MAX_CONFIG_BYTES = 256 << 20
# Keras does not compress; weights that somebody compressed are not much smaller.
_MAX_EXPANSION = 20
_FREE_BYTES = 1 << 20
_LOCAL_HEADER_BYTES = 30


def check_keras_archive(archive: zipfile.ZipFile, what: str) -> None:
    """Checks the members of an archive, and the weights file among them.

    Args:
        archive: The open archive.
        what: Name of the file in messages.

    Raises:
        ModelFileError: It has other files than Keras writes, files that would be unpacked
            elsewhere, share their bytes or become far larger, or weights that `check_hdf5` refuses.
    """
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(names) > _MAX_MEMBERS or len(set(names)) < len(names):
        raise ModelFileError(f"{what} is not loaded: it has {len(names):,} files, or two of a name")
    for member in members:
        _check_member(member, what)
    held = sum(member.compress_size for member in members)
    if archive.fp is not None and held > archive.fp.seek(0, io.SEEK_END):
        raise ModelFileError(f"{what} is not loaded: files in it share the same bytes")
    if _WEIGHTS in names:
        with _opened(archive, _WEIGHTS) as stream, h5py.File(stream, "r") as file:
            check_hdf5(file, f"{what}: {_WEIGHTS}")


def _check_member(member: zipfile.ZipInfo, what: str) -> None:
    name = member.filename
    parts = PurePosixPath(name).parts
    if name not in _FILES and (parts[:1] != (_ASSETS,) or ".." in parts or "\\" in name):
        raise ModelFileError(f"{what} is not loaded: Keras writes no file {name!r} into it")
    is_text = name.endswith(".json") and name in _FILES
    if member.file_size > _MAX_EXPANSION * member.compress_size + _FREE_BYTES or (
        is_text and member.file_size > _MAX_CONFIG_BYTES
    ):
        raise ModelFileError(
            f"{what} is not loaded: {name} would become {member.file_size / 1e9:,.1f} GB"
        )


def _opened(archive: zipfile.ZipFile, name: str) -> Any:
    """Opens a member in which can be searched, without reading it if it is not compressed."""
    member, file = archive.getinfo(name), archive.fp
    if member.compress_type != zipfile.ZIP_STORED or file is None:
        return io.BytesIO(archive.read(name))
    archive.open(name).close()  # compares the two headers of the member
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER_BYTES)
    lengths = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    start = member.header_offset + _LOCAL_HEADER_BYTES + sum(lengths)
    return _Part(file, start, member.file_size)


class _Part(io.RawIOBase):
    """A part of a file, as a file of its own that can only be read.

    Args:
        file: The file.
        start: Place of the part's first byte.
        length: Number of its bytes.
    """

    def __init__(self, file: Any, start: int, length: int) -> None:
        super().__init__()
        self._file, self._start, self._length, self._place = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._length}[whence]
        self._place = origin + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        wanted = max(min(len(buffer), self._length - self._place), 0)
        self._file.seek(self._start + self._place)
        content = self._file.read(wanted)
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
