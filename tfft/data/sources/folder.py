"""Photos in one folder a class, or in train, validation and test folders of such."""

import os
import unicodedata
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import cast

import numpy as np

from tfft.config.data import ImageFolderData
from tfft.data.dataset import BadImage, Source
from tfft.data.index import index_of_files
from tfft.data.notes import Kind, Notes
from tfft.data.split_names import split_called, split_within
from tfft.errors import DataError
from tfft.system.listing import file_fault, list_files
from tfft.system.printable import printable_name
from tfft.system.progress import Progress

_NO_SPLIT = Kind(
    "{} is ignored: it is neither train, validation nor test",
    "{count:,} files and folders are ignored, such as {}: they are neither train, validation nor "
    "test",
)
_NO_CLASS = Kind(
    "{} is ignored: it is in no class folder",
    "{count:,} files are ignored, such as {}: they are in no class folder",
)
_NO_IMAGES = Kind(
    "{} is no split: it has no class folders with images in them",
    "{count:,} folders such as {} are no splits: they have no class folders with images in them",
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
    """Lists the images of `config.path`, which must be set, as `images_in_folders` does.

    Labels are needed only where `targets`, the kind of head by what it predicts, asks for them.
    """
    return images_in_folders(
        cast(Path, config.path),
        may_be_splits=config.folders == "auto",
        need_labels="label" in targets,
    )


def images_in_folders(path: Path, may_be_splits: bool = True, need_labels: bool = True) -> Source:
    """Lists the images of a directory; hidden files are passed over.

    Every other file in a class folder is taken for an image, in folders within it too; the scan
    shows which are not. Links are followed. What is no file, and a folder that cannot be listed, is
    named among the unreadable.

    Args:
        path: The directory.
        may_be_splits: Whether its folders may be splits, as `split_folders` says; otherwise they
            are classes.
        need_labels: Whether there must be classes to tell apart. Otherwise files in no class folder
            are images too, of a class without a name, "".

    Raises:
        DataError: The directory is missing, cannot be listed, or holds fewer than two classes with
            files, or splits that are not told from classes; or no files at all.
    """
    path = path.absolute()
    if not path.is_dir():
        what = "is a file, not a directory" if path.exists() else "does not exist"
        raise DataError(f"data.path {what}. Received: {path}")
    found = _Found(path)
    splits = split_folders(path) if may_be_splits else {}
    for split, root in splits.items() or [("train", path)]:
        before = len(found.files) + len(found.unreadable)
        found.add_split(split, root, need_labels=need_labels)
        if splits and before == len(found.files) + len(found.unreadable):
            found.notes.add(_NO_IMAGES, found.name(root))
    for child in _visible(path) if splits else ():
        if child not in splits.values():
            found.pass_over(_NO_SPLIT, child)
    class_names = _class_names(path, found) if need_labels else _any_class_names(path, found)
    numbers = {name: number for number, name in enumerate(class_names)}
    return Source(
        name=path.name,
        index=index_of_files(
            found.files,
            [found.name(file) for file in found.files],
            [numbers[name] for name in found.classes],
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

    def add_split(self, split: str, root: Path, *, need_labels: bool) -> None:
        """Adds the images below a directory of class folders, and unless they need labels in it."""
        for child in _visible(root):
            if not child.is_dir():
                if need_labels:
                    self.pass_over(_NO_CLASS, child)
                else:
                    self._add_file(split, child)
                continue
            listing = list_files(child)
            faults = listing.unlisted | listing.faults
            if not (listing.files or faults or listing.repeated):
                self.notes.add(_EMPTY, self.name(child))
            if any(file.parent != child for file in listing.files):
                self.notes.add(_DEEP, self.name(child))
            for link in listing.repeated:
                self.notes.add(_REPEATED, self.name(link))
            self.unreadable += [BadImage(self.name(p), why) for p, why in faults.items()]
            self.files += listing.files
            self.classes += [child.name] * len(listing.files)
            self.splits += [split] * len(listing.files)

    def _add_file(self, split: str, path: Path) -> None:
        """Adds an image that is in no class folder."""
        if fault := file_fault(path):
            self.unreadable.append(BadImage(self.name(path), fault))
        else:
            self.files.append(path)
            self.classes.append("")
            self.splits.append(split)

    def pass_over(self, why: Kind, path: Path) -> None:
        """Says why a file or a folder is ignored; what is neither may have led to images."""
        fault = "" if path.is_dir() else file_fault(path)
        if fault:
            self.unreadable.append(BadImage(self.name(path), fault))
        else:
            self.notes.add(why, self.name(path))


def split_folders(path: Path) -> dict[str, Path]:
    """Returns the folders of a directory that are splits, by split; none where they are classes.

    They are splits if one with a name of the training split (`split_called`) holds folders; a class
    may have such a name, too.

    Raises:
        DataError: Two folders have a name of the same split; or folders look like splits, by their
            names or because they hold the same classes, and not all of them have such a name; or a
            folder that is no split holds some that look like splits.
    """
    inside = {child: _folders_in(child) for child in _visible(path) if child.is_dir()}
    called = {folder: split_called(folder.name) for folder in inside}
    if not any(split == "train" and inside[folder] for folder, split in called.items()):
        called = dict.fromkeys(called)
    roots: dict[str, Path] = {}
    for folder, split in called.items():
        if split in roots:
            raise DataError(
                f"{path} has both {roots[split].name} and {folder.name}: keep one of them"
            )
        if split:
            roots[split] = folder
        else:
            _stop_at_splits_within(folder, inside[folder])
    for folder, other in combinations([folder for folder in inside if inside[folder]], 2):
        if not (called[folder] and called[other]):
            _stop_at_lookalikes(folder, other, sorted(inside[folder] & inside[other]))
    return roots


def _stop_at_splits_within(folder: Path, names: set[str]) -> None:
    """Raises an error if the folders in a folder, of these names, seem to be splits."""
    called = {split: name for name in sorted(names) if (split := split_called(name))}
    if len(called) < 2:
        return
    advice = (
        "Put the splits above the classes, as train/CLASS and test/CLASS, or list the images in a "
        "CSV file with the columns path, label and split"
    )
    if any(_folders_in(child) for child in _visible(folder) if split_called(child.name)):
        advice = f"If the classes are in them, give {folder}"
    first, second, *_ = called.values()
    raise DataError(
        f"{folder} holds folders called {first} and {second}, which look like splits, and all that "
        f"is in them would be of one class, {folder.name}. {advice}. If they are no splits, set "
        "data.folders to classes."
    )


def _stop_at_lookalikes(folder: Path, other: Path, shared: list[str]) -> None:
    """Raises an error if two folders with folders in them seem to be splits of one set."""
    splits = {split_within(folder.name), split_within(other.name)} - {None}
    if len(shared) < 2 and len(splits) < 2:
        return
    why = "their names say so"
    if len(shared) > 1:
        why = f"both hold folders called {shared[0]} and {shared[1]}"
    raise DataError(
        f"{folder.name} and {other.name} in {folder.parent} look like splits of one set, not like "
        f"classes: {why}. Rename the splits to train, validation and test, or make a folder with "
        "links of these names to them. If they are classes, set data.folders to classes."
    )


def _folders_in(directory: Path) -> set[str]:
    """Returns the names of the folders in a directory, in lower case; none if it is not listed."""
    try:
        with os.scandir(directory) as entries:
            found = {entry.name.lower() for entry in entries if _leads_to_folder(entry)}
    except OSError:
        return set()
    return {name for name in found if not name.startswith(".")}


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Says whether an entry is a folder or a link to one; a link that leads nowhere is neither."""
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry))  # noqa: PTH112


def _visible(directory: Path) -> list[Path]:
    """Returns what lies in a directory, sorted; nothing if it is not a directory.

    Raises:
        DataError: It cannot be listed.
    """
    if not directory.is_dir():
        return []
    try:
        return sorted(child for child in directory.iterdir() if not child.name.startswith("."))
    except OSError as error:
        raise DataError(f"{directory} cannot be listed: {error.strerror}") from error


def _any_class_names(path: Path, found: _Found) -> tuple[str, ...]:
    """Returns the classes of what was found, of which there may be one, which may have no name."""
    if not found.files:
        unreadable = "".join(f"\n  {bad.path}: {bad.reason}" for bad in found.unreadable)
        raise DataError(f"{path} has no images in it{unreadable}")
    return tuple(sorted(set(found.classes)))


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
        deeper, inside = "", sorted(_folders_in(path / names[0]))
        if len(inside) > 1:
            shown = printable_name(" and ".join(inside[:2]))
            folder = path / names[0]
            deeper = f". It holds folders such as {shown}: if they are the classes, give {folder}"
        raise DataError(
            f"{path} has one class only, {names[0]!r}: there is nothing to tell apart{deeper}"
            f"{unreadable}"
        )
    pairs = zip(found.classes, found.splits, strict=True)
    trained = {name for name, split in pairs if split == "train"}
    if untrained := [name for name in names if name not in trained]:
        by_look = {_as_read(name): name for name in trained}
        alike = [(name, by_look[_as_read(name)]) for name in untrained if _as_read(name) in by_look]
        hint = f". There {alike[0][0]!r} is spelled {alike[0][1]!r}" if alike else ""
        raise DataError(
            f"{path} has no training images of the class{'es' * (len(untrained) > 1)} "
            f"{', '.join(untrained)}{hint}. Put some there, or remove the class from the other "
            f"splits{unreadable}"
        )
    return names


def _as_read(name: str) -> str:
    """Returns a name without what readers overlook: case, blanks, how an accent is encoded."""
    return unicodedata.normalize("NFKC", name).casefold().strip()
