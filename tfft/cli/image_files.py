"""The files that the IMAGE arguments of a command line stand for."""

import glob
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tfft.data.notes import Kind, Notes
from tfft.errors import UsageError
from tfft.system.listing import folder_fault, list_files
from tfft.system.printable import printable_name

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif"),
)

_OTHER = Kind(
    "{} is passed over: its name does not end as that of an image",
    "{count:,} files are passed over, such as {}: their names do not end as those of images",
)
_REPEATED = Kind(
    "{} is passed over: it is a link to a folder that is listed already",
    "{count:,} links are passed over, such as {}: they lead to folders that are listed already",
)


def find_images(arguments: Iterable[str], notes: Notes) -> list[str]:
    """Returns the paths that the arguments stand for, in their order.

    A folder stands for the images in it and below it, recognised by suffix and sorted, without
    hidden ones, and for what cannot be listed there; a pattern with ``*``, ``?`` or ``[…]`` (``**``
    for any depth) stands for what it matches, sorted, and for folders on the way that cannot be
    listed; ``-`` stands for the paths on standard input; anything else is a file, whether it exists
    or not.

    Args:
        arguments: Files, folders and patterns.
        notes: Where it is said what of a folder is passed over.

    Raises:
        UsageError: A folder has no image, a pattern matches nothing, or no path is on standard
            input.
    """
    paths: list[str] = []
    for argument in map(os.path.expanduser, arguments):
        if argument == "-":
            for path in _paths_on_stdin():
                paths += _images_below(path, notes) if Path(path).is_dir() else [path]
            continue
        matches = [argument]
        if not Path(argument).exists() and glob.has_magic(argument):
            matches = sorted(_matches(argument) | _closed_folders(argument))
            if not matches:
                raise UsageError(f"no file matches the pattern. Received: {argument}")
        for match in matches:
            paths += _images_below(match, notes) if Path(match).is_dir() else [match]
    return paths


def _paths_on_stdin() -> list[str]:
    """Returns the paths on standard input, a line each, or as ``find -print0`` ends them.

    A path is taken as it is: none of them is a pattern.
    """
    text = sys.stdin.buffer.read()
    lines = text.split(b"\0") if b"\0" in text else text.splitlines()
    if not (paths := [os.fsdecode(line) for line in lines if line.strip()]):
        raise UsageError("- stands for paths on standard input, and there is none")
    return paths


def _matches(pattern: str) -> set[str]:
    return set(glob.glob(pattern, recursive=True))  # noqa: PTH207 - patterns may be absolute


def _closed_folders(pattern: str) -> set[str]:
    """Returns the folders in which a pattern would match files if they could be listed."""
    parts = Path(pattern).parts
    starts = [str(Path(*parts[:count])) for count in range(1, len(parts))]
    folders = {folder for start in starts for folder in _matches(start) if Path(folder).is_dir()}
    return {folder for folder in folders if folder_fault(Path(folder))}


def _images_below(folder: str, notes: Notes) -> list[str]:
    listing = list_files(Path(folder))
    for link in listing.repeated:
        notes.add(_REPEATED, printable_name(str(link)))
    found = [str(path) for path in listing.unlisted]
    for path in (*listing.files, *listing.faults):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            found.append(str(path))
        else:
            notes.add(_OTHER, printable_name(str(path)))
    if not found:
        raise UsageError(
            f"no image in the folder ({', '.join(IMAGE_SUFFIXES)}). Received: {folder}"
        )
    return sorted(found)
