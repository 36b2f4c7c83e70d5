"""Near copies of a photo: images whose difference hashes differ in few bits."""

from collections.abc import Iterator

import numpy as np

# Bits of 256 in which two files of one photo differ at most when one was resized, compressed again
# or cut slightly differently; unrelated photos differ in about 128. Of the 8,580 test photos of
# Stanford Dogs, cut to their boxes, 82 are this close to a training photo; those looked at are the
# same photo or the next of a series.
NEAR_COPY_BITS = 32
_CHUNK = 256


def bits_between(hashes: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields blocks of the numbers of bits in which hashes differ from others.

    Args:
        hashes: Hashes, uint64 [n, 4].
        others: Hashes to compare with, uint64 [m, 4].

    Yields:
        Position of the first hash of the block, and bits uint16 [block, m].
    """
    columns = np.ascontiguousarray(others.T)
    for start in range(0, len(hashes), _CHUNK):
        block = hashes[start : start + _CHUNK]
        bits = np.zeros((len(block), len(others)), np.uint16)
        for word, column in enumerate(columns):
            bits += np.bitwise_count(block[:, word, None] ^ column[None])
        yield start, bits
