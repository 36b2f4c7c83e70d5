"""The split of each image as a CSV file, by which a run remembers its images."""

import csv
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfft.data.dataset import SPLITS, Changes, ImageData
from tfft.data.index import ImageIndex
from tfft.errors import DataError, TfftWarning
from tfft.system.digests import file_sha256
from tfft.system.files import atomic_path
from tfft.system.formats import MODEL, RUN

# In a run, and in what is given as one.
FILE_NAME = "splits.csv"
# Beside the versions of an export: the directory, and the end of the name.
EXPORTS, OF_EXPORT = "local", "-splits.csv"
# In the record of a run or an export: the digest of its list.
SPLITS_DIGEST = "splits_sha256"
# The split of training images that `data.fraction` or `data.limit_per_class` leave out.
UNUSED = "unused"
# The split of images that `data.labels` removes.
REMOVED = "removed"
_NEEDED = ("split", "sha256")
_SHA256 = re.compile("[0-9a-f]{64}")
# Which split counts for an image that is in several: the first of these.
_FIRST = (UNUSED, "train", "validation", "test")


@dataclass(frozen=True, eq=False)
class KeptSplits:
    """The split of each of N images.

    Attributes:
        ids: Names of the images, as their source has them.
        splits: Their splits: one of `SPLITS`, `UNUSED` or `REMOVED`.
        digests: sha256 of the bytes of each, in hexadecimal.
        labels: The class of each, as it was labelled then; "" for images that were removed, and for
            all where the file says nothing of classes.
    """

    ids: tuple[str, ...]
    splits: tuple[str, ...]
    digests: tuple[str, ...]
    labels: tuple[str, ...]

    def recalled(self, index: ImageIndex, usable: np.ndarray) -> tuple[np.ndarray, Changes]:
        """Returns the split of each image of a source as it was, and what has changed since.

        An image is the same if its bytes are, whether it has been renamed or not; of images that
        have been copied since, the copies are new.

        Args:
            index: The images, with their digests.
            usable: bool [images], where an image can be read.

        Returns:
            str [images], "" for images that are new or have changed; and the changes.
        """
        found = self._numbers_of(index, usable)
        lost = set(range(len(self.ids))) - set(found.tolist())
        left = {self.ids[number] for number in lost if self.splits[number] != REMOVED}
        strangers = [index.ids[place] for place in np.flatnonzero(found < 0).tolist()]
        readable = [index.ids[place] for place in np.flatnonzero((found < 0) & usable).tolist()]
        changes = Changes(
            new=tuple(name for name in readable if name not in left),
            gone=tuple(sorted(left - set(strangers))),
            changed=tuple(name for name in strangers if name in left),
        )
        return np.array([*self.splits, ""], "U10")[found], changes

    def labels_of(self, index: ImageIndex) -> dict[str, str]:
        """Returns how the images that are known were labelled, by name; "" for removed ones."""
        found = self._numbers_of(index, np.ones(len(index), bool))
        pairs = zip(index.ids, found.tolist(), strict=True)
        return {name: self.labels[number] for name, number in pairs if number >= 0}

    def _numbers_of(self, index: ImageIndex, usable: np.ndarray) -> np.ndarray:
        """Returns which of the kept images each one is, int64 [images]; -1 for none of them."""
        numbers = {name: number for number, name in enumerate(self.ids)}
        digests = hexadecimal(index)
        found = np.full(len(index), -1)
        for place, name in enumerate(index.ids):
            number = numbers.get(name, -1)
            if number >= 0 and usable[place] and self.digests[number] == digests[place]:
                found[place] = number
        renamed: dict[str, list[int]] = {}
        for number in sorted(set(range(len(self.ids))) - set(found.tolist()), reverse=True):
            renamed.setdefault(self.digests[number], []).append(number)
        for place in np.flatnonzero((found < 0) & usable).tolist():
            if of_these_bytes := renamed.get(digests[place]):
                found[place] = of_these_bytes.pop()
        return found

    def digests_of(self, split: str) -> frozenset[str]:
        """Returns the sha256 of the images of a split, in hexadecimal."""
        pairs = zip(self.digests, self.splits, strict=True)
        return frozenset(digest for digest, of_image in pairs if of_image == split)

    def splits_of(self, index: ImageIndex) -> np.ndarray:
        """Returns the split of each image that is known by its bytes, or else by its name.

        Args:
            index: The images, with their digests.

        Returns:
            str [images], "" for images that are not known. Images that were not used are training
            images.
        """
        known: dict[str, str] = {}
        for split in reversed(_FIRST):
            rows = zip(self.ids, self.digests, self.splits, strict=True)
            for name, digest, of_image in rows:
                if of_image == split:
                    known[name] = known[digest] = "train" if split == UNUSED else split
        digests = hexadecimal(index)
        named = zip(digests, index.ids, strict=True)
        return np.array([known.get(digest, known.get(name, "")) for digest, name in named], "U10")


def read_kept_splits(path: Path) -> KeptSplits:
    """Reads the splits of a run, or of a file that `write_splits` wrote.

    Args:
        path: The file, or the directory of a run.

    Raises:
        DataError: There is no such file, it is not a list of splits, or it is not the one that the
            run or the export has a record of.
        TfftError: That record cannot be read.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise DataError(
            f"{path} does not keep the split of each image ({FILE_NAME}): it is no run, or one of "
            f"an older version. Keep the splits of such a run by: tfft data split {path} --output "
            "FILE.csv"
        )
    rows: list[tuple[str, str, str, str]] = []
    try:
        _require_as_recorded(file)
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = reader.fieldnames or []
            name = "id" if "id" in columns else "path"
            missing = [column for column in (name, *_NEEDED) if column not in columns]
            if missing:
                raise DataError(
                    f"{file}:1: this is no list of splits, which `tfft data split` writes; columns "
                    f"that are missing: {', '.join(missing)}"
                )
            for line in reader:
                image, split, digest = (line.get(key) or "" for key in (name, *_NEEDED))
                if split not in (*SPLITS, UNUSED, REMOVED) or not _SHA256.fullmatch(digest):
                    raise DataError(
                        f"{file}:{reader.line_num}: not the split and the sha256 of an image. "
                        f"Received: {split!r:.40}, {digest!r:.80}"
                    )
                rows.append((image, split, digest, line.get("label") or ""))
    except OSError as error:
        raise DataError(f"cannot read the splits in {file}: {error.strerror}") from error
    except csv.Error as error:
        raise DataError(f"{file} is no CSV file: {error}") from error
    names, splits, digests, labels = zip(*rows, strict=True) if rows else ((), (), (), ())
    return KeptSplits(names, splits, digests, labels)


def kept_list(file: Path) -> Path | None:
    """Returns the list of a run or an export, None where there is none.

    Warns where there should be one: other images may be counted than the run's.
    """
    if file.is_file():
        return file
    if _recorded_digest(file):
        warnings.warn(
            f"{file} is gone, the list of the split of each image: images are split as the recipe "
            "says. Where they have changed since the training, some that the model was trained on "
            "may be counted in tests",
            TfftWarning,
            stacklevel=2,
        )
    return None


def _recorded_digest(file: Path) -> str | None:
    """Returns the digest that a run or an export has of its list; None where there is none."""
    if file.name == FILE_NAME:
        return RUN.read_if_there(file.with_name("run.json")).get(SPLITS_DIGEST)
    if file.parent.name == EXPORTS and file.name.endswith(OF_EXPORT):
        record = file.with_name(f"{file.name.removesuffix(OF_EXPORT)}.json")
        return MODEL.read_if_there(record).get(SPLITS_DIGEST)
    return None


def _require_as_recorded(file: Path) -> None:
    """Requires of the list of a run or an export that it is the one that its record tells of.

    Without its end, or beside another export, it would still be a list.
    """
    recorded = _recorded_digest(file)
    if recorded and recorded != file_sha256(file):
        raise DataError(
            f"{file} is damaged, or was changed since it was written. Put back a copy, or remove "
            "it: the images are then split as the recipe says, in the same way if they are the "
            "same images"
        )


def write_kept_splits(path: Path, data: ImageData) -> None:
    """Writes the split of each image, by the name that its source gives it."""
    names = data.class_names["label"]
    others = {UNUSED: data.unused, REMOVED: data.removed}
    parts = {**data.splits, **{split: index for split, index in others.items() if index}}
    write_splits(
        path,
        (
            {
                "id": image,
                "label": "" if split == REMOVED else names[label],
                "split": split,
                "sha256": digest,
            }
            for split, index in parts.items()
            for image, label, digest in zip(
                index.ids, index.targets["label"], hexadecimal(index), strict=True
            )
        ),
    )


def write_splits(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Writes rows with the same keys as a CSV file, whole or not at all."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)


def hexadecimal(index: ImageIndex) -> list[str]:
    """Returns the sha256 of each image's bytes as text."""
    return [digest.tobytes().hex() for digest in digests_of(index)]


def digests_of(index: ImageIndex) -> np.ndarray:
    if index.digests is None:
        raise ValueError("these images have not been scanned")
    return index.digests
