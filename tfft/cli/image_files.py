"""Which files the IMAGE arguments of a command line mean."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from tfft.errors import UsageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def find_images(arguments: Iterable[str]) -> list[str]:
    """Returns the paths that the arguments mean, in their order.

    A folder means the images in it and below it by their suffixes, sorted, without hidden ones; a
    pattern with ``*``, ``?`` or ``[…]`` (``**`` for any depth) what it matches, sorted; anything
    else a file, whether it is there or not.

    Raises:
        UsageError: A folder has no image, or a pattern matches nothing.
    """
    return [path for argument in arguments for path in _meant_by(argument)]


def _meant_by(argument: str) -> list[str]:
    if Path(argument).is_dir():
        return _images_below(argument)
    if not Path(argument).exists() and glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if not matches:
            raise UsageError(f"no file matches the pattern. Received: {argument}")
        return [path for match in matches for path in _meant_by_match(match)]
    return [argument]


def _meant_by_match(path: str) -> list[str]:
    return _images_below(path) if Path(path).is_dir() else [path]


def _images_below(folder: str) -> list[str]:
    found = []
    for directory, subfolders, files in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [
            str(Path(directory, name))
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    if not found:
        raise UsageError(
            f"no image in the folder ({', '.join(IMAGE_SUFFIXES)}). Received: {folder}"
        )
    return sorted(found)
