"""CSV files for people: a spreadsheet shows what is in them and computes nothing."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tfft.system.files import atomic_path
from tfft.system.printable import printable_name

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@")

WriteRow = Callable[[Sequence[object]], None]


@contextmanager
def written_table(path: Path, columns: Sequence[str]) -> Iterator[WriteRow]:
    """Yields a function that writes a row to a CSV file, which is whole or absent.

    A text that a spreadsheet would compute begins with an apostrophe: names of files and classes
    come from strangers. Control characters are escapes, and so are bytes that are no UTF-8. Numbers
    stay as they are; None is an empty cell.

    Args:
        path: The file; one that is there is replaced.
        columns: Names of the columns.

    Raises:
        TfftError: The disk is full, or `path` cannot be written to.

    Source: OWASP, "CSV Injection".
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")

        def write(row: Sequence[object]) -> None:
            writer.writerow([_cell(value) for value in row])

        write(columns)
        yield write


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = printable_name(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
