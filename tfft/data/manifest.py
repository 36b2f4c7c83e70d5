"""Photos listed in a CSV file: path, label and optionally split."""

import csv
from pathlib import Path

import numpy as np

from tfft.data.dataset import SPLITS, Source
from tfft.data.index import index_of_files
from tfft.errors import DataError, nearest

_SPLIT_NAMES = {**{split: split for split in SPLITS}, "val": "validation"}


def manifest_source(path: Path) -> Source:
    """Lists the images of a CSV file in UTF-8 whose first line names its columns.

    Paths are relative to the file's directory. Without a column ``split``, or where it is empty,
    an image is training data from which the other splits are cut.

    Raises:
        DataError: The file is missing or no such CSV; all faults at once, with line numbers.
    """
    path = Path(path).absolute()
    rows = _rows(path)
    class_names = tuple(sorted({label for _, label, _ in rows}))
    if len(class_names) < 2:
        raise DataError(
            f"{path} needs two classes or more. Received: {', '.join(class_names) or 'no image'}"
        )
    numbers = {name: number for number, name in enumerate(class_names)}
    return Source(
        name=path.stem,
        index=index_of_files(
            [path.parent / image for image, _, _ in rows],
            [image for image, _, _ in rows],
            [numbers[label] for _, label, _ in rows],
        ),
        splits=np.array([split for _, _, split in rows], "U10"),
        class_names=class_names,
    )


def _rows(path: Path) -> list[tuple[str, str, str]]:
    """Returns (path, label, split) of each line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if unknown := [name for name in ("path", "label") if name not in columns]:
                raise DataError(
                    f"{path}:1: the first line must name the columns path, label and, if wanted, "
                    f"split; missing: {', '.join(unknown)}. Received: {', '.join(columns)}"
                )
            lines = [(reader.line_num, line) for line in reader]
    except OSError as error:
        raise DataError(f"cannot read the manifest {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no CSV file in UTF-8: {error}") from error
    faults: list[str] = []
    seen: dict[str, int] = {}
    rows = [_row(path, number, line, seen, faults) for number, line in lines]
    if faults:
        raise DataError("\n".join(faults))
    return rows


def _row(
    path: Path,
    number: int,
    line: dict[str, str | None],
    seen: dict[str, int],
    faults: list[str],
) -> tuple[str, str, str]:
    image, label, split = ((line.get(name) or "").strip() for name in ("path", "label", "split"))
    if not image or not label:
        faults.append(f"{path}:{number}: path and label must not be empty")
    elif image in seen:
        faults.append(f"{path}:{number}: {image} is already on line {seen[image]}")
    elif not (path.parent / image).is_file():
        faults.append(f"{path}:{number}: there is no file {path.parent / image}")
    if split and split not in _SPLIT_NAMES:
        faults.append(
            f"{path}:{number}: split must be train, validation or test."
            f"{nearest(split, _SPLIT_NAMES)} Received: {split}"
        )
    seen.setdefault(image, number)
    return image, label, _SPLIT_NAMES.get(split, "train")
