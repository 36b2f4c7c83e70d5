"""Images that occur more than once: the same file, or the same photo by its looks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tfft.cache.keys import comparable
from tfft.data.looks import Looks
from tfft.data.near_copies import NEAR_COPY_BITS, bits_between

# Copies of an image that are noted, the most alike first: of a film in which each image is like
# thousands of others, these are enough to find that all hang together.
_NOTED = 16
# Share of the images above which looks are what the set is like, and say nothing of copies.
_COMMON = 0.2


@dataclass(frozen=True)
class Copies:
    """Images that hang together: each is the same as another of them, or looks like it.

    Attributes:
        positions: Positions of the images, in order.
        identical: Whether all of them are the same, byte for byte.
    """

    positions: tuple[int, ...]
    identical: bool


def find_copies(keys: np.ndarray, looks: Looks) -> tuple[list[Copies], list[str]]:
    """Compares all images of a set, by their bytes and by their looks.

    Looks say nothing where many images are alike, such as the frames of a film, or parts that were
    photographed on one table: then only equal files are copies.

    Args:
        keys: What decides the pixels of each image, uint8 [N, 32].
        looks: What the images look like.

    Returns:
        All groups of two or more images, in the order of their first images; and remarks on the
        set.
    """
    found = _groups(keys, looks)
    alike = sum(len(copies.positions) for copies in found if not copies.identical)
    if alike <= _COMMON * len(keys):
        return found, []
    remark = (
        f"{alike:,} of {len(keys):,} images look like another one, as frames of a film or photos "
        "of one scene do: only equal files are called copies. Name what belongs together by "
        "data.groups"
    )
    return _groups(keys, replace(looks, telling=np.zeros(len(keys), bool))), [remark]


def _groups(keys: np.ndarray, looks: Looks) -> list[Copies]:
    _, first, number = np.unique(comparable(keys), return_index=True, return_inverse=True)
    distinct = number.reshape(-1)
    telling = np.flatnonzero(looks.telling[first])
    pairs = np.concatenate(
        [np.zeros((0, 2), np.int64), *_alike(looks.hashes[first[telling]])], dtype=np.int64
    )
    group_of = linked(len(first), telling[pairs])[distinct]
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    groups = [part for part in np.split(order, starts[1:]) if len(part) > 1]
    found = [
        Copies(tuple(part.tolist()), identical=len(np.unique(distinct[part])) == 1)
        for part in groups
    ]
    return sorted(found, key=lambda copies: copies.positions)


def linked(count: int, pairs: np.ndarray) -> np.ndarray:
    """Returns the number of what each of `count` things hangs together with, int64 [count].

    Args:
        count: Number of things.
        pairs: Pairs of them that are linked, int64 [pairs, 2].
    """
    links = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _alike(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Yields pairs of positions whose hashes are alike, int64 [pairs, 2]."""
    for start, bits in bits_between(hashes, hashes):
        bits[np.arange(len(bits)), start + np.arange(len(bits))] = NEAR_COPY_BITS + 1
        if bits.shape[1] > _NOTED:
            nearest = np.argpartition(bits, _NOTED - 1, axis=1)[:, :_NOTED]
        else:
            nearest = np.tile(np.arange(bits.shape[1]), (len(bits), 1))
        rows, columns = np.nonzero(np.take_along_axis(bits, nearest, axis=1) <= NEAR_COPY_BITS)
        yield np.stack([start + rows, nearest[rows, columns]], axis=1)
