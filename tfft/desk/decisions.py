"""What was decided about photos: kept in the labels file at once, and taken back one by one."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfft.data.labels_file import changed_labels, read_labels
from tfft.errors import UsageError


@dataclass(frozen=True)
class Step:
    """One decision about some photos.

    Attributes:
        label: What was decided: a class, "" for removed, None for what they came with.
        before: What was decided before, by path; None where nothing was.
        after: The same afterwards.
    """

    label: str | None
    before: dict[str, str | None]
    after: dict[str, str | None]


class Decisions:
    """Labels by path as a labels file has them, and the steps that led there.

    A step is in the file before it counts. The file is locked while it changes and read again
    before: what others write meanwhile stays.

    Args:
        file: The labels file; it is made by the first decision.

    Raises:
        DataError: What is there is no labels file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._labels: dict[str, str] = {}
        self._written = 0, 0
        self._steps: list[Step] = []
        self._lock = threading.Lock()
        self.refresh()

    @property
    def labels(self) -> dict[str, str]:
        """Label by path, "" for a photo that is removed; of the photos that were decided about."""
        return self._labels

    @property
    def last(self) -> Step | None:
        """The step that `undo` takes back; None if there is none."""
        return self._steps[-1] if self._steps else None

    def decide(self, paths: Sequence[str], label: str | None) -> Step:
        """Gives photos a label, removes them ("") or takes back what was decided (None).

        Raises:
            DataError: The labels file is no longer one.
            TfftError: It cannot be written; nothing is decided then.
        """
        with self._lock:
            wanted = dict.fromkeys(paths, label)
            with changed_labels(self.file) as labels:
                step = Step(label, {path: labels.get(path) for path in wanted}, wanted)
                _set(labels, wanted)
                changed = dict(labels)
            self._labels = changed
            self._steps.append(step)
            return step

    def undo(self) -> Step:
        """Takes back the last step, for the photos that nobody else decided about since.

        Raises:
            UsageError: There is nothing to undo.
        """
        with self._lock:
            if not self._steps:
                raise UsageError("there is nothing to undo")
            last = self._steps[-1]
            with changed_labels(self.file) as labels:
                mine = [path for path, given in last.after.items() if labels.get(path) == given]
                _set(labels, {path: last.before[path] for path in mine})
                changed = dict(labels)
            self._labels = changed
            self._steps.pop()
            return last

    def forget(self, paths: Collection[str]) -> None:
        """Takes out of the steps those about photos that are no longer there."""
        with self._lock:
            self._steps = [step for step in self._steps if step.after.keys().isdisjoint(paths)]

    def refresh(self) -> None:
        """Reads what others wrote into the file since.

        Raises:
            DataError: It is no labels file any more.
        """
        with self._lock:
            written = stamp(self.file)
            if written != self._written:
                self._labels = read_labels(self.file) if any(written) else {}
                self._written = written


def stamp(file: Path) -> tuple[int, int]:
    """Returns what tells whether a file was written since; (0, 0) if it is not there."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


def _set(labels: dict[str, str], wanted: Mapping[str, str | None]) -> None:
    """Sets labels by path; None: takes the path out."""
    for path, label in wanted.items():
        if label is None:
            labels.pop(path, None)
        else:
            labels[path] = label
