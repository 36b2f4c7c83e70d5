"""Entries of files that are read at once: a directory of them and ``entry.json``, whole or absent.

A reader takes all of an entry at once, so that it is never in use.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from tfft.cache.room import ENTRY_FILE, discard, make_room
from tfft.errors import NewerFormatError, TfftError
from tfft.system.caches import is_writable
from tfft.system.files import atomic_directory, explained_os_errors, remove_abandoned
from tfft.system.formats import Format

T = TypeVar("T")


def read_entry(directory: Path, kind: Format, read: Callable[[dict[str, Any]], T]) -> T | None:
    """Returns what `read` makes of an entry's record, or None if there is none that can be read.

    A damaged entry, of which `read` raises a `TfftError` or a `TypeError`, is removed and counts as
    absent; another user's, which cannot be removed, is left.
    """
    record = directory / ENTRY_FILE
    if not os.path.lexists(directory):
        return None
    try:
        if directory.is_symlink() or record.is_symlink():
            raise TfftError(f"{directory} is a link")
        found = read(kind.read(record))
    except NewerFormatError:  # not damaged, and another version of tfft uses it
        return None
    except (TfftError, TypeError):
        discard_entry(directory)
        return None
    with suppress(OSError):  # someone else's cache, which can only be read; or removed meanwhile
        os.utime(record)
    return found


def can_keep_entry(directory: Path) -> bool:
    """Says whether an entry can be made that is not there."""
    return not os.path.lexists(directory) and is_writable(directory.parent)


def keep_entry(
    directory: Path,
    kind: Format,
    record: Mapping[str, Any],
    files: Mapping[str, bytes],
    max_bytes: float,
) -> None:
    """Keeps an entry for the next time, unless there is no room or no place for it.

    Args:
        directory: Where it is kept.
        kind: Format of its record.
        record: Its record, as JSON values.
        files: Content of its files by name.
        max_bytes: Bound of all entries beside it together; the least recently used ones go first.
    """
    # Nothing is lost but time if it cannot be kept, or if another process has kept it meanwhile.
    with suppress(TfftError), explained_os_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(directory.parent)
        make_room(directory.parent, sum(map(len, files.values())), max_bytes)
        with atomic_directory(directory) as temporary:
            for name, content in files.items():
                (temporary / name).write_bytes(content)
            kind.write(temporary / ENTRY_FILE, dict(record))


def discard_entry(directory: Path) -> None:
    """Removes an entry that is not what it should be, where this user may."""
    with suppress(TfftError):
        discard(directory)
