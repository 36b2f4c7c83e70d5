"""Models that were converted once: TFLite files on disk, keyed by everything that decides them.

An entry is a directory ``<key>`` with ``model.tflite`` and ``entry.json``, which has the size and
the SHA-256 of the file; where a model could not be converted, it says why and there is no file. It
is whole or absent. A reader takes all of a file at once, so that an entry is never in use.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tfft.cache.files import checked_file
from tfft.cache.keys import decisive_versions
from tfft.cache.room import ENTRY_FILE, discard, make_room
from tfft.errors import NewerFormatError, TfftError
from tfft.system.caches import is_writable
from tfft.system.files import (
    atomic_directory,
    cache_directory,
    explained_os_errors,
    remove_abandoned,
)
from tfft.system.formats import CONVERTED

# Part of every key: a change to how models are converted or checked makes a new key.
_FORMAT = 1
_FILE = "model.tflite"
# Bound of all entries together; the least recently used ones go first.
_MAX_BYTES = 4e9


@dataclass(frozen=True)
class Conversion:
    """What became of the conversion of a model.

    Attributes:
        content: TFLite file; None where the model cannot be converted, or the file does not agree
            with it.
        outputs: Names of the outputs of the model, in the order of those of the file.
        reason: Why there is no file, for people; "" where there is one.
    """

    content: bytes | None
    outputs: tuple[str, ...] = ()
    reason: str = ""


def converted_directory() -> Path:
    """Returns the directory of the entries."""
    return cache_directory("converted")


def conversion_key(**identity: object) -> str:
    """Returns the name of an entry: SHA-256 of the identity, and of the versions of the packages.

    Args:
        identity: Everything else that decides the file, as JSON values: the digest of the model,
            the batch size.
    """
    described = {"format": _FORMAT, "versions": decisive_versions(), **identity}
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def kept_conversion(key: str) -> Conversion | None:
    """Returns a kept conversion, or None if there is none that can be read.

    Every byte is checked. A damaged entry is removed and counts as absent; another user's, which
    cannot be removed, is left.
    """
    directory = converted_directory() / key
    record = directory / ENTRY_FILE
    if not os.path.lexists(directory):
        return None
    try:
        if directory.is_symlink() or record.is_symlink():
            raise TfftError(f"{directory} is a link")
        values = CONVERTED.read(record)
        outputs, reason = tuple(values["outputs"]), values["reason"]
        content = (
            None if reason else checked_file(directory / _FILE, values["bytes"], values["sha256"])
        )
    except NewerFormatError:  # not damaged, and another version of tfft uses it
        return None
    except TfftError:
        discard_conversion(key)
        return None
    with suppress(OSError):  # someone else's cache, which can only be read; or removed meanwhile
        os.utime(record)
    return Conversion(content, outputs, reason)


def can_keep_conversion(key: str) -> bool:
    """Says whether an entry can be made that is not there."""
    directory = converted_directory()
    return not os.path.lexists(directory / key) and is_writable(directory)


def keep_conversion(key: str, conversion: Conversion, about: Mapping[str, object]) -> None:
    """Keeps a conversion for the next time, unless there is no room or no place for it.

    Args:
        key: Name of the entry.
        conversion: What is kept.
        about: Description for people, as JSON values.
    """
    content = conversion.content or b""
    directory = converted_directory() / key
    # Nothing is lost but time if it cannot be kept, or if another process has kept it meanwhile.
    with suppress(TfftError), explained_os_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(directory.parent)
        make_room(directory.parent, len(content), _MAX_BYTES)
        with atomic_directory(directory) as temporary:
            if content:
                (temporary / _FILE).write_bytes(content)
            entry = {
                "about": dict(about),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "outputs": list(conversion.outputs),
                "reason": conversion.reason,
            }
            CONVERTED.write(temporary / ENTRY_FILE, entry)


def discard_conversion(key: str) -> None:
    """Removes an entry that is not what it should be, where this user may."""
    with suppress(TfftError):
        discard(converted_directory() / key)
