"""What images look like, measured once for each and kept by what it is, not by where it lies."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from tfft.cache.keys import comparable, places_of
from tfft.data.index import ImageIndex
from tfft.data.scan import kept_name
from tfft.errors import TfftError
from tfft.images.hashing import HASH_BITS, difference_hash
from tfft.images.looks import Look, look_at
from tfft.system.caches import cache_place, optional_write
from tfft.system.files import read_arrays, write_arrays
from tfft.system.machine import processors
from tfft.system.progress import SILENT, Progress

# Part of the names of kept looks: raise it when what is measured changes.
_VERSION = 1
_MEASURES = tuple(field.name for field in fields(Look))
_WORDS = HASH_BITS // 64
# Images that a thread measures in one go: handing them out one by one takes as long as small ones.
_TOGETHER = 16
# Images that are kept beside those of an index, by how many there are of these.
_KEPT_OTHERS = 10


@dataclass(frozen=True, eq=False)
class Looks:
    """What N images look like.

    Attributes:
        hashes: Difference hashes, uint64 [N, 4]; see `tfft.images.hashing`.
        telling: bool [N], whether an image has enough detail for its hash to tell it from others.
        measures: float32 [N, 5], the values of `tfft.images.looks.Look` in their order.
    """

    hashes: np.ndarray
    telling: np.ndarray
    measures: np.ndarray

    def measure(self, name: str) -> np.ndarray:
        """Returns one measure of all images, float32 [N], by the name that `Look` gives it."""
        return self.measures[:, _MEASURES.index(name)]

    def take(self, positions: np.ndarray | slice) -> "Looks":
        """Returns the looks of the images at `positions`, in that order."""
        return Looks(self.hashes[positions], self.telling[positions], self.measures[positions])

    def followed_by(self, other: "Looks") -> "Looks":
        """Returns the looks of these images and then of others."""
        return Looks(
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([self.telling, other.telling]),
            np.concatenate([self.measures, other.measures]),
        )


def looks_of(index: ImageIndex, progress: Progress = SILENT) -> Looks:
    """Measures the images of an index, or recalls what was measured of the same bytes.

    Args:
        index: Images that a scan has found readable, with their digests.
        progress: Where the work is reported.
    """
    path = cache_place("scans", f"{kept_name('looks', _VERSION, index)}.npz")
    keys = comparable(index.keys())
    kept_keys, kept = _kept(path)
    rows = places_of(keys, kept_keys)
    unknown = np.flatnonzero(rows < 0)
    if not len(unknown):
        return kept.take(rows)
    _, first = np.unique(keys[unknown], return_index=True)
    new = unknown[first]  # of equal images one; sorted by their keys
    every = kept.followed_by(_measured(index, new, progress))
    rows[unknown] = len(kept_keys) + places_of(keys[unknown], keys[new])
    # Images that were there before may come back, and an index may be a part of a set.
    others = np.setdiff1d(np.arange(len(kept_keys)), rows)
    others = others if len(others) <= _KEPT_OTHERS * len(index) else others[:0]
    remembered = np.concatenate([np.unique(rows), others])
    _keep(path, np.concatenate([kept_keys, keys[new]])[remembered], every.take(remembered))
    return every.take(rows)


def _measured(index: ImageIndex, positions: np.ndarray, progress: Progress) -> Looks:
    """Decodes and measures the images at `positions`, in parallel."""

    def measure(some: Sequence[int]) -> list[tuple[np.ndarray | None, Look]]:
        found = []
        for position in some:
            encoded = index.read(position)
            box = None if index.boxes is None else index.boxes[position]
            found.append((difference_hash(encoded, box), look_at(encoded, box)))
        return found

    groups = [positions[at : at + _TOGETHER].tolist() for at in range(0, len(positions), _TOGETHER)]
    looks = Looks(
        np.zeros((len(positions), _WORDS), np.uint64),
        np.zeros(len(positions), bool),
        np.zeros((len(positions), len(_MEASURES)), np.float32),
    )
    task, done = progress.start("looking at images", len(positions)), 0
    try:
        with ThreadPoolExecutor(processors()) as executor:
            for found in executor.map(measure, groups):
                for value, look in found:
                    if value is not None:
                        looks.hashes[done], looks.telling[done] = value, True
                    looks.measures[done] = astuple(look)
                    done += 1
                task.advance(len(found))
    finally:
        task.close()
    return looks


def _keep(path: Path, keys: np.ndarray, looks: Looks) -> None:
    order = np.argsort(keys, kind="stable")
    arrays = {
        "keys": keys[order].view(np.uint8).reshape(len(keys), -1),
        "hashes": looks.hashes[order],
        "telling": looks.telling[order],
        "measures": looks.measures[order],
    }
    with optional_write():
        write_arrays(path, arrays)


def _kept(path: Path) -> tuple[np.ndarray, Looks]:
    """Reads keys, sorted, and looks that were kept; a missing or damaged file has none."""
    nothing = Looks(
        np.zeros((0, _WORDS), np.uint64),
        np.zeros(0, bool),
        np.zeros((0, len(_MEASURES)), np.float32),
    )
    none_kept = comparable(np.zeros((0, 32), np.uint8)), nothing
    try:
        arrays = read_arrays(path)
        keys = arrays.pop("keys")
        looks = Looks(**arrays)
    except (TfftError, KeyError, TypeError):
        return none_kept
    count = len(keys)
    expected = {"hashes": (count, _WORDS), "telling": (count,), "measures": (count, len(_MEASURES))}
    fits = all(
        values.shape == expected[name] and values.dtype == getattr(nothing, name).dtype
        for name, values in arrays.items()
    )
    if not fits or keys.shape != (count, 32) or keys.dtype != np.uint8:
        return none_kept
    ordered = comparable(keys)
    is_sorted = (np.argsort(ordered, kind="stable") == np.arange(count)).all()
    is_finite = np.isfinite(looks.measures).all()
    return (ordered, looks) if is_sorted and is_finite else none_kept
