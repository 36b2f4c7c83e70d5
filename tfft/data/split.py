"""Stratified splits that depend on nothing but a seed and the images' names."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np


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
    ranked = {int(label): _ranked(ids, labels, label, seed) for label in np.unique(labels)}
    counts = _counts({label: len(ranks) for label, ranks in ranked.items()}, fraction)
    for label, ranks in ranked.items():
        chosen[ranks[: counts[label]]] = True
    return chosen


def limited_part(
    ids: Sequence[str],
    labels: np.ndarray,
    *,
    fraction: float,
    limit_per_class: int | None,
    seed: int,
) -> np.ndarray:
    """Chooses a share of each class, at least one image and at most `limit_per_class`.

    The choice depends on `seed` and ids alone; a smaller share or limit chooses a part of what a
    larger one does.

    Args:
        ids: N unique names.
        labels: int64 [N], the class of each image.
        fraction: Share to choose, more than 0 and at most 1; the number of images is rounded up.
        limit_per_class: Largest number of images of a class; None for no limit.
        seed: Seed of the choice.

    Returns:
        bool [N], True where an image is chosen.
    """
    chosen = np.zeros(len(ids), bool)
    for label in np.unique(labels):
        ranks = _ranked(ids, labels, int(label), seed)
        count = math.ceil(len(ranks) * fraction - 1e-9)
        chosen[ranks[: min(count, limit_per_class or count)]] = True
    return chosen


def _ranked(ids: Sequence[str], labels: np.ndarray, label: int, seed: int) -> list[int]:
    positions = np.flatnonzero(labels == label).tolist()
    return sorted(positions, key=lambda i: hashlib.sha256(f"{seed}:{ids[i]}".encode()).digest())


def _counts(sizes: dict[int, int], fraction: float) -> dict[int, int]:
    counts, wanted, taken = {}, 0.0, 0
    for label, size in sizes.items():
        wanted += size * fraction
        counts[label] = min(max(math.floor(wanted + 0.5) - taken, 0), size - 1)
        taken += counts[label]
    if taken == 0:
        return {label: min(size - 1, 1) for label, size in sizes.items()}
    return counts
