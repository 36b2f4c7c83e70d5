"""Version directories: integers, the next free one, never overwritten."""

from collections.abc import Iterable
from pathlib import Path


def next_version(directories: Iterable[Path]) -> int:
    """Returns the number after the highest version in any of `directories`, from 1 on."""
    taken = [
        int(child.name)
        for directory in directories
        if directory.is_dir()
        for child in directory.iterdir()
        if child.name.isdecimal()
    ]
    return max(taken, default=0) + 1
