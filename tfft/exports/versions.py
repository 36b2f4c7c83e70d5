"""Version directories: named by integers, never overwritten, each claimed by one process."""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from tfft.system.files import (
    NO_LOCKS,
    TEMPORARY,
    explained_os_errors,
    lock_or_none,
    remove_abandoned,
)


def saved_versions(directory: Path) -> list[int]:
    """Returns the numbers of the versions in a directory, ascending; none if it does not exist."""
    children = directory.iterdir() if directory.is_dir() else ()
    return sorted(int(child.name) for child in children if child.name.isdecimal())


def next_version(directories: Iterable[Path]) -> int:
    """Returns the number after the highest version in any of `directories`; 1 if there is none."""
    taken = [number for directory in directories for number in saved_versions(directory)]
    return max(taken, default=0) + 1


@contextlib.contextmanager
def claimed_version(directory: Path, directories: Iterable[Path]) -> Iterator[int]:
    """Yields the next version that no other process is writing, and claims it meanwhile.

    What killed processes left half written in `directory` is removed.

    Args:
        directory: Directory of an export; made if it does not exist.
        directories: Directories whose versions count.

    Raises:
        TfftError: `directory` cannot be written to.
    """
    places = list(directories)
    with explained_os_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        remove_abandoned(directory)
    for number in count(next_version(places)):
        claim = directory / f".{number}{TEMPORARY}claim"
        with explained_os_errors(claim):
            lock = _claimed(claim)
        if lock is None:
            continue
        try:
            # Another process may have written it, and given it back, since they were listed.
            if not any(number in saved_versions(place) for place in places):
                yield number
                return
        finally:
            claim.unlink(missing_ok=True)
            os.close(lock)
            with contextlib.suppress(OSError):  # nothing was exported
                directory.rmdir()


def _claimed(claim: Path) -> int | None:
    claim.parent.mkdir(parents=True, exist_ok=True)
    claim.touch()
    try:
        return lock_or_none(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return os.open(claim, os.O_RDONLY)
