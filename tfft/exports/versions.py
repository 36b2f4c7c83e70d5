"""Version directories: integers, the next free one, never overwritten."""

from collections.abc import Iterable
from pathlib import Path


def saved_versions(directory: Path) -> list[int]:
    """Returns the numbers of the versions in a directory, ascending; none if it is not there."""
    children = directory.iterdir() if directory.is_dir() else ()
    return sorted(int(child.name) for child in children if child.name.isdecimal())


def next_version(directories: Iterable[Path]) -> int:
    """Returns the number after the highest version in any of `directories`, from 1 on."""
    taken = [number for directory in directories for number in saved_versions(directory)]
    return max(taken, default=0) + 1
