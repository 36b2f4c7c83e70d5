"""Near-duplicates between the images a model was trained on and those it is judged on."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tfft.data.index import ImageIndex
from tfft.images.hashing import HASH_BITS, difference_hash
from tfft.system.progress import Progress

# Bits of 256 in which two files of one photo differ at most when one was resized, compressed again
# or cut slightly differently; unrelated photos differ in about 128. Of the 8,580 test photos of
# Stanford Dogs, cut to their boxes, 82 are this close to a training photo; those looked at are the
# same photo or the next of a series.
ALIKE_BITS = 32
_THREADS = 4
_CHUNK = 256


@dataclass(frozen=True)
class AlikePair:
    """An image that was trained on and one that was not, which look alike.

    Attributes:
        trained: Position among the images that were trained on.
        judged: Position among the images that are judged on.
        bits: Number of bits in which their hashes differ, 0..`ALIKE_BITS`.
        identical: Whether they are the same file, byte for byte.
    """

    trained: int
    judged: int
    bits: int
    identical: bool


@dataclass(frozen=True)
class Duplicates:
    """What the comparison found.

    Attributes:
        trained: Number of images that were trained on.
        judged: Number of images that are judged on.
        too_plain: Number of images of either kind with too little detail to be compared by their
            looks; equal files among them are found.
        pairs: For each image judged on that looks like one trained on, the pair with the most alike
            one; the most alike pairs first.
    """

    trained: int
    judged: int
    too_plain: int
    pairs: tuple[AlikePair, ...]

    @property
    def by_looks(self) -> bool:
        """Whether any image could be compared by its looks."""
        return self.too_plain < self.trained + self.judged


@dataclass(frozen=True, eq=False)
class _Looks:
    """Hashes of the images of a split, whether each has enough detail, and SHA-256 of the files."""

    hashes: np.ndarray
    telling: np.ndarray
    digests: list[bytes]


def find_duplicates(trained: ImageIndex, judged: ImageIndex, progress: Progress) -> Duplicates:
    """Compares all images of two splits by perceptual hashes, and by their bytes.

    Args:
        trained: Images that a model was trained on.
        judged: Images that it is judged on.
        progress: Where progress is reported.
    """
    task = progress.start("looking for duplicates", len(trained) + len(judged))
    try:
        seen, looks = (_looks(index, task.advance) for index in (trained, judged))
    finally:
        task.close()
    pairs: dict[int, AlikePair] = {}
    telling, others = np.flatnonzero(looks.telling).tolist(), np.flatnonzero(seen.telling)
    if len(others):
        found = nearest(looks.hashes[telling], seen.hashes[others])
        for position, (other, bits) in zip(telling, found, strict=True):
            if bits <= ALIKE_BITS:
                pairs[position] = AlikePair(int(others[other]), position, bits, identical=False)
    same = {digest: position for position, digest in enumerate(seen.digests)}
    for position, digest in enumerate(looks.digests):
        if digest in same:
            pairs[position] = AlikePair(same[digest], position, 0, identical=True)
    return Duplicates(
        trained=len(trained),
        judged=len(judged),
        too_plain=int((~seen.telling).sum() + (~looks.telling).sum()),
        pairs=tuple(sorted(pairs.values(), key=lambda p: (not p.identical, p.bits, p.judged))),
    )


def nearest(hashes: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields, for each hash, the position of the most alike other and the bits that differ.

    Args:
        hashes: Hashes, uint64 [n, 4].
        others: Hashes to compare with, uint64 [m, 4], m > 0.
    """
    columns = np.ascontiguousarray(others.T)
    for start in range(0, len(hashes), _CHUNK):
        block = hashes[start : start + _CHUNK]
        distances = np.zeros((len(block), len(others)), np.uint16)
        for word, column in enumerate(columns):
            distances += np.bitwise_count(block[:, word, None] ^ column[None])
        found = distances.argmin(axis=1)
        yield from zip(found.tolist(), distances.min(axis=1).tolist(), strict=True)


def _looks(index: ImageIndex, advance: Callable[[int], None]) -> _Looks:
    def of(position: int) -> tuple[np.ndarray | None, bytes]:
        encoded = index.read(position)
        box = None if index.boxes is None else index.boxes[position]
        # One file may be cut to several boxes.
        part = b"" if box is None else np.asarray(box, np.float32).tobytes()
        return difference_hash(encoded, box), hashlib.sha256(encoded + part).digest()

    looks = _Looks(
        np.zeros((len(index), HASH_BITS // 64), np.uint64), np.zeros(len(index), bool), []
    )
    with ThreadPoolExecutor(_THREADS) as executor:
        for position, (value, digest) in enumerate(executor.map(of, range(len(index)))):
            if value is not None:
                looks.hashes[position], looks.telling[position] = value, True
            looks.digests.append(digest)
            advance(1)
    return looks
