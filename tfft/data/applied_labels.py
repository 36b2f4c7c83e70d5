"""Labels applied to a folder of photos: files are moved to the folders of their classes, and back.

No file is ever replaced. What will be moved is written to a journal in the folder before the first
file is, so that what was interrupted anywhere can be gone on with or undone. The rows of the labels
file follow the photos, both ways: one that named a photo by where it was would say something of
whatever is put there later.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.data import ImageFolderData
from tfft.data.dataset import shown
from tfft.data.labels import relabelled
from tfft.data.labels_file import read_labels, rename_rows
from tfft.data.labels_journal import JOURNAL, Entry, opened_journal, write_journal
from tfft.data.sources.folder import images_in_folders, split_folders
from tfft.errors import DataError, TfftError, UsageError
from tfft.system.files import explained_os_errors, require_writable, sync
from tfft.system.moving import free_path, is_other_file, move_file
from tfft.system.printable import printable_name, unicode
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, command_text, counted


@dataclass(frozen=True)
class Move:
    """One file that is moved.

    Attributes:
        file: Where it is, relative to the folder of photos.
        to: Where it is moved to, likewise.
    """

    file: str
    to: str


@dataclass(frozen=True, repr=False)
class AppliedLabels(Readable):
    """What applying labels to a folder moves, or undoing it.

    Attributes:
        directory: The folder of photos.
        moves: The files that are moved.
        removed: Number of them that are moved out of the classes, or back into them.
        removed_to: Where removed files are put.
        undone: Whether the files are moved back.
        is_done: Whether they were moved; False where it was only asked what would be.
        notes: Remarks for a person.
    """

    directory: Path
    moves: tuple[Move, ...]
    removed: int
    removed_to: Path
    undone: bool
    is_done: bool
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[tuple[str, str], int]:
        """Returns the number of files by the folders that they come from and go to."""
        folders = (
            (os.path.dirname(move.file), os.path.dirname(move.to))  # noqa: PTH120
            for move in self.moves
        )
        return dict(Counter(folders))

    def lines(self) -> list[str]:
        verb = "moved" if self.is_done else "to move"
        back = " back" if self.undone else ""
        of_these = f", {self.removed:,} of them removed" if self.removed and not self.undone else ""
        return [
            f"{self.directory.name}: {counted(len(self.moves), 'file')} {verb}{back}{of_these}",
            *shown([f"{move.file} to {move.to}" for move in self.moves]),
            *self.notes,
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft data apply --json`` prints."""
        return {
            "directory": str(self.directory),
            "moves": [{"file": move.file, "to": move.to} for move in self.moves],
            "removed": self.removed,
            "removed_to": str(self.removed_to),
            "undone": self.undone,
            "done": self.is_done,
            "notes": list(self.notes),
        }


def apply_labels(
    config: ImageFolderData,
    *,
    removed_to: Path | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> AppliedLabels:
    """Moves photos into the folders of the classes that a labels file gives them.

    A file whose name is taken there gets another one, such as ``5-2.png``. What was interrupted is
    gone on with, and nothing else is done then. The paths in the labels file become those that the
    photos have now.

    Args:
        config: The folder of photos, with `path` and `labels`.
        removed_to: Folder for photos that are removed, on the same disk and not among the classes;
            default: ``<folder>-removed`` beside the folder.
        dry_run: Move nothing; the result says what would be moved.
        progress: Where progress is reported.

    Raises:
        DataError: There is no such folder or labels file, a label cannot be applied, or a file is
            in the way.
        UsageError: `removed_to` is within the folder, or what was applied before is being undone.
        TfftError: A file cannot be moved.
    """
    directory, labels = _required(config)
    with opened_journal(directory) as entries:
        entry = entries[-1] if entries and entries[-1].state != "applied" else None
        if entry and entry.state == "undoing":
            raise UsageError(
                f"what was applied to {directory} is being undone. Go on with that first: "
                f"{command_text('data', 'apply', directory, '--undo')}"
            )
        notes: tuple[str, ...] = ()
        if entry is None:
            place = removed_to or directory.parent / f"{directory.name}-removed"
            entry, notes = _new_entry(config, directory, labels, place.absolute())
        else:
            notes = (f"going on with what was begun {entry.time}, of {entry.labels}",)
        moves = tuple(Move(*pair) for pair in entry.moves)
        _require_free(directory, moves)
        if not dry_run and moves:
            if entry not in entries:
                entries.append(entry)
            write_journal(directory, entries)
            again = command_text("data", "apply", directory, "--labels", labels)
            with _told_how_to_go_on(directory, again):
                notes += _carried_out(directory, moves, entry.folders, progress)
                notes += _followed(Path(entry.labels), moves)
            entry.state = "applied"
            write_journal(directory, entries)
        return _result(directory, entry, moves, notes, is_done=not dry_run)


def undo_labels(
    config: ImageFolderData, *, dry_run: bool = False, progress: Progress = SILENT
) -> AppliedLabels:
    """Moves photos back to where they were before labels were applied the last time.

    Folders that were made for them are removed where nothing else is in them. The paths in the
    labels file become those of before.

    Args:
        config: The folder of photos.
        dry_run: Move nothing; the result says what would be moved.
        progress: Where progress is reported.

    Raises:
        DataError: There is no such folder, or a file is in the way.
        UsageError: No labels were applied to it.
        TfftError: A file cannot be moved.
    """
    directory, _ = _required(config, labels=False)
    with opened_journal(directory) as entries:
        if not entries:
            raise UsageError(f"no labels have been applied to {directory}: there is no {JOURNAL}")
        entry = entries[-1]
        moves = tuple(Move(to, file) for file, to in reversed(entry.moves))
        _require_free(directory, moves)
        notes: tuple[str, ...] = (f"applied {entry.time}, of {entry.labels}",)
        if not dry_run:
            entry.state = "undoing"
            write_journal(directory, entries)
            with _told_how_to_go_on(directory):
                notes += _carried_out(directory, moves, (), progress)
                notes += _followed(Path(entry.labels), moves)
            for folder in reversed(entry.folders):
                with suppress(OSError):  # somebody put something else there
                    (directory / folder).rmdir()
            entries.pop()
            write_journal(directory, entries)
        return _result(directory, entry, moves, notes, undone=True, is_done=not dry_run)


def _required(config: ImageFolderData, *, labels: bool = True) -> tuple[Path, Path]:
    """Returns the folder and the labels file of a section."""
    if config.path is None or (labels and config.labels is None):
        raise UsageError("which labels? Give --labels FILE, or --undo to take back the last ones")
    directory = config.path.absolute()
    if not directory.is_dir():
        what = "is a file, not a directory" if directory.exists() else "does not exist"
        raise DataError(f"the folder of photos {what}. Received: {directory}")
    return directory, Path() if config.labels is None else config.labels.absolute()


@contextmanager
def _told_how_to_go_on(directory: Path, again: str = "") -> Iterator[None]:
    """Adds to an interrupt how to go on with what it interrupts, and how to take it back."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        undo = command_text("data", "apply", directory, "--undo")
        interrupt.add_note(f"Go on with: {again or undo}")
        if again:
            interrupt.add_note(f"Or take it back: {undo}")
        raise


def _result(
    directory: Path,
    entry: Entry,
    moves: tuple[Move, ...],
    notes: tuple[str, ...],
    *,
    undone: bool = False,
    is_done: bool,
) -> AppliedLabels:
    out = Path(entry.removed_to)
    places = ((move.file if undone else move.to) for move in moves)
    removed = sum(Path(os.path.normpath(directory / p)).is_relative_to(out) for p in places)
    return AppliedLabels(directory, moves, removed, out, undone, is_done, notes)


def _new_entry(
    config: ImageFolderData, directory: Path, labels: Path, removed_to: Path
) -> tuple[Entry, tuple[str, ...]]:
    """Returns the moves that labels ask for, and remarks."""
    may_be_splits = config.folders == "auto"
    source = images_in_folders(directory, may_be_splits)
    if removed_to.resolve().is_relative_to(directory.resolve()):
        raise UsageError(
            f"removed photos would be counted again: choose a folder that is not within "
            f"{directory}. Received: {removed_to}"
        )
    wanted = read_labels(labels)
    new = relabelled(source, wanted, labels.name)
    depth = 1 if may_be_splits and split_folders(directory) else 0
    faults: list[str] = []
    taken: set[Path] = set()
    moves = []
    for place in np.flatnonzero(new.removed | new.changed).tolist():
        file = Path(source.index.files[source.index.file_ids[place]])
        inside = file.relative_to(directory)
        if fault := _fault(directory, inside):
            faults.append(f"  {printable_name(inside.as_posix())}: {fault}")
            continue
        if new.removed[place]:
            to = removed_to / inside
        else:
            label = new.source.class_names[new.source.index.targets["label"][place]]
            to = directory.joinpath(*inside.parts[:depth], label, *inside.parts[depth + 1 :])
        to = free_path(to, taken)
        taken.add(to)
        moves.append((inside.as_posix(), os.path.relpath(to, directory)))
    if faults:
        raise DataError(
            "\n".join(
                [
                    f"{counted(len(faults), 'file')} cannot be moved:",
                    *faults,
                    "Nothing was moved. Move these yourself, or take them out of the labels file.",
                ]
            )
        )
    folders = _missing_folders(directory, (to for _, to in moves), removed_to)
    left = [bad.path for bad in source.unreadable if wanted.get(bad.path) == ""]
    notes = new.notes
    if left:
        notes += (f"left where they are, since they are no files: {', '.join(shown(left))}",)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return Entry("applying", str(labels), time, str(removed_to), folders, moves), notes


def _fault(directory: Path, inside: Path) -> str:
    """Returns why a file is not moved, or ""."""
    if unicode(str(inside)) != str(inside):
        return "its name is not UTF-8"
    links = [directory / part for part in (inside, *inside.parents) if part != Path()]
    if link := next((path for path in links if path.is_symlink()), None):
        return "a link" if link == directory / inside else f"behind a link, {link.name}"
    return ""


def _missing_folders(directory: Path, files: Iterable[str], removed_to: Path) -> list[str]:
    """Returns the folders that files need and that are not there, the outer ones first.

    Raises:
        DataError: A file is where a folder must be.
        TfftError: A folder cannot be made there, or is on another disk.
    """
    folders: dict[Path, None] = {}
    for file in files:
        parents = Path(os.path.normpath(directory / file)).parents
        there = next(parent for parent in parents if os.path.lexists(parent))
        if not there.is_dir():
            raise DataError(f"{there} is no folder, and must become one. Rename it")
        require_writable(there)
        if there.stat().st_dev != directory.stat().st_dev:
            raise UsageError(
                f"{there} is on another disk than {directory}: choose a folder for removed photos "
                f"on the same one with --removed DIR. Received: {removed_to}"
            )
        missing = [parent for parent in parents if not os.path.lexists(parent)]
        folders |= dict.fromkeys(reversed(missing))
    return [os.path.relpath(folder, directory) for folder in folders]


def _require_free(directory: Path, moves: Sequence[Move]) -> None:
    """Requires that no other files lie where files are moved to."""
    pairs = [(directory / move.file, directory / move.to) for move in moves]
    if strangers := [to for file, to in pairs if is_other_file(file, to)]:
        raise DataError(
            f"{counted(len(strangers), 'file')} in the way, which nothing replaces: "
            f"{', '.join(shown([printable_name(str(path)) for path in strangers]))}. Move what "
            "lies there, and give the command again"
        )


def _carried_out(
    directory: Path, moves: Sequence[Move], folders: Iterable[str], progress: Progress
) -> tuple[str, ...]:
    """Moves those files that are not moved yet; returns remarks about those that are not there."""
    pairs = [(directory / move.file, directory / move.to) for move in moves]
    gone = [file for file, to in pairs if not (os.path.lexists(file) or os.path.lexists(to))]
    touched = {path.parent for pair in pairs for path in pair}
    task = progress.start("moving files", len(pairs), "files")
    try:
        for folder in folders:
            with explained_os_errors(directory / folder):
                (directory / folder).mkdir(exist_ok=True)
        for file, to in pairs:
            with explained_os_errors(to):
                if os.path.lexists(file):
                    to.parent.mkdir(parents=True, exist_ok=True)
                    move_file(file, to)
            task.advance()
        for folder in touched:
            with suppress(OSError):
                sync(folder)
    finally:
        task.close()
    if not gone:
        return ()
    names = shown([printable_name(os.path.relpath(path, directory)) for path in gone])
    return (f"{counted(len(gone), 'file')} not there any more: {', '.join(names)}",)


def _followed(labels: Path, moves: Sequence[Move]) -> tuple[str, ...]:
    """Gives the paths in a labels file the names that the photos have now; returns remarks."""
    try:
        renamed = rename_rows(labels, {move.file: move.to for move in moves})
    except TfftError as error:  # the photos are where they belong all the same
        return (f"the paths in {labels.name} did not change likewise, so leave it out: {error}",)
    return (f"{counted(renamed, 'path')} in {labels.name} changed likewise",) if renamed else ()
