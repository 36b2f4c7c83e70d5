"""Photos listed in a CSV file: path, label, optionally split, and other targets of heads."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from tfft.config.data import ManifestData
from tfft.data.dataset import SPLITS, Source
from tfft.data.index import index_of_files
from tfft.data.split_names import split_called
from tfft.errors import DataError, nearest
from tfft.system.listing import file_fault
from tfft.system.progress import Progress

LABELS_BETWEEN = "|"
_ONLY_CLASS = "all"
# Of more faults than a screen has lines the first are shown.
_SHOWN = 30


@dataclass(frozen=True)
class _Row:
    """One line of the file.

    Attributes:
        path: Path of the image, relative to the directory of the CSV file.
        label: Name of its class.
        split: Split that it belongs to, one of `SPLITS`.
        group: Group that it belongs to; "" for none.
        others: Texts of its other targets, by their names.
    """

    path: str
    label: str
    split: str
    group: str
    others: dict[str, str] = field(default_factory=dict)


def manifest_source(config: ManifestData, targets: Mapping[str, str], progress: Progress) -> Source:
    """Lists the images of a CSV file in UTF-8 whose first line names its columns.

    Paths are relative to the file's directory. Without a column ``split``, or where it is empty,
    an image is training data from which the other splits are cut. Each target has a column of its
    name: a class; labels with ``|`` between them; a number; or a box, ``ymin xmin ymax xmax`` as
    shares of the upright image. An empty number or box is a missing one. A column ``label`` is
    needed only where a head predicts it. A column that `config.groups` names says which images
    belong together; where it is empty, an image belongs to none.

    Args:
        config: Section whose `path`, the CSV file, must be set.
        targets: Kind of head by the name of what it predicts.
        progress: Not used: reading a CSV file is quick.

    Raises:
        DataError: The file is missing or no such CSV; all faults at once, with line numbers.
    """
    path = cast(Path, config.path).absolute()
    groups = config.groups if config.groups and "(" not in config.groups else None
    rows = _rows(path, targets, groups)
    class_names = tuple(sorted({row.label for row in rows}))
    numbers = {name: number for number, name in enumerate(class_names)}
    names: dict[str, tuple[str, ...]] = {}
    others: dict[str, np.ndarray] = {}
    for name, kind in targets.items():
        if name != "label":
            texts = [row.others[name] for row in rows]
            others[name], names[name] = _target(texts, kind)
    if faults := list(_name_faults(path, {"label": class_names, **names}, targets)):
        raise DataError("\n".join(faults))
    return Source(
        name=path.stem,
        index=index_of_files(
            [path.parent / row.path for row in rows],
            [row.path for row in rows],
            [numbers[row.label] for row in rows],
            others,
            tuple(name for name, kind in targets.items() if kind == "box"),
        ),
        splits=np.array([row.split for row in rows], "U10"),
        class_names=class_names,
        other_names={name: found for name, found in names.items() if found},
        groups=tuple(row.group for row in rows) if groups else None,
    )


def columns_by_path(path: Path) -> dict[str, dict[str, str]]:
    """Returns what a CSV file without faults says of each image, by its path and column."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    return {
        line["path"].strip(): {name: text or "" for name, text in line.items() if name is not None}
        for line in lines
    }


def _name_faults(
    path: Path, names: Mapping[str, tuple[str, ...]], targets: Mapping[str, str]
) -> Iterator[str]:
    """Yields why a column has too few classes or labels to learn from."""
    for name, kind in targets.items():
        if kind == "classification" and len(names[name]) < 2:
            yield f"{path}: {name} needs two classes or more. Received: {', '.join(names[name])}"
        if kind == "multi_label" and not names[name]:
            yield f"{path}: {name} is empty on every line; put its labels there, | between them"


def _target(texts: list[str], kind: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the values of a column that has no faults, and the names of its classes or labels."""
    if kind == "box":
        return np.array([_numbers(text, 4) for text in texts], np.float32), ()
    if kind == "regression":
        return np.array([_numbers(text, 1) for text in texts], np.float32), ()
    found = [[text] for text in texts]
    if kind == "multi_label":
        listed = (text.split(LABELS_BETWEEN) for text in texts)
        found = [[label.strip() for label in labels if label.strip()] for labels in listed]
    names = tuple(sorted({label for labels in found for label in labels}))
    numbers = {name: number for number, name in enumerate(names)}
    if kind == "classification":
        return np.array([numbers[text] for text in texts], np.int64), names
    values = np.zeros((len(texts), len(names)), np.float32)
    for row, labels in zip(values, found, strict=True):
        row[[numbers[label] for label in labels]] = 1.0
    return values, names


def _numbers(text: str, count: int) -> list[float]:
    return [float(word) for word in text.split()] if text else [math.nan] * count


def _rows(path: Path, targets: Mapping[str, str], groups: str | None) -> list[_Row]:
    if fault := file_fault(path):
        why = fault.removeprefix("cannot be read: ")
        raise DataError(f"cannot read the manifest {path}: {why}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            if fault := _column_fault(columns, list(dict.fromkeys(["path", *targets])), groups):
                raise DataError(f"{path}:1: {fault}")
            lines = [(reader.line_num, line) for line in reader]
    except OSError as error:
        raise DataError(f"cannot read the manifest {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no CSV file in UTF-8: {error}") from error
    if not lines:
        raise DataError(f"{path} lists no images: each line after the first names one")
    faults = [
        f"{path}:{number}: has {'more' if None in line else 'fewer'} values than the first line "
        "names columns; a text with a comma in it stands in quotes"
        for number, line in lines
        if None in line or None in line.values()
    ]
    seen: dict[str, int] = {}
    rows = [_row(path, number, line, targets, groups, seen, faults) for number, line in lines]
    if faults:
        more = [f"… and {len(faults) - _SHOWN:,} more faults"] if len(faults) > _SHOWN else []
        raise DataError("\n".join([*faults[:_SHOWN], *more]))
    return rows


def _column_fault(columns: Sequence[str], needed: Sequence[str], groups: str | None) -> str:
    """Returns what is wrong with the first line, or ""."""
    if missing := [name for name in needed if name not in columns]:
        return (
            f"the first line must name the columns {', '.join(needed)} and, if wanted, split; "
            f"missing: {', '.join(missing)}. Received: {', '.join(columns)}"
        )
    if groups and groups not in columns:
        return (
            "data.groups names a column that is not there. The columns: "
            f"{', '.join(columns)}.{nearest(groups, columns)} A pattern on the path has "
            f"parentheses, such as patient_(\\d+). Received: {groups}"
        )
    used = (*needed, "split", *([groups] if groups else []))
    if twice := [name for name in used if columns.count(name) > 1]:
        return f"the first line names a column twice: {', '.join(twice)}"
    alike = [name for name in columns if name != "split" and name.strip().lower() == "split"]
    if alike and "split" not in columns:
        return f"a column of splits is called split, as it stands here. Received: {alike[0]!r}"
    return ""


def _row(
    path: Path,
    number: int,
    line: dict[str, str | None],
    targets: Mapping[str, str],
    groups: str | None,
    seen: dict[str, int],
    faults: list[str],
) -> _Row:
    texts = {name: (line.get(name) or "").strip() for name in ("path", "split", *targets)}
    image, split = texts["path"], texts["split"]
    empty = [n for n in ("path", *targets) if _must_be_there(n, targets) and not texts[n]]
    if empty:
        must = " and ".join(n for n in ("path", *targets) if _must_be_there(n, targets))
        faults.append(f"{path}:{number}: {must} must not be empty")
    elif image in seen:
        faults.append(f"{path}:{number}: {image} is already on line {seen[image]}")
    elif fault := file_fault(path.parent / image):
        faults.append(f"{path}:{number}: {path.parent / image}: {fault}")
    if split and not split_called(split):
        faults.append(
            f"{path}:{number}: split must be train, validation or test."
            f"{nearest(split, SPLITS)} Received: {split}"
        )
    for name, kind in targets.items():
        if fault := _value_fault(texts[name], kind):
            faults.append(f"{path}:{number}: {name} {fault} Received: {texts[name]}")
    seen.setdefault(image, number)
    label = texts["label"] if "label" in targets else _ONLY_CLASS
    others = {name: texts[name] for name in targets if name != "label"}
    group = (line.get(groups) or "").strip() if groups else ""
    return _Row(image, label, split_called(split) or "train", group, others)


def _must_be_there(name: str, targets: Mapping[str, str]) -> bool:
    return name == "path" or targets[name] == "classification"


def _value_fault(text: str, kind: str) -> str:
    """Returns what is wrong with the text of a number or a box, or ""."""
    if kind not in ("regression", "box") or not text:
        return ""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    count = 4 if kind == "box" else 1
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        return "must be four numbers, ymin xmin ymax xmax." if count == 4 else "must be a number."
    if count == 4:
        ymin, xmin, ymax, xmax = numbers
        if not (0 <= ymin < ymax <= 1 and 0 <= xmin < xmax <= 1):
            return "must be shares of the image, 0 <= ymin < ymax <= 1 and 0 <= xmin < xmax <= 1."
    return ""
