"""Sources that took long to list, kept so that listing them again does next to nothing."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.data.dataset import Source
from tfft.data.index import ImageIndex
from tfft.errors import TfftError
from tfft.system.caches import cache_place, optional_write
from tfft.system.damage import reading
from tfft.system.files import json_value, read_arrays, write_arrays
from tfft.system.typed import typed

# Part of the key: raise it when what is listed, or how it is kept, changes.
_VERSION = 2


def kept_path(*key: Any) -> Path:
    """Returns the file that keeps the source which `key` (JSON values, paths) stands for."""
    text = json.dumps([_VERSION, *key], default=str)
    name = f"source-{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"
    return cache_place("scans", name)


def keep_source(path: Path, source: Source) -> None:
    """Writes a source, with the sizes and times of its files."""
    index = source.index
    described = {
        "name": source.name,
        "class_names": source.class_names,
        "licence": source.licence,
        "notes": source.notes,
        "files": index.files,
        "stamps": [size_and_time(Path(file)) for file in index.files],
        "ids": index.ids,
        "box_targets": index.box_targets,
    }
    arrays = {f"target_{name}": values for name, values in index.targets.items()}
    if index.boxes is not None:
        arrays["boxes"] = index.boxes
    arrays |= {
        "described": np.frombuffer(json.dumps(described).encode(), np.uint8),
        "file_ids": index.file_ids,
        "offsets": index.offsets,
        "lengths": index.lengths,
        "splits": source.splits,
    }
    with optional_write():
        write_arrays(path, arrays)


@dataclass
class _Described:
    """What is kept beside the arrays."""

    name: str
    class_names: tuple[str, ...]
    licence: str | None
    notes: tuple[str, ...]
    files: tuple[str, ...]
    stamps: list[list[int]]
    ids: tuple[str, ...]
    box_targets: tuple[str, ...]


def kept_source(path: Path) -> Source | None:
    """Reads a kept source; None if it is missing, damaged, or its files have changed since."""
    try:
        arrays = read_arrays(path)
        with reading(path, "a kept source of images"):
            described = typed(_Described, json_value(arrays.pop("described").tobytes()))
            stamps = [size_and_time(Path(file)) for file in described.files]
    except TfftError:
        return None
    if stamps != described.stamps or not _fits(described, arrays):
        return None
    return Source(
        name=described.name,
        index=ImageIndex(
            files=described.files,
            file_ids=arrays["file_ids"],
            offsets=arrays["offsets"],
            lengths=arrays["lengths"],
            ids=described.ids,
            targets={
                name.removeprefix("target_"): values
                for name, values in arrays.items()
                if name.startswith("target_")
            },
            box_targets=described.box_targets,
            boxes=arrays.get("boxes"),
        ),
        splits=arrays["splits"],
        class_names=described.class_names,
        licence=described.licence,
        notes=described.notes,
    )


def _fits(described: _Described, arrays: dict[str, np.ndarray]) -> bool:
    """Says whether all arrays are about the images, and all images lie in the files."""
    count, files = len(described.ids), len(described.files)
    if not {"file_ids", "offsets", "lengths", "splits", "target_label"} <= arrays.keys():
        return False
    if any(len(values) != count or values.dtype.kind not in "iufU" for values in arrays.values()):
        return False
    places = [arrays[name] for name in ("file_ids", "offsets", "lengths")]
    if any(
        values.dtype.kind != "i" or values.ndim != 1 or min(values, default=0) < 0
        for values in places
    ):
        return False
    if max(places[0], default=0) >= files or len(set(described.ids)) != count:
        return False
    sizes = np.array([size for size, _ in described.stamps], np.int64)
    ends = places[1].astype(np.int64) + places[2]
    labels = arrays["target_label"]
    classes = range(len(described.class_names))
    if labels.dtype.kind != "i" or not all(label in classes for label in labels.tolist()):
        return False
    return bool((ends <= sizes[places[0]]).all()) if count else True


def size_and_time(path: Path) -> list[int]:
    """Returns a file's size in bytes and its modification time in ns: other ones, another file."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
