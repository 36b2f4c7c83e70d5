"""A hash of what an image looks like, which resizing and compressing hardly change."""

import numpy as np
from PIL import Image

from tfft.images.decode import decode_grey
from tfft.images.geometry import box_pixels
from tfft.images.spec import Box

# A JPEG is decoded at the smallest eighth of its size that is not below this.
_ENOUGH_PX = 72
_LONG, _SHORT = 17, 8
HASH_BITS = 2 * (_LONG - 1) * _SHORT
# A hash with fewer ones or zeros is of an almost even picture, which is like any other.
_FEWEST_BITS = 24


def difference_hash(encoded: bytes, box: Box | np.ndarray | None = None) -> np.ndarray | None:
    """Returns the difference hash of an image that `inspect_image` accepts.

    The image is reduced to grey and to very few pixels; each bit says whether a pixel is lighter
    than its neighbour: 128 bits across, 128 bits down.

    Args:
        encoded: Bytes of an image file.
        box: Part of the image that counts; None for all of it.

    Returns:
        uint64 [4]; None if there is too little to compare: fewer pixels than the hash needs, or
        hardly any that is lighter or darker than its neighbour. Hashes are compared by the number
        of bits that differ.

    Source: Krawetz 2013, "Kind of Like That" (dHash).
    """
    grey = decode_grey(encoded, _ENOUGH_PX if box is None else None)
    if box is not None:
        top, left, bottom, right = box_pixels(grey.shape[0], grey.shape[1], box)
        grey = grey[top:bottom, left:right]
    if min(grey.shape) < _LONG:
        return None
    small = Image.fromarray(np.ascontiguousarray(grey))
    across = _resized(small, width=_LONG, height=_SHORT)
    down = _resized(small, width=_SHORT, height=_LONG)
    bits = np.concatenate(
        [(across[:, 1:] > across[:, :-1]).ravel(), (down[1:] > down[:-1]).ravel()]
    )
    telling = _FEWEST_BITS <= bits.sum() <= HASH_BITS - _FEWEST_BITS
    return np.packbits(bits).view(np.uint64) if telling else None


def _resized(image: Image.Image, width: int, height: int) -> np.ndarray:
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.int16)
