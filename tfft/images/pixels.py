"""From a decoded image to the pixels that a model sees, antialiased, without TensorFlow."""

from collections.abc import Sequence

import numpy as np

from tfft.images.channels import has_alpha, in_channels
from tfft.images.decode import decode_image
from tfft.images.geometry import Window, box_pixels, output_window
from tfft.images.resample import resampled
from tfft.images.spec import Box, PixelSpec


def encoded_to_pixels(
    encoded: bytes, spec: PixelSpec, box: Box | np.ndarray | None = None
) -> np.ndarray:
    """Decodes an image and returns its pixels as `to_pixels` does.

    Raises:
        DataError: The image cannot be read.
    """
    return to_pixels(decode_image(encoded, has_alpha(spec.channels)), spec, box)


def encoded_batch_to_pixels(
    encoded: Sequence[bytes], spec: PixelSpec, boxes: np.ndarray | None = None
) -> np.ndarray:
    """Decodes images as `encoded_to_pixels` does, to float32 [n, height, width, channels].

    Args:
        encoded: Bytes of n image files.
        spec: The pixels wanted.
        boxes: float32 [n, 4], the part of each image to keep; None for all of it.

    Raises:
        DataError: An image cannot be read.
    """
    cuts = [None] * len(encoded) if boxes is None else boxes
    return np.stack([encoded_to_pixels(e, spec, b) for e, b in zip(encoded, cuts, strict=True)])


def to_pixels(
    image: np.ndarray, spec: PixelSpec, box: Box | np.ndarray | None = None
) -> np.ndarray:
    """Cuts, resizes and fills a decoded image as `spec` says.

    Args:
        image: uint8 [h, w, 3], upright; [h, w, 4] where `spec` has alpha.
        spec: The pixels wanted.
        box: Part to keep, which is cut out before resizing; None for all of it.

    Returns:
        float32 [spec.height, spec.width, spec.channels] in 0..255, not rounded. Equal to
        `tfft.data.graph.decode.decode_exact` within 0.01.
    """
    if box is not None:
        top, left, bottom, right = box_pixels(image.shape[0], image.shape[1], box)
        image = image[top:bottom, left:right]
    window = output_window(image.shape[0], image.shape[1], spec)
    pixels = resampled(
        image,
        resized=(window.resized_height, window.resized_width),
        corner=(max(window.top, 0), max(window.left, 0)),
        size=(min(spec.height, window.resized_height), min(spec.width, window.resized_width)),
        interpolation=spec.interpolation,
    )
    pixels = np.clip(pixels, 0.0, 255.0)
    if spec.fit == "letterbox":
        pixels = _laid_on_fill(pixels, window, spec)
    return in_channels(pixels, spec.channels)


def _laid_on_fill(pixels: np.ndarray, window: Window, spec: PixelSpec) -> np.ndarray:
    """Returns float32 [spec.height, spec.width, c]: a smaller image [h, w, c] on its ground."""
    (height, width, channels), top, left = pixels.shape, -window.top, -window.left
    filled = np.empty((spec.height, spec.width, channels), np.float32)
    filled[...] = (*spec.fill, 0)[:channels]
    filled[top : top + height, left : left + width] = pixels
    return filled
