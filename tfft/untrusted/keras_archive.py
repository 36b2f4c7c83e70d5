"""Looks through the archive of a ``.keras`` file before Keras unpacks it."""

import io
import zipfile
from pathlib import PurePosixPath
from typing import Any

import h5py

from tfft.errors import ModelFileError
from tfft.untrusted.hdf5 import check_hdf5
from tfft.untrusted.zip_members import check_member, raw_member

_WEIGHTS = "model.weights.h5"
_FILES = ("config.json", "metadata.json", _WEIGHTS)
_ASSETS = "assets"
_MAX_MEMBERS = 20_000
_MAX_CONFIG_BYTES = 256 << 20
# Keras does not compress; weights that somebody compressed are not much smaller.
_MAX_EXPANSION = 20
_FREE_BYTES = 1 << 20


def check_keras_archive(archive: zipfile.ZipFile, what: str) -> None:
    """Checks the members of an archive, and the weights file among them.

    Args:
        archive: The open archive.
        what: Name of the file in messages.

    Raises:
        ModelFileError: It has other files than Keras writes, files that would be unpacked
            elsewhere, share their bytes or become far larger, or weights that `check_hdf5` refuses.
        ValueError: As `check_member`.
        zlib.error: As `check_member`.
    """
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(names) > _MAX_MEMBERS or len(set(names)) < len(names):
        raise ModelFileError(f"{what} is not loaded: it has {len(names):,} files, or two of a name")
    for member in members:
        _check_name_and_size(member, what)
    held = sum(member.compress_size for member in members)
    if archive.fp is not None and held > archive.fp.seek(0, io.SEEK_END):
        raise ModelFileError(f"{what} is not loaded: files in it share the same bytes")
    for member in members:
        check_member(archive, member)
    if _WEIGHTS in names:
        with _opened(archive, _WEIGHTS) as stream, h5py.File(stream, "r") as file:
            check_hdf5(file, f"{what}: {_WEIGHTS}")


def _check_name_and_size(member: zipfile.ZipInfo, what: str) -> None:
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
    member = archive.getinfo(name)
    if member.compress_type == zipfile.ZIP_STORED:
        return raw_member(archive, member)
    return io.BytesIO(archive.read(name))
