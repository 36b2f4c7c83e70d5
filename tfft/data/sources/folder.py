"""Photos in one folder a class, or in train, validation and test folders of such."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from tfft.config.data import ImageFolderData
from tfft.data.dataset import Source
from tfft.data.index import index_of_files
from tfft.errors import DataError
from tfft.system.progress import Progress

_SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


def folder_source(
    config: ImageFolderData, targets: Mapping[str, str], progress: Progress
) -> Source:
    """Lists the images of `config.path`, which must be set, as `images_in_folders` does."""
    return images_in_folders(cast(Path, config.path))


def images_in_folders(path: Path) -> Source:
    """Lists the images of a directory; hidden files are passed over.

    Every other file in a class folder is taken for an image, in folders within it too; the scan
    shows which are not.

    Raises:
        DataError: The directory is missing, or holds fewer than two classes with files.
    """
    path = path.absolute()
    if not path.is_dir():
        what = "is a file, not a directory" if path.exists() else "does not exist"
        raise DataError(f"data.path {what}. Received: {path}")
    notes: list[str] = []
    files: list[tuple[Path, str, str]] = []
    for split, root in _split_roots(path, notes):
        files += [(file, name, split) for file, name in _labelled_files(path, root, notes)]
    class_names = _class_names(path, files)
    labels = [class_names.index(name) for _, name, _ in files]
    return Source(
        name=path.name,
        index=index_of_files(
            [file for file, _, _ in files],
            [file.relative_to(path).as_posix() for file, _, _ in files],
            labels,
        ),
        splits=np.array([split for _, _, split in files]),
        class_names=class_names,
        notes=tuple(notes),
    )


def _split_roots(path: Path, notes: list[str]) -> list[tuple[str, Path]]:
    """Returns (split, directory of class folders); all is training data without split folders.

    A folder called ``train`` is the training split if it holds folders; a class may bear the name.
    """
    if not any(child.is_dir() for child in _visible(path / "train")):
        return [("train", path)]
    roots: dict[str, Path] = {}
    for child in _visible(path):
        split = _SPLIT_FOLDERS.get(child.name) if child.is_dir() else None
        if split is None:
            notes.append(f"{child.name} is ignored: it is neither train, validation nor test")
        elif split in roots:
            raise DataError(f"{path} has both validation and val: keep one of them")
        else:
            roots[split] = child
    return list(roots.items())


def _labelled_files(path: Path, root: Path, notes: list[str]) -> list[tuple[Path, str]]:
    """Returns (file, name of its class) of each image below a directory of class folders."""
    found = []
    for child in _visible(root):
        place = child.relative_to(path).as_posix()
        if not child.is_dir():
            notes.append(f"{place} is ignored: it is in no class folder")
            continue
        files: list[Path] = []
        for parent, folders, names in os.walk(child):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            files += [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
        if not files:
            notes.append(f"{place} is ignored: the class folder is empty")
        if any(file.parent != child for file in files):
            notes.append(f"{place} has folders in it: the images in them count for the class too")
        found += [(file, child.name) for file in files]
    return found


def _visible(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(child for child in directory.iterdir() if not child.name.startswith("."))


def _class_names(path: Path, files: list[tuple[Path, str, str]]) -> tuple[str, ...]:
    """Returns the classes of (file, class, split), which must be two or more, all to be trained."""
    names = tuple(sorted({name for _, name, _ in files}))
    if not names:
        raise DataError(
            f"{path} has no class folders with images in them. Expected: one folder a class, "
            f"or train, validation and test folders of such"
        )
    if len(names) == 1:
        raise DataError(f"{path} has one class only, {names[0]!r}: there is nothing to tell apart")
    trained = {name for _, name, split in files if split == "train"}
    if untrained := [name for name in names if name not in trained]:
        raise DataError(
            f"{path} has no training images of the class{'es' * (len(untrained) > 1)} "
            f"{', '.join(untrained)}"
        )
    return names
