"""Photos in one folder a class, or in train, validation and test folders of such."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from tfft.config.data import ImageFolderData
from tfft.data.dataset import BadImage, Source
from tfft.data.index import index_of_files
from tfft.data.notes import Kind, Notes
from tfft.errors import DataError
from tfft.system.listing import file_fault, list_files
from tfft.system.printable import printable_name
from tfft.system.progress import Progress

_SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}

_NO_SPLIT = Kind(
    "{} is ignored: it is neither train, validation nor test",
    "{count:,} files and folders are ignored, such as {}: they are neither train, validation nor "
    "test",
)
_NO_CLASS = Kind(
    "{} is ignored: it is in no class folder",
    "{count:,} files are ignored, such as {}: they are in no class folder",
)
_EMPTY = Kind(
    "{} is ignored: the class folder is empty",
    "{count:,} class folders are ignored, such as {}: they are empty",
)
_DEEP = Kind(
    "{} has folders in it: the images in them count for the class too",
    "{count:,} class folders have folders in them, such as {}: the images in them count for the "
    "class too",
)
_REPEATED = Kind(
    "{} is ignored: it is a link to a folder that is listed already",
    "{count:,} links are ignored, such as {}: they lead to folders that are listed already",
)


def folder_source(
    config: ImageFolderData, targets: Mapping[str, str], progress: Progress
) -> Source:
    """Lists the images of `config.path`, which must be set, as `images_in_folders` does."""
    return images_in_folders(cast(Path, config.path))


def images_in_folders(path: Path) -> Source:
    """Lists the images of a directory; hidden files are passed over.

    Every other file in a class folder is taken for an image, in folders within it too; the scan
    shows which are not. Links are followed. What is no file, and a folder that cannot be listed, is
    named among the unreadable.

    Raises:
        DataError: The directory is missing, cannot be listed, or holds fewer than two classes with
            files.
    """
    path = path.absolute()
    if not path.is_dir():
        what = "is a file, not a directory" if path.exists() else "does not exist"
        raise DataError(f"data.path {what}. Received: {path}")
    found = _Found(path)
    for split, root in _split_roots(found):
        found.add_split(split, root)
    class_names = _class_names(path, found)
    return Source(
        name=path.name,
        index=index_of_files(
            found.files,
            [found.name(file) for file in found.files],
            [class_names.index(name) for name in found.classes],
        ),
        splits=np.array(found.splits),
        class_names=class_names,
        notes=found.notes.lines(),
        unreadable=tuple(found.unreadable),
    )


class _Found:
    """What was found below a directory: images with class and split, and what is said of the rest.

    Attributes:
        path: The directory.
        files: Path of each image.
        classes: Name of the class of each image.
        splits: Split of each image.
        unreadable: What cannot be read as a file.
        notes: Remarks for a person.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[Path] = []
        self.classes: list[str] = []
        self.splits: list[str] = []
        self.unreadable: list[BadImage] = []
        self.notes = Notes()

    def name(self, path: Path) -> str:
        """Returns what a path is called in messages and where results are kept."""
        return printable_name(path.relative_to(self.path).as_posix())

    def add_split(self, split: str, root: Path) -> None:
        """Adds the images below a directory of class folders."""
        for child in _visible(root):
            if child.is_dir():
                self._add_class(split, child)
            elif child.is_symlink() and (fault := file_fault(child)):
                self.unreadable.append(BadImage(self.name(child), fault))
            else:
                self.notes.add(_NO_CLASS, self.name(child))

    def _add_class(self, split: str, folder: Path) -> None:
        listing = list_files(folder)
        faults = listing.unlisted | listing.faults
        if not (listing.files or faults or listing.repeated):
            self.notes.add(_EMPTY, self.name(folder))
        if any(file.parent != folder for file in listing.files):
            self.notes.add(_DEEP, self.name(folder))
        for link in listing.repeated:
            self.notes.add(_REPEATED, self.name(link))
        self.unreadable += [BadImage(self.name(p), why) for p, why in faults.items()]
        self.files += listing.files
        self.classes += [folder.name] * len(listing.files)
        self.splits += [split] * len(listing.files)


def _split_roots(found: _Found) -> list[tuple[str, Path]]:
    """Returns (split, directory of class folders); all is training data without split folders.

    A folder called ``train`` is the training split if it holds folders; a class may bear the name.
    """
    path = found.path
    if not any(child.is_dir() for child in _visible(path / "train")):
        return [("train", path)]
    roots: dict[str, Path] = {}
    for child in _visible(path):
        split = _SPLIT_FOLDERS.get(child.name) if child.is_dir() else None
        if split is None:
            found.notes.add(_NO_SPLIT, found.name(child))
        elif split in roots:
            raise DataError(f"{path} has both validation and val: keep one of them")
        else:
            roots[split] = child
    return list(roots.items())


def _visible(directory: Path) -> list[Path]:
    """Returns what lies in a directory, sorted; nothing if it is none.

    Raises:
        DataError: It cannot be listed.
    """
    if not directory.is_dir():
        return []
    try:
        return sorted(child for child in directory.iterdir() if not child.name.startswith("."))
    except OSError as error:
        raise DataError(f"{directory} cannot be listed: {error.strerror}") from error


def _class_names(path: Path, found: _Found) -> tuple[str, ...]:
    """Returns the classes of what was found, which must be two or more, all to be trained."""
    names = tuple(sorted(set(found.classes)))
    unreadable = "".join(f"\n  {bad.path}: {bad.reason}" for bad in found.unreadable)
    if not names:
        raise DataError(
            f"{path} has no class folders with images in them. Expected: one folder a class, "
            f"or train, validation and test folders of such{unreadable}"
        )
    if len(names) == 1:
        raise DataError(
            f"{path} has one class only, {names[0]!r}: there is nothing to tell apart{unreadable}"
        )
    pairs = zip(found.classes, found.splits, strict=True)
    trained = {name for name, split in pairs if split == "train"}
    if untrained := [name for name in names if name not in trained]:
        raise DataError(
            f"{path} has no training images of the class{'es' * (len(untrained) > 1)} "
            f"{', '.join(untrained)}{unreadable}"
        )
    return names
