"""Models that were converted once: TFLite files on disk, keyed by everything that decides them.

An entry is a directory ``<key>`` with ``model.tflite`` and ``entry.json``, which has the size and
the SHA-256 of the file; where a model could not be converted, it says why and there is no file. It
is whole or absent. A reader takes all of a file at once, so that an entry is never in use.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.cache.entries import can_keep_entry, discard_entry, keep_entry, read_entry
from tfft.cache.files import checked_file
from tfft.cache.keys import decisive_versions
from tfft.system.files import cache_directory
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

    def read(record: dict[str, Any]) -> Conversion:
        outputs, reason = tuple(record["outputs"]), record["reason"]
        if reason:
            return Conversion(None, outputs, reason)
        content = checked_file(directory / _FILE, record["bytes"], record["sha256"])
        return Conversion(content, outputs, reason)

    return read_entry(directory, CONVERTED, read)


def can_keep_conversion(key: str) -> bool:
    """Says whether an entry can be made that is not there."""
    return can_keep_entry(converted_directory() / key)


def keep_conversion(key: str, conversion: Conversion, about: Mapping[str, object]) -> None:
    """Keeps a conversion for the next time, unless there is no room or no place for it.

    Args:
        key: Name of the entry.
        conversion: What is kept.
        about: Description for people, as JSON values.
    """
    content = conversion.content or b""
    record = {
        "about": dict(about),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "outputs": list(conversion.outputs),
        "reason": conversion.reason,
    }
    files = {_FILE: content} if content else {}
    keep_entry(converted_directory() / key, CONVERTED, record, files, _MAX_BYTES)


def discard_conversion(key: str) -> None:
    """Removes an entry that is not what it should be, where this user may."""
    discard_entry(converted_directory() / key)
