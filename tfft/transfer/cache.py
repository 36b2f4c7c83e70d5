"""A store of arrays on disk, keyed by everything that decides their content.

An entry is a directory ``<key>`` with one ``.npy`` file for each tensor and ``entry.json``. It is
filled beside its place and renamed, so that it is whole or absent; two runs that build the same
entry at once both succeed, and one of the two results is kept.
"""

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfft.errors import TfftError
from tfft.system.files import atomic_directory, read_json, write_json
from tfft.system.places import cache_directory

# Part of every key: a change to what is stored, or to how, makes a new key.
_FORMAT = 1


def entry_key(identity: Mapping[str, object]) -> str:
    """Returns the key (hex sha256) of an entry whose content `identity` decides."""
    text = json.dumps({"format": _FORMAT, **identity}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load_entry(key: str) -> list[np.ndarray] | None:
    """Returns the tensors of an entry, memory-mapped and read-only, or None if there is none.

    An entry whose bytes are not those that were written is removed and counts as absent.
    """
    directory = _directory(key)
    if not directory.is_dir():
        return None
    try:
        entry = read_json(directory / "entry.json")
        arrays = [
            _checked(directory / tensor["file"], tensor["crc32"]) for tensor in entry["tensors"]
        ]
    except (TfftError, OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(directory, ignore_errors=True)
        return None
    return arrays


def store_entry(
    key: str,
    identity: Mapping[str, object],
    shapes: Sequence[tuple[int, ...]],
    fill: Callable[[Sequence[np.ndarray]], None],
) -> list[np.ndarray]:
    """Makes an entry of float32 tensors and returns them memory-mapped.

    Args:
        key: from `entry_key(identity)`.
        identity: written beside the tensors, for people.
        shapes: of the tensors.
        fill: writes the values into the arrays that it is given.

    Raises:
        TfftError: The disk is full or the cache directory cannot be written to.
    """
    directory = _directory(key)
    try:
        with atomic_directory(directory) as temporary:
            files = [temporary / f"{number}.npy" for number in range(len(shapes))]
            arrays = [
                np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
                for file, shape in zip(files, shapes, strict=True)
            ]
            fill(arrays)
            for array in arrays:
                array.flush()
            tensors = [{"file": file.name, "crc32": _crc32(file)} for file in files]
            write_json(temporary / "entry.json", {"identity": identity, "tensors": tensors})
    except TfftError:
        # Another run may have made the same entry meanwhile.
        made_elsewhere = load_entry(key)
        if made_elsewhere is None:
            raise
        return made_elsewhere
    loaded = load_entry(key)
    if loaded is None:
        raise TfftError(f"the cache entry {directory} was damaged while it was written.")
    return loaded


def _directory(key: str) -> Path:
    return cache_directory("features") / key


def _checked(file: Path, crc32: int) -> np.ndarray:
    if _crc32(file) != crc32:
        raise ValueError(f"{file} is damaged")
    return np.load(file, mmap_mode="r", allow_pickle=False)


def _crc32(file: Path) -> int:
    value = 0
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            value = zlib.crc32(chunk, value)
    return value
