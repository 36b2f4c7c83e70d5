"""The files that the IMAGE arguments of a command line stand for."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from tfft.errors import UsageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def find_images(arguments: Iterable[str]) -> list[str]:
    """Returns the paths that the arguments stand for, in their order.

    A folder stands for the images in it and below it, recognised by suffix and sorted, without
    hidden ones; a pattern with ``*``, ``?`` or ``[…]`` (``**`` for any depth) stands for what it
    matches, sorted; anything else is a file, whether it exists or not.

    Raises:
        UsageError: A folder has no image, or a pattern matches nothing.
    """
    paths: list[str] = []
    for argument in arguments:
        matches = [argument]
        if not Path(argument).exists() and glob.has_magic(argument):
            matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - patterns may be absolute
            if not matches:
                raise UsageError(f"no file matches the pattern. Received: {argument}")
        for match in matches:
            paths += _images_below(match) if Path(match).is_dir() else [match]
    return paths


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
