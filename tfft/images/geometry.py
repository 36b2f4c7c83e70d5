"""Where each output pixel lies in the source: whole-number rules that TensorFlow repeats."""

from dataclasses import dataclass

import numpy as np

from tfft.images.spec import Box, PixelSpec


@dataclass(frozen=True)
class Window:
    """The output as a window of the image resized to `resized_height` x `resized_width`."""

    resized_height: int
    resized_width: int
    top: int
    left: int


def output_window(height: int, width: int, spec: PixelSpec) -> Window:
    """Returns the window that `spec` cuts from an image of `height` x `width` pixels.

    The side that is not given follows the aspect ratio, rounded half up, and the window lies in
    the middle, rounded towards the top left; all in whole numbers.
    """
    if spec.fit == "stretch":
        return Window(spec.height, spec.width, 0, 0)
    if spec.resize is not None:
        height_leads = height <= width
        lead_height, lead_width = spec.resize, spec.resize
    else:
        height_leads = spec.height * width >= spec.width * height
        lead_height, lead_width = spec.height, spec.width
    if height_leads:
        resized_height = lead_height
        resized_width = max(spec.width, _rounded_ratio(width * lead_height, height))
    else:
        resized_width = lead_width
        resized_height = max(spec.height, _rounded_ratio(height * lead_width, width))
    return Window(
        resized_height,
        resized_width,
        (resized_height - spec.height) // 2,
        (resized_width - spec.width) // 2,
    )


def box_pixels(height: int, width: int, box: Box | np.ndarray) -> tuple[int, int, int, int]:
    """Returns (top, left, bottom, right) of a box in whole pixels, at least one pixel large.

    Each edge is floor(edge * side + 0.5) in float32, kept inside the image.
    """
    ymin, xmin, ymax, xmax = np.asarray(box, np.float32)
    top = min(max(_edge(ymin, height), 0), height - 1)
    left = min(max(_edge(xmin, width), 0), width - 1)
    bottom = min(max(_edge(ymax, height), top + 1), height)
    right = min(max(_edge(xmax, width), left + 1), width)
    return top, left, bottom, right


def _edge(share: np.float32, side: int) -> int:
    return int(np.floor(share * np.float32(side) + np.float32(0.5)))


def _rounded_ratio(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
