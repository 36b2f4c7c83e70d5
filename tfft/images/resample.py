"""Antialiased resizing in numpy: the arithmetic of TensorFlow's ScaleAndTranslate.

Pillow's own resize computes positions in double precision where TensorFlow has single precision,
which differs by up to 0.02 of 255 levels; this differs by less than 0.001.
Source: tensorflow/core/kernels/image/scale_and_translate_op.cc (2.21).
"""

import numpy as np

from tfft.images.spec import Interpolation

_RADIUS = {"bilinear": 1.0, "bicubic": 2.0}


def resampled(
    image: np.ndarray,
    resized: tuple[int, int],
    corner: tuple[int, int],
    size: tuple[int, int],
    interpolation: Interpolation,
) -> np.ndarray:
    """Returns a window of the resized image without computing the rest of it.

    Args:
        image: uint8 [h, w, 3].
        resized: Height and width that the whole image is resized to.
        corner: Row and column of the window in the resized image.
        size: Height and width of the window.
        interpolation: Name of the kernel, which is widened where the image shrinks.

    Returns:
        float32 [*size, 3]; bicubic may lie outside 0..255.
    """
    down = _taps(image.shape[0], resized[0], corner[0], size[0], interpolation)
    across = _taps(image.shape[1], resized[1], corner[1], size[1], interpolation)
    # In one piece, so that whole rows are taken from it: twice as fast for small images.
    turned = np.ascontiguousarray(_weighted(image, *down).transpose(1, 0, 2))
    return _weighted(turned, *across).transpose(1, 0, 2)


def _weighted(image: np.ndarray, positions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns float32 [n, w, c]: the weighted sums of n times k rows of the image [h, w, c]."""
    total = np.zeros((len(positions), *image.shape[1:]), np.float32)
    for tap in range(positions.shape[1]):
        total += image[positions[:, tap]] * weights[:, tap, None, None]
    return total


def _taps(
    side: int, resized: int, corner: int, size: int, interpolation: Interpolation
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which k source positions make each output, int64 [size, k], and their weights."""
    single = np.float32
    scale = single(resized) / single(side)
    inverse = single(1.0 / float(scale))
    shift = single(float(inverse) * corner)
    widening = max(inverse, single(1.0))
    reach = single(_RADIUS[interpolation]) * widening
    centres = (np.arange(size, dtype=single) + single(0.5)) * inverse + shift
    starts = np.clip(np.ceil(centres - reach - single(0.5)), 0, side - 1).astype(np.int64)
    ends = np.clip(np.floor(centres + reach - single(0.5)), 0, side - 1).astype(np.int64)
    positions = starts[:, None] + np.arange(int((ends - starts).max()) + 1)
    distances = np.abs((positions.astype(single) + single(0.5)) - centres[:, None])
    weights = _kernel(distances * (single(1.0) / widening), interpolation)
    weights = np.where(positions <= ends[:, None], weights, single(0.0))
    return np.minimum(positions, side - 1), weights / weights.sum(axis=1, keepdims=True)


def _kernel(distance: np.ndarray, interpolation: Interpolation) -> np.ndarray:
    if interpolation == "bilinear":
        return np.maximum(np.float32(1.0) - distance, np.float32(0.0))
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0)).astype(np.float32)
