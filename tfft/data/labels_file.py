"""A labels file: labels that were decided after the images were put in their folders, as CSV.

Its columns are ``path`` and ``label``. A path is the name that the source gives an image: relative
to the directory of images, or as a manifest has it. An empty label removes the image, and a label
that no image had makes a class. Nobody touches an image for that.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tfft.errors import DataError
from tfft.system.files import atomic_path, locked
from tfft.system.listing import file_fault
from tfft.system.printable import printable_name

COLUMNS = ("path", "label")
# What spreadsheets put between cells: a semicolon where the decimal mark is a comma.
_SEPARATORS = (",", ";", "\t")
# File systems allow no longer name for a folder.
_LONGEST_NAME_BYTES = 255


@dataclass(frozen=True)
class _LabelsFile:
    """A labels file as it is written: by a person, a spreadsheet, a desk or another program.

    Attributes:
        columns: Names of its columns.
        rows: Cells of each row, by path, in the order of the file.
        separator: What is between the cells of a row.
        encoding: UTF-8, with a byte order mark or without.
        line_end: What ends a row.
    """

    columns: list[str]
    rows: dict[str, list[str]]
    separator: str = ","
    encoding: str = "utf-8"
    line_end: str = "\n"

    @property
    def labels(self) -> dict[str, str]:
        """Label by path, "" for images that are removed."""
        place = self.columns.index("label")
        return {path: row[place] for path, row in self.rows.items()}

    def with_labels(self, labels: Mapping[str, str]) -> "_LabelsFile":
        """Returns the file with other labels; what further columns say of a path stays."""
        places = [self.columns.index(name) for name in COLUMNS]
        rows = {path: list(self.rows.get(path, [""] * len(self.columns))) for path in labels}
        for path, row in rows.items():
            row[places[0]], row[places[1]] = path, labels[path]
        return replace(self, rows=rows)

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        with (
            atomic_path(path) as temporary,
            temporary.open("w", encoding=self.encoding, newline="") as stream,
        ):
            writer = csv.writer(stream, delimiter=self.separator, lineterminator=self.line_end)
            writer.writerows([self.columns, *self.rows.values()])


def read_labels(path: Path) -> dict[str, str]:
    """Reads a labels file, also one that a spreadsheet saved; further columns do not matter.

    Between cells is a comma, or throughout the file a semicolon or a tab.

    Returns:
        Label by path, "" for images that are removed.

    Raises:
        DataError: The file is missing or no such CSV; all faults at once, with line numbers.
    """
    return _read(path).labels


def _read(path: Path) -> _LabelsFile:
    if fault := file_fault(path):
        why = fault.removeprefix("cannot be read: ")
        raise DataError(f"cannot read the labels file {printable_name(str(path))}: {why}")
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
        separator, columns = _separator(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        lines = [(reader.line_num, row) for row in reader if any(row)]
    except OSError as error:
        raise DataError(f"cannot read the labels file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is no CSV file in UTF-8: {error}. Spreadsheets call it CSV UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path} is no CSV file in UTF-8: {error}") from error
    if any(columns.count(name) != 1 for name in COLUMNS):
        raise DataError(
            f"{path}:1: the first line of a labels file names its columns, path and label, "
            f"each once, with a comma between them. Received: {', '.join(columns)!r:.80}"
        )
    rows: dict[str, list[str]] = {}
    first: dict[str, int] = {}
    faults = []
    for line, row in lines[1:]:
        image, fault = _row_fault(columns, row)
        if not fault and image in first:
            fault = f"{printable_name(image)} is already on line {first[image]}"
        if fault:
            faults.append(f"{path}:{line}: {fault}")
        rows[image] = row
        first.setdefault(image, line)
    if faults:
        raise DataError("\n".join(faults))
    encoding = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8"
    line_end = "\r\n" if "\r\n" in text else "\n"
    return _LabelsFile(columns, rows, separator, encoding, line_end)


def _separator(text: str) -> tuple[str, list[str]]:
    """Returns what separates the cells of a text, and the names of its columns."""
    found = {
        separator: next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
        for separator in _SEPARATORS
    }
    fits = [each for each, columns in found.items() if set(COLUMNS) <= set(columns)]
    separator = fits[0] if fits else _SEPARATORS[0]
    return separator, found[separator]


def _row_fault(columns: list[str], row: list[str]) -> tuple[str, str]:
    """Returns the path of a row, and what is wrong with the row, or ""."""
    cells = dict(zip(columns, row, strict=False))
    image, label = cells.get("path", ""), cells.get("label")
    if not image:
        return image, "path must not be empty"
    if len(row) > len(columns):
        return image, 'has more cells than columns: put a path with commas between "quotes"'
    if label is None:  # a line that was cut off removes nothing
        return image, "has no label; where the image is to be removed, an empty one after a comma"
    return image, name_fault(label) if label else ""


def name_fault(label: str) -> str:
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
    _LabelsFile(list(COLUMNS), {}).with_labels(labels).write(path)


@contextmanager
def changed_labels(path: Path) -> Iterator[dict[str, str]]:
    """Yields the labels of a file to be changed, and writes them; other processes wait meanwhile.

    A file that is not there is made. What else the file says of a path stays, and so does its form.
    If the block raises, the file stays as it was.

    Raises:
        DataError: What is there is no labels file.
        TfftError: It cannot be written.
    """
    with locked(path.absolute().parent):
        if not path.exists():
            write_labels(path, {})
    with locked(path):
        file = _read(path)
        labels = file.labels
        yield labels
        file.with_labels(labels).write(path)


def rename_rows(path: Path, names: Mapping[str, str]) -> int:
    """Lets the rows of a labels file follow images that were moved; other processes wait meanwhile.

    Args:
        path: The file.
        names: Paths that images have now, by those that they had. No path is both.

    Returns:
        How many rows were renamed; what else they say stays.

    Raises:
        DataError: The file is missing, or no labels file.
        TfftError: It cannot be written.
    """
    with locked(path):
        file = _read(path)
        place, followed = file.columns.index("path"), names.keys() & file.rows.keys()
        replaced = {names[image] for image in followed}  # of images that were there once
        rows = {}
        for image, row in file.rows.items():
            if image not in replaced:
                name = names.get(image, image)
                rows[name] = [*row[:place], name, *row[place + 1 :]]
        if followed:
            replace(file, rows=rows).write(path)
        return len(followed)
