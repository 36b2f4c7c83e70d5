"""Photos as a browser shows them: turned upright, in RGB, as JPEG of a size that suits the page.

No byte of a file is passed on as it is: neither place nor time nor a comment in it leaves tfft.
"""

import contextlib
import io
import threading
from collections import OrderedDict

import numpy as np
from PIL import Image

from tfft.desk.photos import Photos
from tfft.images.decode import decode_reduced

SMALL_PX, LARGE_PX = 320, 1600
# Small pictures that are kept: some 15 kB each.
_KEPT = 2000
_AT_ONCE = 3
_QUALITY = 82


class Pictures:
    """The photos of a desk as JPEG files; the small ones that were asked for last are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        # A decoded photo may take a quarter of a gigabyte.
        self._decoding = threading.BoundedSemaphore(_AT_ONCE)

    def small(self, photos: Photos, place: int) -> bytes:
        """Returns a photo for the grid.

        Raises:
            DataError: It cannot be read any more.
        """
        number = photos.first + place
        if number in self._kept:
            with contextlib.suppress(KeyError):  # dropped meanwhile
                self._kept.move_to_end(number)
                return self._kept[number]
        picture = self._made(photos, place, SMALL_PX)
        self._kept[number] = picture
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return picture

    def large(self, photos: Photos, place: int) -> bytes:
        """Returns a photo to look at closely.

        Raises:
            DataError: It cannot be read any more.
        """
        return self._made(photos, place, LARGE_PX)

    def _made(self, photos: Photos, place: int, side_px: int) -> bytes:
        with self._decoding:
            return jpeg(decode_reduced(photos.index.read(place), side_px), side_px)


def jpeg(pixels: np.ndarray, side_px: int) -> bytes:
    """Returns pixels, uint8 [height, width, 3] in RGB, as JPEG of a longer side `side_px` at most.

    Each pixel of a tiny image becomes a square, so that a person can see it.
    """
    image = Image.fromarray(pixels)
    if (factor := SMALL_PX // (2 * max(image.size))) > 1:
        size = (image.width * factor, image.height * factor)
        image = image.resize(size, Image.Resampling.NEAREST)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
