"""The entries of the cache, and how room is made: the least recently used go first."""

import contextlib
import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.errors import TfftError
from tfft.system.files import lock_or_none
from tfft.system.formats import CACHE_ENTRY
from tfft.system.readable import Readable, counted, size_text

ENTRY_FILE = "entry.json"
BUILDING = ".building"
# In a directory that is being built: the number of bytes that it will take.
PROMISED_FILE = "promised"
_REMOVING = ".removing"


class NoRoomError(TfftError):
    """The bound of the cache, or its disk, is too small for what is to be written."""


@dataclass(frozen=True, repr=False)
class Listed(Readable):
    """An entry of the cache.

    Attributes:
        path: Directory of the entry.
        bytes: Size of all its files.
        used: Time of the last use, seconds since the epoch.
        in_use: Whether a process is reading it now.
        about: Description that was stored when it was made; empty if it cannot be read.
        examples: Number of examples whose tensors it holds; None for a converted model, and for an
            entry of an older format, which is not used any more.
    """

    path: Path
    bytes: int
    used: float
    in_use: bool
    about: dict[str, Any]
    examples: int | None = None

    def lines(self) -> list[str]:
        about = ", ".join(f"{key} {value}" for key, value in self.about.items() if value)
        held = "" if self.examples is None else f"{counted(self.examples, 'example')}, "
        in_use = ", in use" if self.in_use else ""
        of_text = f"{held}{size_text(self.bytes)}{in_use}"
        return [f"{self.path.name}: {of_text}", *([about] if about else [])]


def list_entries(directory: Path) -> list[Listed]:
    """Returns the entries of a cache, the most recently used first."""
    found = []
    for path in directory.glob("[!.]*"):
        try:
            size = sum(file.stat().st_size for file in path.iterdir())
            used = (path / ENTRY_FILE).stat().st_mtime
        except (FileNotFoundError, NotADirectoryError):  # removed meanwhile, or not an entry
            continue
        lock = lock_or_none(path / ENTRY_FILE, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is not None:
            os.close(lock)
        record = _record(path)
        about = dict(record.get("about", {}))
        found.append(Listed(path, size, used, lock is None, about, record.get("examples")))
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def make_room(directory: Path, needed: int, max_bytes: float) -> None:
    """Removes what killed runs left behind, then entries until `needed` more bytes fit.

    Entries that are in use stay.

    Raises:
        NoRoomError: The bound of the cache or the disk is too small.
    """
    remove_incomplete(directory)
    if needed > max_bytes:
        raise NoRoomError(_too_small(directory, needed, max_bytes))
    promised = _promised(directory)
    remove_entries(directory, max_bytes=max_bytes - needed - promised)
    left = promised + sum(entry.bytes for entry in list_entries(directory))
    if left + needed > max_bytes:
        raise NoRoomError(
            f"{_too_small(directory, needed, max_bytes)} {size_text(left)} in it are in use by "
            "other runs."
        )
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise NoRoomError(
            f"the disk is too full for the cache: {size_text(needed)} are needed in {directory}, "
            f"and {size_text(free)} are free. Free some space (tfft cache clean), put the cache "
            "elsewhere ($TFFT_CACHE_DIR), or set train.cache.mode: off."
        )


def has_room(directory: Path, needed: int, max_bytes: float) -> bool:
    """Says whether `needed` more bytes fit beside all entries, also those that are being made."""
    needed += _promised(directory)
    there = sum(entry.bytes for entry in list_entries(directory))
    return there + needed <= max_bytes and needed <= shutil.disk_usage(directory).free


def _promised(directory: Path) -> int:
    """Returns how many bytes the entries will take that are being made now."""
    promised = 0
    for file in directory.glob(f".*{BUILDING}/{PROMISED_FILE}"):
        with contextlib.suppress(FileNotFoundError, ValueError):  # just finished, or just begun
            promised += int(file.read_text())
    return promised


def remove_entries(
    directory: Path, *, max_bytes: float = float("inf"), older_than_s: float = float("inf")
) -> list[Listed]:
    """Removes entries that are not in use: old ones, and the oldest until the rest fits.

    Args:
        directory: Directory of the cache.
        max_bytes: Size that the remaining entries may have together.
        older_than_s: Seconds since the last use after which an entry is removed.

    Returns:
        The entries that were removed.
    """
    entries = list_entries(directory)
    left, now = sum(entry.bytes for entry in entries), time.time()
    removed = []
    for entry in reversed(entries):
        if (left > max_bytes or now - entry.used > older_than_s) and remove(entry.path):
            left -= entry.bytes
            removed.append(entry)
    return removed


def remove_incomplete(directory: Path) -> None:
    """Removes entries that killed runs left half written."""
    for path in directory.glob(f".*{BUILDING}"):
        lock = lock_or_none(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
    for path in directory.glob(f".*{_REMOVING}"):
        shutil.rmtree(path, ignore_errors=True)


def discard(entry: Path) -> None:
    """Removes what lies at the place of an entry, whatever it is; what is being read stays open.

    Raises:
        TfftError: It cannot be removed.
    """
    aside = entry.with_name(f".{entry.name}.{time.time_ns()}{_REMOVING}")
    try:
        entry.rename(aside)  # at once: no process sees it half removed
    except FileNotFoundError:
        return
    except OSError as error:
        raise TfftError(
            f"{entry} in the cache is damaged and cannot be removed: {error.strerror}. Remove it, "
            "or set TFFT_CACHE_DIR to a directory of your own."
        ) from error
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)


def remove(path: Path) -> bool:
    """Removes an entry unless it is in use; returns whether it is gone."""
    lock = lock_or_none(path / ENTRY_FILE, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        return False
    try:
        discard(path)
    except TfftError:  # another user's
        return False
    finally:
        os.close(lock)
    return True


def _record(path: Path) -> dict[str, Any]:
    try:
        return CACHE_ENTRY.read_if_there(path / ENTRY_FILE)
    except TfftError:
        return {}


def _too_small(directory: Path, needed: int, max_bytes: float) -> str:
    return (
        f"the cache is too small: {size_text(needed)} are needed in {directory}, whose bound is "
        f"{size_text(max_bytes)}. Raise train.cache.max_gb, or set train.cache.mode: off."
    )
