"""Version directories: named by integers, never overwritten."""

from collections.abc import Iterable
from pathlib import Path


def saved_versions(directory: Path) -> list[int]:
    """Returns the numbers of the versions in a directory, ascending; none if it does not exist."""
    children = directory.iterdir() if directory.is_dir() else ()
    return sorted(int(child.name) for child in children if child.name.isdecimal())


def next_version(directories: Iterable[Path]) -> int:
    """Returns the number after the highest version in any of `directories`; 1 if there is none."""
    taken = [number for directory in directories for number in saved_versions(directory)]
    return max(taken, default=0) + 1
