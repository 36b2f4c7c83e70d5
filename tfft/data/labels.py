"""Labels that were decided after the images were put in their folders: a CSV file beside them.

Its columns are ``path`` and ``label``. A path is the name that the source gives an image: relative
to the directory of images, or as a manifest has it. An empty label removes the image, and a label
that no image had makes a class. Nobody touches an image for that.
"""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfft.data.dataset import Source, shown
from tfft.errors import DataError, shortened
from tfft.system.files import atomic_path, locked
from tfft.system.listing import file_fault
from tfft.system.printable import printable_name
from tfft.system.readable import counted

COLUMNS = ("path", "label")
# File systems allow no longer name for a folder.
_LONGEST_NAME_BYTES = 255


@dataclass(frozen=True, eq=False)
class Relabelled:
    """The N images of a source with other labels.

    Attributes:
        source: The images with the labels that hold, those that are removed still among them.
        removed: bool [N], where an image is removed.
        changed: bool [N], where an image has another label than in the source.
        notes: Remarks for a person.
    """

    source: Source
    removed: np.ndarray
    changed: np.ndarray
    notes: tuple[str, ...]


def read_labels(path: Path) -> dict[str, str]:
    """Reads a labels file; further columns in it do not matter.

    Returns:
        Label by path, "" for images that are removed.

    Raises:
        DataError: The file is missing or no such CSV; all faults at once, with line numbers.
    """
    if fault := file_fault(path):
        why = fault.removeprefix("cannot be read: ")
        raise DataError(f"cannot read the labels file {printable_name(str(path))}: {why}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = reader.fieldnames or []
            if any(columns.count(name) != 1 for name in COLUMNS):
                raise DataError(
                    f"{path}:1: the first line of a labels file names its columns, path and label, "
                    f"each once, with a comma between them. Received: {', '.join(columns)!r:.80}"
                )
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise DataError(f"cannot read the labels file {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no CSV file in UTF-8: {error}") from error
    labels: dict[str, str] = {}
    first: dict[str, int] = {}
    faults = []
    for line, row in rows:
        image = row["path"] or ""
        if fault := _row_fault(row):
            faults.append(f"{path}:{line}: {fault}")
        elif image in first:
            name = printable_name(image)
            faults.append(f"{path}:{line}: {name} is already on line {first[image]}")
        else:
            labels[image] = row["label"]
        first.setdefault(image, line)
    if faults:
        raise DataError("\n".join(faults))
    return labels


def _row_fault(row: Mapping[str | None, str | list[str] | None]) -> str:
    """Returns what is wrong with a line, or ""."""
    if not row["path"]:
        return "path must not be empty"
    if None in row:
        return 'has more cells than columns: put a path with commas between "quotes"'
    label = row["label"]
    if not isinstance(label, str):  # a line that was cut off removes nothing
        return "has no label; where the image is to be removed, an empty one after a comma"
    return _name_fault(label) if label else ""


def _name_fault(label: str) -> str:
    """Returns why no class can have this name, or ""."""
    if label != printable_name(label) or label.isspace():
        return (
            f"a label is one line of text without control characters, or empty. "
            f"Received: {printable_name(label)!r:.80}"
        )
    if len(label.encode()) > _LONGEST_NAME_BYTES:
        return f"a label has at most {_LONGEST_NAME_BYTES} bytes. Received: {label:.40}…"
    return ""


def write_labels(path: Path, labels: Mapping[str, str]) -> None:
    """Writes a labels file, whole or not at all.

    Args:
        path: The file.
        labels: Label by path, "" for images that are removed.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([COLUMNS, *labels.items()])


@contextmanager
def changed_labels(path: Path) -> Iterator[dict[str, str]]:
    """Yields the labels of a file to be changed, and writes them; other processes wait meanwhile.

    A file that is not there is made. If the block raises, the file stays as it was.

    Raises:
        DataError: What is there is no labels file.
        TfftError: It cannot be written.
    """
    with locked(path.absolute().parent):
        if not path.exists():
            write_labels(path, {})
    with locked(path):
        labels = read_labels(path)
        yield labels
        write_labels(path, labels)


def relabelled(source: Source, labels: Mapping[str, str], said: str) -> Relabelled:
    """Returns a source with other labels.

    Args:
        source: The images, with the labels that they came with.
        labels: Label by name of the image, "" for images that are removed.
        said: What the notes and errors call where the labels are from.

    Raises:
        DataError: No path is one of an image, a new class cannot be called so, or less than two
            classes are left.
    """
    names, old = source.class_names, source.index.targets["label"]
    known = set(source.index.ids) | {bad.path for bad in source.unreadable}
    strangers = [image for image in labels if image not in known]
    if labels and len(strangers) == len(labels):
        raise DataError(
            f"{said}: none of its paths is one of the {counted(len(known), 'image')} of "
            f"{source.name}. A path is relative to the directory of images, such as "
            f"{source.index.ids[0]}; where the labels were applied to the folder, leave them out. "
            f"Received: {printable_name(strangers[0])}"
        )
    wanted = [labels.get(image, names[k]) for image, k in zip(source.index.ids, old, strict=True)]
    removed = np.array([not label for label in wanted], bool)
    used = {label for label in wanted if label}
    empty = {names[k] for k in set(range(len(names))) - set(old.tolist())}
    new = sorted(used.difference(names))
    _require_class_names(new, said)
    left = [name for name in names if name in used | empty]
    class_names = tuple(sorted([*left, *new]) if list(names) == sorted(names) else [*left, *new])
    if len(class_names) < 2:
        raise DataError(
            f"{said} leaves less than two classes with images: there is nothing to tell apart. "
            f"Left: {', '.join(class_names) or 'none'}"
        )
    numbers = {name: number for number, name in enumerate(class_names)}
    values = np.array([numbers.get(label, 0) for label in wanted], np.int64)
    changed = np.array([label != names[k] for label, k in zip(wanted, old, strict=True)], bool)
    changed &= ~removed
    gone = [bad for bad in source.unreadable if labels.get(bad.path) == ""]
    notes = [
        f"{said}: {counted(int(changed.sum()), 'image')} relabelled, "
        f"{int(removed.sum()) + len(gone):,} removed"
        + (f"; new: {', '.join(shown(new))}" if new else "")
    ]
    if lost := [name for name in names if name not in class_names]:
        notes.append(f"no image is left of: {', '.join(shown(lost))}")
    if strangers:
        notes.append(
            f"{said}: {counted(len(strangers), 'path')} of no image, such as "
            f"{printable_name(strangers[0])}"
        )
    return Relabelled(
        source=replace(
            source,
            index=replace(source.index, targets={**source.index.targets, "label": values}),
            class_names=class_names,
            unreadable=tuple(bad for bad in source.unreadable if bad not in gone),
        ),
        removed=removed,
        changed=changed,
        notes=tuple(notes),
    )


def new_class_fault(name: str) -> str:
    """Returns why no class that is made can be called so, or ""."""
    if "/" in name or name.startswith(".") or name != name.strip():
        return (
            "no class can be called so; a name is that of a folder, without / and spaces at its "
            f"ends, and does not begin with a dot. Received: {shortened(printable_name(name))}"
        )
    return _name_fault(name)


def _require_class_names(new: list[str], said: str) -> None:
    """Requires of classes that are made that they could be folders."""
    if faults := [fault for name in new if (fault := new_class_fault(name))]:
        raise DataError("\n".join(f"{said}: {fault}" for fault in shown(faults)))
