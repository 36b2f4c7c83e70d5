"""The full scan: every image decoded once, in parallel, and the result kept."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfft.data.dataset import BadImage
from tfft.data.index import ImageIndex
from tfft.errors import DataError, TfftError
from tfft.images.formats import FORMATS
from tfft.images.inspect import ImageFacts, inspect_image
from tfft.system.caches import cache_place, optional_write
from tfft.system.damage import reading
from tfft.system.files import json_value, read_arrays, write_arrays
from tfft.system.progress import SILENT, Progress
from tfft.system.typed import typed

# Part of the key of kept scans: raise it when what is accepted, or what is kept, changes.
_VERSION = 2
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


def scan_images(index: ImageIndex, progress: Progress = SILENT) -> Scan:
    """Decodes every image of the index, or recalls what was found the last time.

    A kept scan holds as long as paths, places in them, sizes and modification times are the same,
    and the files may be read. Where a file could not be read at all, nothing is kept: none of these
    tells when it can be.
    """
    path = cache_place("scans", f"{_key(index)}.npz")
    kept = _kept_scan(path, len(index))
    if kept is not None and all(os.access(file, os.R_OK) for file in index.files):
        return kept
    scan = _scan(index, progress)
    if not scan.digests.any(axis=1).all():
        return scan
    texts = json.dumps([scan.reasons, scan.corruptions])
    arrays = {"digests": scan.digests, "formats": scan.formats}
    arrays["texts"] = np.frombuffer(texts.encode(), np.uint8)
    with optional_write():
        write_arrays(path, arrays)
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


def _scan(index: ImageIndex, progress: Progress) -> Scan:
    digests = np.zeros((len(index), 32), np.uint8)
    formats = np.full(len(index), 255, np.uint8)
    reasons, corruptions = [], []
    task = progress.start("checking images", len(index))
    try:
        for position, (digest, facts, reason) in enumerate(_inspections(index)):
            digests[position] = np.frombuffer(digest, np.uint8)
            if facts:
                formats[position] = FORMATS.index(facts.format)
            reasons.append(reason)
            corruptions.append(facts.corruption if facts else "")
            task.advance()
    finally:
        task.close()
    return Scan(digests, formats, tuple(reasons), tuple(corruptions))


def _inspections(index: ImageIndex) -> Iterator[tuple[bytes, ImageFacts | None, str]]:
    """Yields (sha256, facts, reason against it) of each image; they are decoded in parallel."""

    def inspect(position: int) -> tuple[bytes, ImageFacts | None, str]:
        try:
            encoded = index.read(position)
        except OSError as error:
            return bytes(32), None, f"cannot be read: {error.strerror or error}"
        digest = hashlib.sha256(encoded).digest()
        try:
            return digest, inspect_image(encoded), ""
        except DataError as error:
            return digest, None, str(error)

    def inspect_all(positions: range) -> list[tuple[bytes, ImageFacts | None, str]]:
        return [inspect(position) for position in positions]

    every = range(len(index))
    groups = [every[start : start + _TOGETHER] for start in every[::_TOGETHER]]
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        for first in range(0, len(groups), _AT_ONCE):
            for found in executor.map(inspect_all, groups[first : first + _AT_ONCE]):
                yield from found


def _key(index: ImageIndex) -> str:
    digest = hashlib.sha256(f"scan {_VERSION}".encode())
    times = []
    for file in index.files:
        try:
            times.append(Path(file).stat().st_mtime_ns)
        except OSError:
            times.append(0)
    digest.update(json.dumps([index.files, times]).encode())
    for array in (index.file_ids, index.offsets, index.lengths):
        digest.update(np.ascontiguousarray(array, np.int64).tobytes())
    return digest.hexdigest()[:32]


def _kept_scan(path: Path, images: int) -> Scan | None:
    """Reads a kept scan; a file that is missing or damaged counts as none."""
    try:
        arrays = read_arrays(path)
        digests, formats = arrays["digests"], arrays["formats"]
        with reading(path, "a kept scan"):
            texts = json_value(arrays["texts"].tobytes())
            reasons, corruptions = typed(tuple[tuple[str, ...], tuple[str, ...]], texts)
    except (TfftError, KeyError):
        return None
    if digests.shape != (images, 32) or formats.shape != (images,):
        return None
    if not len(reasons) == len(corruptions) == images:
        return None
    is_known = (formats < len(FORMATS)) | np.array([bool(reason) for reason in reasons])
    if digests.dtype != np.uint8 or formats.dtype != np.uint8 or not is_known.all():
        return None
    return Scan(digests, formats, reasons, corruptions)
