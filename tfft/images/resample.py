"""Antialiased resizing in numpy: the arithmetic of TensorFlow's ScaleAndTranslate.

Pillow's own resize computes positions in double precision where TensorFlow has single precision,
which differs by up to 0.02 of 255 levels; this differs by less than 0.001.
Source: tensorflow/core/kernels/image/scale_and_translate_op.cc (2.21).
"""

import numpy as np

from tfft.images.spec import Interpolation

_RADIUS = {"bilinear": 1.0, "bicubic": 2.0}

# Source rows that are held in float32 at once: bounds the memory for a photo of any size.
_ROWS_AT_ONCE = 512


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
        interpolation: The kernel, widened where the image shrinks.

    Returns:
        float32 [*size, 3]; bicubic may lie outside 0..255.
    """
    height, width, channels = image.shape
    first, down = _weights(height, resized[0], corner[0], size[0], interpolation)
    left, across = _weights(width, resized[1], corner[1], size[1], interpolation)
    image = image[first : first + down.shape[1], left : left + across.shape[1]]
    rows = np.zeros((size[0], image.shape[1] * channels), np.float32)
    for start in range(0, image.shape[0], _ROWS_AT_ONCE):
        some = image[start : start + _ROWS_AT_ONCE].astype(np.float32)
        rows += down[:, start : start + _ROWS_AT_ONCE] @ some.reshape(len(some), -1)
    columns = rows.reshape(size[0], -1, channels).transpose(0, 2, 1).reshape(-1, image.shape[1])
    pixels = (columns @ across.T).reshape(size[0], channels, size[1])
    return np.ascontiguousarray(pixels.transpose(0, 2, 1))


def _weights(
    side: int, resized: int, corner: int, size: int, interpolation: Interpolation
) -> tuple[int, np.ndarray]:
    """Returns the first source position that counts, and float32 [size, positions] weights."""
    single = np.float32
    scale = single(resized) / single(side)
    inverse = single(1.0 / float(scale))
    shift = single(float(inverse) * corner)
    widening = max(inverse, single(1.0))
    reach = single(_RADIUS[interpolation]) * widening
    centres = (np.arange(size, dtype=single) + single(0.5)) * inverse + shift
    starts = np.clip(np.ceil(centres - reach - single(0.5)), 0, side - 1).astype(np.int64)
    ends = np.clip(np.floor(centres + reach - single(0.5)), 0, side - 1).astype(np.int64)
    first, last = int(starts.min()), int(ends.max())
    positions = np.arange(first, last + 1)
    distances = np.abs((positions.astype(single) + single(0.5)) - centres[:, None])
    weights = _kernel(distances * (single(1.0) / widening), interpolation)
    inside = (positions >= starts[:, None]) & (positions <= ends[:, None])
    weights = np.where(inside, weights, single(0.0))
    return first, weights / weights.sum(axis=1, keepdims=True)


def _kernel(distance: np.ndarray, interpolation: Interpolation) -> np.ndarray:
    if interpolation == "bilinear":
        return np.maximum(np.float32(1.0) - distance, np.float32(0.0))
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0)).astype(np.float32)
