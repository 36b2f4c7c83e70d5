"""A split as a manifest to keep: each image with its targets, split and digest."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfft.config.data import DataConfig, ImageFolderData, ManifestData
from tfft.data.dataset import ImageData, shown
from tfft.data.index import ImageIndex
from tfft.data.kept_splits import hexadecimal, write_splits
from tfft.data.sources.manifest import LABELS_BETWEEN, columns_by_path
from tfft.errors import DataError, UsageError
from tfft.system.readable import Readable, by_name, command_text, counted


@dataclass(frozen=True, repr=False)
class SplitList(Readable):
    """A CSV file with the split of each image.

    Attributes:
        path: The file.
        name: Name of the set.
        counts: Number of images by split.
        is_manifest: Whether it is a manifest, whose paths lead to the images: those of a set that
            keeps them in files of its own have names only.
    """

    path: Path
    name: str
    counts: dict[str, int]
    is_manifest: bool

    @property
    def use(self) -> str:
        """What can be done with the file, as text."""
        taken_over = f"to split other images alike: --set data.split_like={self.path}"
        if self.is_manifest:
            return f"next: {command_text('train', 'classifier', '--data', self.path)}\n{taken_over}"
        return f"no manifest, since these images are no files of their own\n{taken_over}"

    def lines(self) -> list[str]:
        return [
            f"{self.path}: {self.name}, {counted(sum(self.counts.values()), 'image')}",
            by_name(self.counts),
            *self.use.splitlines(),
        ]

    def to_json(self) -> dict[str, object]:
        """Returns what ``tfft data split --json`` prints."""
        return {
            "path": str(self.path),
            "name": self.name,
            "images": self.counts,
            "manifest": self.is_manifest,
        }


def write_split_list(path: Path, data: ImageData, config: DataConfig) -> SplitList:
    """Writes the split of each image as a CSV file that `data.split_like` takes.

    Where the images are a folder's or a manifest's, it is a manifest itself: its paths are relative
    to its directory, and the other columns of a manifest stay. Training images that the recipe does
    not use are not in it.

    Args:
        path: The file to write, which must not exist.
        data: The images in their splits.
        config: The `data` section that they are from.

    Raises:
        UsageError: The file exists already.
        DataError: The name of an image or a class cannot be written in a manifest.
        TfftError: The disk is full, or `path` cannot be written to.
    """
    if path.exists():
        raise UsageError(f"{path} exists already and is not replaced. Choose another --output.")
    is_manifest = isinstance(config, ImageFolderData | ManifestData)
    if is_manifest:
        _require_plain_labels(data.class_names["label"])
    columns: Mapping[str, Mapping[str, str]] = {}
    if isinstance(config, ManifestData) and config.path is not None:
        columns = columns_by_path(config.path)
    rows = []
    for split, index in data.splits.items():
        paths = _paths(index, path) if is_manifest else index.ids
        targets = {name: list(target_texts(data, index, name)) for name in index.targets}
        for position, digest in enumerate(hexadecimal(index)):
            first = {"path" if is_manifest else "id": paths[position]}
            others = {name: texts[position] for name, texts in targets.items()}
            kept = columns.get(index.ids[position], {})
            rows.append(first | {**kept, **others, **first, "split": split, "sha256": digest})
    write_splits(path, rows)
    return SplitList(path, data.name, data.counts, is_manifest)


def _require_plain_labels(names: Sequence[str]) -> None:
    """Requires that names have no spaces around them, without which a manifest is read."""
    if odd := [repr(name) for name in names if name != name.strip()]:
        raise DataError(
            "a manifest cannot name classes with spaces at an end of their name; rename them: "
            f"{', '.join(shown(odd))}"
        )


def _paths(index: ImageIndex, path: Path) -> list[str]:
    """Returns the paths of images that are a file each, relative to the directory of a file."""
    here = path.absolute().parent.resolve()
    paths = []
    for file_id in index.file_ids:
        file = Path(index.files[file_id])
        paths.append(os.path.relpath(file.parent.resolve() / file.name, here))
    odd = [
        index.ids[number]
        for number, text in enumerate(paths)
        if text != text.strip() or not text.isprintable()
    ]
    if odd:
        raise DataError(
            "a manifest cannot name files with line breaks, with spaces at the end of their name, "
            f"or that are not UTF-8; rename them: {', '.join(shown(odd))}"
        )
    return paths


def target_texts(data: ImageData, index: ImageIndex, name: str) -> Iterator[str]:
    """Yields a target of each image as a manifest has it."""
    names = data.class_names.get(name, ())
    for value in index.targets[name]:
        if name in index.box_targets or value.shape == (1,):
            yield "" if math.isnan(value[0]) else " ".join(str(number) for number in value)
        elif value.ndim:
            yield LABELS_BETWEEN.join(names[number] for number in np.flatnonzero(value))
        else:
            yield names[value]
