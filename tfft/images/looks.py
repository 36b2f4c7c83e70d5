"""What an image looks like, measured without a model: how large, light, even and blurred it is."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfft.images.decode import decode_grey
from tfft.images.geometry import box_pixels
from tfft.images.inspect import image_size
from tfft.images.spec import Box

# Images are measured with their longer side at most so many pixels, about what a model sees: a
# photo of 20 megapixels that is a little soft is sharp there.
_MEASURED_PX = 256
# Neighbours that are averaged to blur an image once more.
_REBLUR_PX = 9


@dataclass(frozen=True)
class Look:
    """Measures of one image.

    Attributes:
        height: Height of the upright image, or of the part of it that counts, in pixels.
        width: Its width in pixels.
        lightest: Luma of the lightest hundredth of its pixels, 0..1.
        spread: Standard deviation of its luma, 0..0.5.
        blur: How blurred it is, 0..1; photos in focus have about 0.2 to 0.5.
    """

    height: int
    width: int
    lightest: float
    spread: float
    blur: float


def look_at(encoded: bytes, box: Box | np.ndarray | None = None) -> Look:
    """Measures an image that `inspect_image` accepts.

    Args:
        encoded: Bytes of an image file.
        box: Part of the image that counts; None for all of it.
    """
    height, width = image_size(encoded)
    # A JPEG is decoded at the smallest eighth of its size that is not below this.
    grey = decode_grey(encoded, _MEASURED_PX if box is None else None)
    if box is not None:
        top, left, bottom, right = box_pixels(height, width, box)
        height, width, grey = bottom - top, right - left, grey[top:bottom, left:right]
    small = Image.fromarray(np.ascontiguousarray(grey))
    small.thumbnail((_MEASURED_PX, _MEASURED_PX), Image.Resampling.BOX)
    luma = np.asarray(small, np.float32) / 255.0
    lightest, spread = float(np.quantile(luma, 0.99)), float(luma.std())
    return Look(height, width, lightest, spread, blur_effect(luma))


def blur_effect(luma: np.ndarray) -> float:
    """Returns how blurred an image is, by how little it changes when it is blurred once more.

    Args:
        luma: Luma, float [height, width].

    Returns:
        0 for an image in which every pixel differs from its neighbours at random, near 1 for one
        that is smooth; 0 for one that is even or smaller than the blur, of which nothing is known.

    Source: Crete, Dolmiere, Ladret, Nicolas 2007, "The blur effect: perception and estimation with
    a new no-reference perceptual blur metric".
    """
    if min(luma.shape) <= _REBLUR_PX:
        return 0.0
    return max(_blur_across(luma), _blur_across(luma.T))


def _blur_across(luma: np.ndarray) -> float:
    """Returns the share of the differences between neighbours of a row that survive a blur."""
    sums = np.cumsum(np.pad(luma, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    blurred = (sums[:, _REBLUR_PX:] - sums[:, :-_REBLUR_PX]) / _REBLUR_PX
    margin = _REBLUR_PX // 2
    differences = np.abs(np.diff(luma[:, margin : luma.shape[1] - margin], axis=1))
    lost = np.maximum(differences - np.abs(np.diff(blurred, axis=1)), 0.0)
    total = float(differences.sum(dtype=np.float64))
    return 1.0 - float(lost.sum(dtype=np.float64)) / total if total else 0.0
