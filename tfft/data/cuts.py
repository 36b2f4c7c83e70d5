"""Which images a cut takes: shares of them that depend on a seed and on the images alone.

Images come in pieces: images of one piece, such as copies of one photo, stay together. The name of
a piece decides where it goes, in one of two ways:

- `threshold_part` takes a piece if the hash of its name is small. What it says of an image does not
  depend on the other images, so nothing moves when others are added; a class gets its share
  on the average only.
- `stratified_part` takes the first pieces of each class in the order of their hashes. Each class
  gets its share to the image; where it ends moves with the number of images.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np


def threshold_part(
    pieces: Sequence[str], labels: np.ndarray, *, fraction: float, seed: int, split: str
) -> np.ndarray:
    """Chooses about a share of the images: each piece of them by the hash of its name alone.

    No rule that looks at nothing but an image can promise something to a class as well, so there
    are two exceptions, for small classes: of a class that would be chosen as a whole, the piece
    with the largest hash is not; and if nothing at all would be chosen, the piece with the smallest
    hash is, of each class that has two or more.

    Args:
        pieces: Name of the piece that each of N images belongs to.
        labels: int64 [N], the class of each image.
        fraction: Share to choose, at least 0 and less than 1.
        seed: Seed of the choice.
        split: Name of the split that the images are for; another one chooses others.

    Returns:
        bool [N], True where an image is chosen.
    """
    if fraction == 0 or not len(pieces):
        return np.zeros(len(pieces), bool)
    names, piece = _numbered(pieces)
    hashes = [_hash(f"{seed}:{split}:{name}") for name in names]
    place = np.array([int.from_bytes(found[:7]) / 2**56 for found in hashes])
    members = [np.unique(piece[labels == label]) for label in np.unique(labels)]
    chosen = _with_one_left(place < fraction, place, members)
    if not chosen.any():
        chosen[[of_class[np.argmin(place[of_class])] for of_class in members]] = True
        chosen = _with_one_left(chosen, place, members)
    return chosen[piece]


def _with_one_left(chosen: np.ndarray, place: np.ndarray, members: list[np.ndarray]) -> np.ndarray:
    """Returns the choice without the last piece of each class of which nothing would be left."""
    whole = [of_class for of_class in members if chosen[of_class].all()]
    left = chosen.copy()
    left[[of_class[np.argmax(place[of_class])] for of_class in whole]] = False
    return left


def stratified_part(
    ids: Sequence[str], labels: np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Chooses a share of the images, the same share of each class.

    Which images of a class are chosen depends on `seed` and their ids alone: neither on the order
    of the images nor on the other images' ids. The number for each class is its share, rounded so
    that the whole comes out right over all classes (the remainder is carried from class to class),
    and never all of a class. If that leaves no image, one of each class with two or more is taken.

    Args:
        ids: N unique names.
        labels: int64 [N], the class of each image.
        fraction: Share to choose, at least 0 and less than 1.
        seed: Seed of the choice.

    Returns:
        bool [N], True where an image is chosen.
    """
    chosen = np.zeros(len(ids), bool)
    if fraction == 0:
        return chosen
    hashes = [_hash(f"{seed}:{name}") for name in ids]
    ranked = {
        int(label): sorted(np.flatnonzero(labels == label).tolist(), key=hashes.__getitem__)
        for label in np.unique(labels)
    }
    counts = _counts({label: len(ranks) for label, ranks in ranked.items()}, fraction)
    for label, ranks in ranked.items():
        chosen[ranks[: counts[label]]] = True
    return chosen


def limited_part(
    pieces: Sequence[str],
    labels: np.ndarray,
    *,
    fraction: float,
    limit_per_class: int | None,
    seed: int,
) -> np.ndarray:
    """Chooses a share of each class, at least one piece and at most `limit_per_class` images.

    The choice depends on `seed` and the names of pieces; a smaller share or limit chooses a part of
    what a larger one does. Only where the first piece of a class has more images than its share or
    the limit are there more: no piece is parted.

    Args:
        pieces: Name of the piece that each of N images belongs to.
        labels: int64 [N], the class of each image.
        fraction: Share to choose, more than 0 and at most 1; the number of images is rounded up.
        limit_per_class: Largest number of images of a class; None for no limit.
        seed: Seed of the choice.

    Returns:
        bool [N], True where an image is chosen.
    """
    names, piece = _numbered(pieces)
    order = sorted(range(len(names)), key=lambda number: _hash(f"{seed}:{names[number]}"))
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    fits, first = np.ones(len(names), bool), np.zeros(len(names), bool)
    for label in np.unique(labels):
        of_class, sizes = np.unique(rank[piece[labels == label]], return_counts=True)
        count = math.ceil(sizes.sum() * fraction - 1e-9)
        fits[of_class] &= np.cumsum(sizes) <= min(count, limit_per_class or count)
        first[of_class[0]] = True
    return (fits | first)[rank[piece]]


def _numbered(pieces: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Returns the distinct names of pieces, and which of them each image has, int64 [N]."""
    numbers: dict[str, int] = {}
    piece = [numbers.setdefault(name, len(numbers)) for name in pieces]
    return list(numbers), np.array(piece, np.int64)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _counts(sizes: dict[int, int], fraction: float) -> dict[int, int]:
    counts, wanted, taken = {}, 0.0, 0
    for label, size in sizes.items():
        wanted += size * fraction
        counts[label] = min(max(math.floor(wanted + 0.5) - taken, 0), size - 1)
        taken += counts[label]
    if taken == 0:
        return {label: min(size - 1, 1) for label, size in sizes.items()}
    return counts
