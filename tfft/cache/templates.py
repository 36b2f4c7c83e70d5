"""Trained models that are kept to be filled with other heads: files, by all that decides them.

An entry is a directory ``<key>`` with some files and ``entry.json``, which has their sizes and
digests and what else is known of the model. It is whole or absent, as those of
`tfft.cache.converted` are.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.cache.files import checked_file
from tfft.cache.room import ENTRY_FILE, discard, make_room
from tfft.errors import NewerFormatError, TfftError
from tfft.system.caches import is_writable
from tfft.system.files import (
    atomic_directory,
    cache_directory,
    explained_os_errors,
    remove_abandoned,
)
from tfft.system.formats import TEMPLATE

# Bound of all entries together; the least recently used ones go first.
_MAX_BYTES = 2e9


@dataclass(frozen=True)
class KeptTemplate:
    """What is kept of a model.

    Attributes:
        files: Content of its files by name.
        values: What else is known of it, as JSON values.
    """

    files: Mapping[str, bytes]
    values: Mapping[str, Any]


def template_directory() -> Path:
    """Returns the directory of the entries."""
    return cache_directory("templates")


def kept_template_of(key: str) -> KeptTemplate | None:
    """Returns an entry, or None if there is none that can be read.

    Every byte is checked. A damaged entry is removed and counts as absent; another user's, which
    cannot be removed, is left.
    """
    directory = template_directory() / key
    record = directory / ENTRY_FILE
    if not os.path.lexists(directory):
        return None
    try:
        if directory.is_symlink() or record.is_symlink():
            raise TfftError(f"{directory} is a link")
        entry = TEMPLATE.read(record)
        names = [name for name in entry["files"] if Path(name).name == name]
        files = {name: checked_file(directory / name, **entry["files"][name]) for name in names}
    except NewerFormatError:  # not damaged, and another version of tfft uses it
        return None
    except (TfftError, TypeError):
        with suppress(TfftError):
            discard(directory)
        return None
    with suppress(OSError):  # someone else's cache, which can only be read; or removed meanwhile
        os.utime(record)
    return KeptTemplate(files, entry["values"])


def can_keep_template(key: str) -> bool:
    """Says whether an entry can be made that is not there."""
    directory = template_directory()
    return not os.path.lexists(directory / key) and is_writable(directory)


def keep_template_as(key: str, template: KeptTemplate, about: Mapping[str, object]) -> None:
    """Keeps an entry for the next time, unless there is no room or no place for it.

    Args:
        key: Name of the entry.
        template: What is kept.
        about: Description for people, as JSON values.
    """
    directory = template_directory() / key
    # Nothing is lost but time if it cannot be kept, or if another process has kept it meanwhile.
    with suppress(TfftError), explained_os_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(directory.parent)
        make_room(directory.parent, sum(map(len, template.files.values())), _MAX_BYTES)
        with atomic_directory(directory) as temporary:
            for name, content in template.files.items():
                (temporary / name).write_bytes(content)
            files = {
                name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in template.files.items()
            }
            entry = {"about": dict(about), "files": files, "values": dict(template.values)}
            TEMPLATE.write(temporary / ENTRY_FILE, entry)
