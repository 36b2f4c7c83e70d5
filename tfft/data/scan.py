"""The full scan: every image decoded once, in parallel, and what was found is kept.

It is kept for each image, by its place: the file, where in it the image lies, and when the file was
changed. So only what is new in a set is read, and decoded unless the same bytes were before.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from tfft.cache.keys import comparable, places_of
from tfft.data.dataset import BadImage
from tfft.data.index import ImageIndex
from tfft.errors import DataError, TfftError
from tfft.images.formats import FORMATS, check_length
from tfft.images.heif import can_read_heic
from tfft.images.inspect import inspect_image
from tfft.system.caches import cache_place, optional_write
from tfft.system.damage import reading
from tfft.system.files import json_value, read_arrays, write_arrays
from tfft.system.progress import SILENT, Progress
from tfft.system.typed import typed

# Part of the names of kept scans: raise it when what is accepted, or what is kept, changes.
_VERSION = 4
# Images that a thread decodes in one go: handing them out one by one takes as long as small ones.
_TOGETHER = 32
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Scan:
    """What the scan of N images found.

    Attributes:
        digests: uint8 [N, 32], sha256 of each image's bytes; 0 where a file cannot be read.
        formats: uint8 [N], positions in `FORMATS`; 255 for bad images.
        reasons: N reasons why an image cannot be used, "" where it can.
        corruptions: What in the data of N images is corrupt although they can be decoded, "" where
            nothing is.
    """

    digests: np.ndarray
    formats: np.ndarray
    reasons: tuple[str, ...]
    corruptions: tuple[str, ...]

    def format_counts(self) -> dict[str, int]:
        """Returns how many images there are of each format that occurs."""
        counts = {name: int((self.formats == i).sum()) for i, name in enumerate(FORMATS)}
        return {name: count for name, count in counts.items() if count}

    def __len__(self) -> int:
        return len(self.reasons)

    def take(self, positions: np.ndarray) -> "Scan":
        """Returns what was found of the images at `positions`, in that order."""
        numbers = positions.tolist()
        return Scan(
            self.digests[positions],
            self.formats[positions],
            tuple(self.reasons[number] for number in numbers),
            tuple(self.corruptions[number] for number in numbers),
        )

    def followed_by(self, other: "Scan") -> "Scan":
        """Returns what was found of these images and then of others."""
        return Scan(
            np.concatenate([self.digests, other.digests]),
            np.concatenate([self.formats, other.formats]),
            self.reasons + other.reasons,
            self.corruptions + other.corruptions,
        )


_NOTHING = Scan(np.zeros((0, 32), np.uint8), np.zeros(0, np.uint8), (), ())


def scan_images(index: ImageIndex, progress: Progress = SILENT) -> Scan:
    """Decodes the images of the index, or recalls what was found the last time.

    What was found of an image holds as long as path, place in the file, length and modification
    time are the same, and the file may be read. Of a file that could not be read nothing is kept:
    none of these tells when it can be.
    """
    # With another set of decoders other images are good.
    what = "images-and-heic" if can_read_heic() else "images"
    path = cache_place("scans", f"{kept_name(what, _VERSION, index)}.npz")
    places = _places(index)
    kept_places, kept = _kept_scan(path)
    rows = places_of(comparable(places), comparable(kept_places))
    readable = np.array([os.access(file, os.R_OK) for file in index.files], bool)
    rows[~readable[index.file_ids]] = -1
    new = np.flatnonzero(rows < 0)
    if not len(new):
        return kept.take(rows)
    every = kept.followed_by(_scan(index.take(new), kept, progress))
    rows[new] = len(kept) + np.arange(len(new))
    scan = every.take(rows)
    # Images that were there before may come back, as long as they are not more than there are now.
    others = np.setdiff1d(np.arange(len(kept)), rows)
    others = others if len(others) <= len(index) else others[:0]
    _keep_scan(
        path,
        np.concatenate([places, kept_places[others]]),
        scan.followed_by(kept.take(others)),
    )
    return scan


def contradictions(
    index: ImageIndex, scan: Scan, class_names: tuple[str, ...]
) -> dict[int, BadImage]:
    """Returns what is wrong, by position, with images whose very bytes have another label too."""
    labels = index.targets["label"]
    by_digest: dict[bytes, list[int]] = {}
    for position, digest in enumerate(scan.digests):
        if not scan.reasons[position]:
            by_digest.setdefault(digest.tobytes(), []).append(position)
    found = {}
    for positions in by_digest.values():
        if len({int(labels[position]) for position in positions}) > 1:
            for position in positions:
                other = next(p for p in positions if labels[p] != labels[position])
                found[position] = BadImage(
                    index.ids[position],
                    f"labelled {class_names[labels[position]]!r}, but the same image is labelled "
                    f"{class_names[labels[other]]!r} as {index.ids[other]}",
                )
    return dict(sorted(found.items()))


def bad_images(index: ImageIndex, scan: Scan) -> dict[int, BadImage]:
    """Returns what is wrong, by position, with images that cannot be read."""
    return {
        position: BadImage(index.ids[position], reason)
        for position, reason in enumerate(scan.reasons)
        if reason
    }


def corrupt_images(index: ImageIndex, scan: Scan) -> dict[int, BadImage]:
    """Returns what is corrupt, by position, in the data of images that can be decoded."""
    return {
        position: BadImage(index.ids[position], what)
        for position, what in enumerate(scan.corruptions)
        if what
    }


def _scan(index: ImageIndex, known: Scan, progress: Progress) -> Scan:
    """Reads every image, and decodes those whose bytes are not known."""
    digests = np.zeros((len(index), 32), np.uint8)
    formats = np.full(len(index), 255, np.uint8)
    reasons, corruptions = [], []
    numbers = {digest.tobytes(): number for number, digest in enumerate(known.digests)}
    task = progress.start("checking images", len(index))
    try:
        for position, found in enumerate(_inspections(index, numbers)):
            digests[position] = np.frombuffer(found.digest, np.uint8)
            number = numbers.get(found.digest)
            if number is None:
                formats[position] = found.format
                reasons.append(found.reason)
                corruptions.append(found.corruption)
            else:
                formats[position] = known.formats[number]
                reasons.append(known.reasons[number])
                corruptions.append(known.corruptions[number])
            task.advance()
    finally:
        task.close()
    return Scan(digests, formats, tuple(reasons), tuple(corruptions))


@dataclass(frozen=True)
class _Inspected:
    """What was found of one image, as `Scan` has it of many."""

    digest: bytes
    format: int = 255
    reason: str = ""
    corruption: str = ""


def _inspections(index: ImageIndex, known: Mapping[bytes, int]) -> Iterator[_Inspected]:
    """Yields what is found of each image, in parallel; of known bytes the digest only."""

    def inspect(position: int) -> _Inspected:
        try:
            check_length(int(index.lengths[position]))
            encoded = index.bytes_of(position)
        except DataError as error:
            return _Inspected(bytes(32), reason=str(error))
        except OSError as error:
            return _Inspected(bytes(32), reason=f"cannot be read: {error.strerror or error}")
        digest = sha256(encoded).digest()
        if digest in known:
            return _Inspected(digest)
        try:
            facts = inspect_image(encoded)
        except DataError as error:
            return _Inspected(digest, reason=str(error))
        return _Inspected(digest, FORMATS.index(facts.format), "", facts.corruption)

    def inspect_all(positions: Sequence[int]) -> list[_Inspected]:
        return [inspect(position) for position in positions]

    every = range(len(index))
    groups = [every[start : start + _TOGETHER] for start in every[::_TOGETHER]]
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        for first in range(0, len(groups), _AT_ONCE):
            for found in executor.map(inspect_all, groups[first : first + _AT_ONCE]):
                yield from found


def kept_name(what: str, version: int, index: ImageIndex) -> str:
    """Returns the name of what is kept of images: it follows from the folder that has all files.

    Args:
        what: What is kept; the name begins with it.
        version: Number of the form in which it is kept.
        index: The images.
    """
    folder = os.path.commonpath([Path(file).parent for file in index.files] or ["/"])
    return f"{what}-{sha256(os.fsencode(f'{version} {folder}')).hexdigest()[:32]}"


def _places(index: ImageIndex) -> np.ndarray:
    """Returns a digest of where each image lies and when its file was changed, uint8 [N, 32]."""
    files = []
    for file in index.files:
        try:
            changed = Path(file).stat().st_mtime_ns
        except OSError:
            changed = 0
        files.append(sha256(os.fsencode(f"{changed} {file}")).digest())
    extents = np.stack([index.offsets, index.lengths], axis=1).astype("<i8")
    return np.frombuffer(
        b"".join(
            sha256(files[file] + extent.tobytes()).digest()
            for file, extent in zip(index.file_ids.tolist(), extents, strict=True)
        ),
        np.uint8,
    ).reshape(-1, 32)


def _keep_scan(path: Path, places: np.ndarray, scan: Scan) -> None:
    """Writes what was found of the images at some places, but for those that cannot be read."""
    _, first = np.unique(comparable(places), return_index=True)
    readable = first[scan.digests[first].any(axis=1)]
    kept = scan.take(readable)
    texts = json.dumps([kept.reasons, kept.corruptions])
    arrays = {"places": places[readable], "digests": kept.digests, "formats": kept.formats}
    arrays["texts"] = np.frombuffer(texts.encode(), np.uint8)
    with optional_write():
        write_arrays(path, arrays)


def _kept_scan(path: Path) -> tuple[np.ndarray, Scan]:
    """Reads the places, sorted, of a kept scan and the scan; a missing or damaged one is empty."""
    nothing = np.zeros((0, 32), np.uint8), _NOTHING
    try:
        arrays = read_arrays(path)
        places, digests, formats = (arrays[name] for name in ("places", "digests", "formats"))
        with reading(path, "a kept scan"):
            texts = json_value(arrays["texts"].tobytes())
            reasons, corruptions = typed(tuple[tuple[str, ...], tuple[str, ...]], texts)
    except (TfftError, KeyError):
        return nothing
    count = len(reasons)
    if not places.shape == digests.shape == (count, 32) or formats.shape != (count,):
        return nothing
    if {places.dtype, digests.dtype, formats.dtype} != {np.dtype(np.uint8)}:
        return nothing
    is_known = (formats < len(FORMATS)) | np.array([bool(reason) for reason in reasons], bool)
    is_sorted = (np.argsort(comparable(places), kind="stable") == np.arange(count)).all()
    if len(corruptions) != count or not (is_known.all() and is_sorted):
        return nothing
    return places, Scan(digests, formats, reasons, corruptions)
