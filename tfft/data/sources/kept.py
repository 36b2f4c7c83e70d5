"""Sources that took long to list, kept so that listing them again does next to nothing."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from tfft.data.dataset import Source
from tfft.data.index import ImageIndex
from tfft.errors import TfftError
from tfft.system.caches import cache_place, optional_write
from tfft.system.files import read_arrays, write_arrays

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


def kept_source(path: Path) -> Source | None:
    """Reads a kept source; None if it is missing, damaged, or its files have changed since."""
    try:
        arrays = read_arrays(path)
        described = json.loads(arrays["described"].tobytes())
        stamps = [size_and_time(Path(file)) for file in described["files"]]
        return _source(described, arrays) if stamps == described["stamps"] else None
    except (TfftError, OSError, ValueError, KeyError):
        return None


def _source(described: dict[str, Any], arrays: dict[str, np.ndarray]) -> Source:
    return Source(
        name=described["name"],
        index=ImageIndex(
            files=tuple(described["files"]),
            file_ids=arrays["file_ids"],
            offsets=arrays["offsets"],
            lengths=arrays["lengths"],
            ids=tuple(described["ids"]),
            targets={
                name.removeprefix("target_"): values
                for name, values in arrays.items()
                if name.startswith("target_")
            },
            box_targets=tuple(described["box_targets"]),
            boxes=arrays.get("boxes"),
        ),
        splits=arrays["splits"],
        class_names=tuple(described["class_names"]),
        licence=described["licence"],
        notes=tuple(described["notes"]),
    )


def size_and_time(path: Path) -> list[int]:
    """Returns a file's size in bytes and its modification time in ns: other ones, another file."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
