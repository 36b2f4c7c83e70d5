"""The journal of what labels moved in a folder of photos, which lies in the folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfft.system.files import explained_os_errors, locked
from tfft.system.formats import APPLIED_LABELS

JOURNAL = ".labels-applied.json"


@dataclass
class Entry:
    """One application of labels, as the journal has it.

    Attributes:
        state: ``applying``, ``applied`` or ``undoing``.
        labels: The labels file.
        time: When it was begun, ISO 8601, UTC.
        removed_to: Where removed files are put.
        folders: Folders that were made, relative to the folder of photos.
        moves: The files, by `Move.file` and `Move.to`.
    """

    state: str
    labels: str
    time: str
    removed_to: str
    folders: list[str]
    moves: list[tuple[str, str]]


@contextmanager
def opened_journal(directory: Path) -> Iterator[list[Entry]]:
    """Yields what was applied to a folder; other processes that would change it wait."""
    with locked(directory):
        file = directory / JOURNAL
        read = APPLIED_LABELS.read_if_there(file).get("entries", [])
        yield [Entry(**entry) for entry in read]


def write_journal(directory: Path, entries: Sequence[Entry]) -> None:
    """Writes what is applied to a folder; where nothing is, no journal stays."""
    file = directory / JOURNAL
    if entries:
        APPLIED_LABELS.write(file, {"entries": [vars(entry) for entry in entries]})
    else:
        with explained_os_errors(file):
            file.unlink(missing_ok=True)
