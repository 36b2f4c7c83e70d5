"""Trained models that are kept to be filled with other heads: files, by all that decides them.

An entry is a directory ``<key>`` with some files and ``entry.json``, which has their sizes and
digests and what else is known of the model. It is whole or absent, as those of
`tfft.cache.converted` are.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.cache.entries import can_keep_entry, keep_entry, read_entry
from tfft.cache.files import checked_file
from tfft.system.files import cache_directory
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

    def read(record: dict[str, Any]) -> KeptTemplate:
        names = [name for name in record["files"] if Path(name).name == name]
        files = {name: checked_file(directory / name, **record["files"][name]) for name in names}
        return KeptTemplate(files, record["values"])

    return read_entry(directory, TEMPLATE, read)


def can_keep_template(key: str) -> bool:
    """Says whether an entry can be made that is not there."""
    return can_keep_entry(template_directory() / key)


def keep_template_as(key: str, template: KeptTemplate, about: Mapping[str, object]) -> None:
    """Keeps an entry for the next time, unless there is no room or no place for it.

    Args:
        key: Name of the entry.
        template: What is kept.
        about: Description for people, as JSON values.
    """
    digests = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in template.files.items()
    }
    record = {"about": dict(about), "files": digests, "values": dict(template.values)}
    keep_entry(template_directory() / key, TEMPLATE, record, template.files, _MAX_BYTES)
