"""Where encoded images lie and what they are labelled: random access, nothing decoded."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np

from tfft.errors import DataError
from tfft.system.printable import printable_name


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """N encoded images. Image i is `lengths[i]` bytes from `offsets[i]` of its file.

    Attributes:
        files: Distinct absolute paths: of the images themselves, or of shards that hold many.
        file_ids: int32 [N], positions in `files`.
        offsets: int64 [N], where each image begins in its file, in bytes.
        lengths: int64 [N], length of each image in bytes.
        ids: N unique names that stay the same wherever the data lie.
        targets: Values by name. ``"label"`` is int64 [N], the class. Others are int64 [N] for a
            class, float32 [N, labels] of 0 and 1, float32 [N, 1] for a number, or float32 [N, 4]
            for a box (ymin, xmin, ymax, xmax) in shares of the upright image; NaN where one is
            missing.
        box_targets: Names of the targets that are boxes, which move with the pixels.
        boxes: float32 [N, 4], the part (ymin, xmin, ymax, xmax) of each image that counts, as
            shares of it; None for whole images.
        digests: uint8 [N, 32], sha256 of each image's bytes; None where nobody computed them.
    """

    files: tuple[str, ...]
    file_ids: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    ids: tuple[str, ...]
    targets: dict[str, np.ndarray] = field(default_factory=dict)
    box_targets: tuple[str, ...] = ()
    boxes: np.ndarray | None = None
    digests: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, positions: Sequence[int] | np.ndarray) -> "ImageIndex":
        """Returns the index of the images at `positions`, in that order."""
        positions = np.asarray(positions, np.int64)
        used, file_ids = np.unique(self.file_ids[positions], return_inverse=True)
        return replace(
            self,
            files=tuple(self.files[file_id] for file_id in used),
            file_ids=file_ids.astype(np.int32).reshape(-1),
            offsets=self.offsets[positions],
            lengths=self.lengths[positions],
            ids=tuple(self.ids[position] for position in positions),
            targets={name: values[positions] for name, values in self.targets.items()},
            boxes=None if self.boxes is None else self.boxes[positions],
            digests=None if self.digests is None else self.digests[positions],
        )

    def read(self, position: int) -> bytes:
        """Returns the encoded bytes of one image.

        Raises:
            DataError: It cannot be read any more; the error names it.
        """
        try:
            return self.bytes_of(position)
        except OSError as error:
            name = printable_name(self.ids[position])
            raise DataError(f"{name} cannot be read: {error.strerror or error}") from error

    def bytes_of(self, position: int) -> bytes:
        """Returns the encoded bytes of one image.

        Raises:
            OSError: It cannot be read.
        """
        with Path(self.files[self.file_ids[position]]).open("rb") as file:
            file.seek(int(self.offsets[position]))
            return file.read(int(self.lengths[position]))

    def fingerprint(self) -> str:
        """Returns a sha256 of what the images are, not of where they lie.

        Names, order, targets, boxes and the images' own digests decide it; without digests, sizes
        and modification times stand for them.
        """
        digest = sha256()
        digest.update(json.dumps(self.ids).encode())
        digest.update(np.ascontiguousarray(self.lengths, np.int64).tobytes())
        for name in sorted(self.targets):
            digest.update(name.encode() + np.ascontiguousarray(self.targets[name]).tobytes())
        if self.boxes is not None:
            digest.update(np.ascontiguousarray(self.boxes, np.float32).tobytes())
        if self.digests is not None:
            digest.update(np.ascontiguousarray(self.digests, np.uint8).tobytes())
        else:
            times = [Path(file).stat().st_mtime_ns for file in self.files]
            digest.update(np.asarray(times, np.int64)[self.file_ids].tobytes())
        return digest.hexdigest()

    def keys(self) -> np.ndarray:
        """Returns what decides the pixels of each image beside how they are made, uint8 [N, 32].

        It is the sha256 of the image's bytes, and of the part that counts; without digests, of
        where it lies, its size and its modification time. Equal images have equal keys.
        """
        if self.digests is not None:
            digests = np.ascontiguousarray(self.digests, np.uint8)
        else:
            times = [Path(file).stat().st_mtime_ns for file in self.files]
            places = zip(self.file_ids, self.offsets, self.lengths, strict=True)
            digests = _digests(
                json.dumps([self.files[file], times[file], int(offset), int(length)]).encode()
                for file, offset, length in places
            )
        if self.boxes is None:
            return digests
        boxes = np.ascontiguousarray(self.boxes, np.float32)
        pairs = zip(digests, boxes, strict=True)
        return _digests(digest.tobytes() + box.tobytes() for digest, box in pairs)

    def view_keys(self) -> np.ndarray:
        """Returns what tells random views of the images apart, uint8 [N, 32].

        It is the key of an image; where several have the same, each one after the first counts how
        many came before it: copies are seen differently.
        """
        keys = self.keys().copy()
        _, number = np.unique(keys.view("V32").reshape(-1), return_inverse=True)
        before = repetitions(number)
        for place in np.flatnonzero(before):
            copy = keys[place].tobytes() + int(before[place]).to_bytes(8, "little")
            keys[place] = np.frombuffer(sha256(copy).digest(), np.uint8)
        return keys


def repetitions(values: np.ndarray) -> np.ndarray:
    """Returns how often each value came before in a sequence, int64 [n]."""
    repetitions = np.zeros(len(values), np.int64)
    _, counts = np.unique(values, return_counts=True)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    repetitions[np.argsort(values, kind="stable")] = np.arange(len(values)) - first
    return repetitions


def _digests(contents: Iterable[bytes]) -> np.ndarray:
    joined = b"".join(sha256(content).digest() for content in contents)
    return np.frombuffer(joined, np.uint8).reshape(-1, 32)


def index_of_files(
    files: Sequence[Path],
    ids: Sequence[str],
    labels: Sequence[int] | np.ndarray,
    others: Mapping[str, np.ndarray] = MappingProxyType({}),
    box_targets: tuple[str, ...] = (),
) -> ImageIndex:
    """Builds the index of images that are a file each.

    Args:
        files: Absolute paths of N images. One that is gone meanwhile counts as empty.
        ids: N unique names.
        labels: int64 [N], the class of each image.
        others: Targets beside the label, as `ImageIndex.targets` has them.
        box_targets: Names of those that are boxes.
    """
    return ImageIndex(
        files=tuple(str(file) for file in files),
        file_ids=np.arange(len(files), dtype=np.int32),
        offsets=np.zeros(len(files), np.int64),
        lengths=np.array([_size(file) for file in files], np.int64),
        ids=tuple(ids),
        targets={"label": np.asarray(labels, np.int64), **others},
        box_targets=box_targets,
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
