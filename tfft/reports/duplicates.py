"""Near-duplicates between the images a model was trained on and those it is judged on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfft.data.index import ImageIndex
from tfft.data.looks import looks_of
from tfft.data.near_copies import NEAR_COPY_BITS, bits_between
from tfft.evaluation.data import together
from tfft.system.progress import Progress


@dataclass(frozen=True)
class AlikePair:
    """An image that was trained on and one that was not, which look alike.

    Attributes:
        trained: Position among the images that were trained on.
        judged: Position among the images that are judged on.
        bits: Number of bits in which their hashes differ, 0..`NEAR_COPY_BITS`.
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


def find_duplicates(trained: ImageIndex, judged: ImageIndex, progress: Progress) -> Duplicates:
    """Compares all images of two splits by perceptual hashes, and by their bytes.

    Args:
        trained: Images that a model was trained on, with their digests.
        judged: Images that it is judged on, with theirs.
        progress: Where progress is reported.
    """
    every = looks_of(together([trained, judged]), progress)
    seen, looks = every.take(slice(len(trained))), every.take(slice(len(trained), None))
    pairs: dict[int, AlikePair] = {}
    telling, others = np.flatnonzero(looks.telling).tolist(), np.flatnonzero(seen.telling)
    if len(others):
        found = nearest(looks.hashes[telling], seen.hashes[others])
        for position, (other, bits) in zip(telling, found, strict=True):
            if bits <= NEAR_COPY_BITS:
                pairs[position] = AlikePair(int(others[other]), position, bits, identical=False)
    same = {key.tobytes(): position for position, key in enumerate(trained.keys())}
    for position, key in enumerate(judged.keys()):
        if key.tobytes() in same:
            pairs[position] = AlikePair(same[key.tobytes()], position, 0, identical=True)
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
    for _, bits in bits_between(hashes, others):
        found = bits.argmin(axis=1)
        yield from zip(found.tolist(), bits.min(axis=1).tolist(), strict=True)
