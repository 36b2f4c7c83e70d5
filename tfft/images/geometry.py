"""Where each output pixel lies in the source: whole-number rules that TensorFlow repeats."""

from dataclasses import dataclass

import numpy as np

from tfft.images.spec import Box, PixelSpec


@dataclass(frozen=True)
class Window:
    """The output as a window of the resized image.

    Attributes:
        resized_height: Height that the whole image is resized to, in pixels.
        resized_width: Width that the whole image is resized to, in pixels.
        top: First row of the window; below zero where the window begins above the image.
        left: First column of the window; below zero where it begins on the left of the image.
    """

    resized_height: int
    resized_width: int
    top: int
    left: int


def output_window(height: int, width: int, spec: PixelSpec) -> Window:
    """Returns the window that `spec` cuts from an image of `height` x `width` pixels.

    The side that is not given follows the aspect ratio, rounded half up. The window lies in the
    middle of the image, or the image in the middle of the window, rounded towards the top left; all
    in whole numbers.
    """
    if spec.fit == "stretch":
        return Window(spec.height, spec.width, 0, 0)
    lead_height, lead_width = spec.height, spec.width
    least_height, least_width = spec.height, spec.width
    if spec.fit == "letterbox":
        height_leads = spec.height * width <= spec.width * height
        least_height = least_width = 1
    elif spec.resize is not None:
        height_leads = height <= width
        lead_height = lead_width = spec.resize
    else:
        height_leads = spec.height * width >= spec.width * height
    if height_leads:
        resized_height = lead_height
        resized_width = max(least_width, _rounded_ratio(width * lead_height, height))
    else:
        resized_width = lead_width
        resized_height = max(least_height, _rounded_ratio(height * lead_width, width))
    return Window(
        resized_height,
        resized_width,
        _middle(resized_height, spec.height),
        _middle(resized_width, spec.width),
    )


def visible_part(
    height: int, width: int, spec: PixelSpec, box: Box | np.ndarray | None = None
) -> np.ndarray:
    """Returns which part of an upright image the pixels of `spec` show.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        spec: How the image is cut and resized.
        box: Part of the image that is cut out first; None for all of it.

    Returns:
        float32 [4], (ymin, xmin, ymax, xmax) as shares of the image; outside of 0..1 where more
        than the image is shown.
    """
    top, left, bottom, right = (
        (0, 0, height, width) if box is None else box_pixels(height, width, box)
    )
    window = output_window(bottom - top, right - left, spec)
    rows = np.array([window.top, window.top + spec.height]) / window.resized_height
    columns = np.array([window.left, window.left + spec.width]) / window.resized_width
    ymin, ymax = (top + rows * (bottom - top)) / height
    xmin, xmax = (left + columns * (right - left)) / width
    return np.array([ymin, xmin, ymax, xmax], np.float32)


def boxes_in_part(boxes: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Returns boxes as shares of the part of the image that is seen.

    Args:
        boxes: float32 [..., 4], (ymin, xmin, ymax, xmax) as shares of the image.
        parts: float32 [..., 4], the parts that are seen, as (ymin, xmin, ymax, xmax); a mirrored
            part has xmin and xmax exchanged.

    Returns:
        float32 [..., 4], cut at the edges of the part; NaN where nothing of the box is seen.
    """
    corners = np.stack([_in_part(boxes[..., :2], parts), _in_part(boxes[..., 2:], parts)])
    low, high = np.clip(corners.min(axis=0), 0, 1), np.clip(corners.max(axis=0), 0, 1)
    seen = np.all(high > low, axis=-1, keepdims=True)
    return np.where(seen, np.concatenate([low, high], axis=-1), np.nan).astype(np.float32)


def boxes_in_image(boxes: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Turns boxes that are shares of what is seen into shares of the image.

    Args:
        boxes: float32 [..., 4], (ymin, xmin, ymax, xmax) as shares of the part that is seen.
        parts: float32 [..., 4], the parts that are seen, as `boxes_in_part` takes them.

    Returns:
        float32 [..., 4], (ymin, xmin, ymax, xmax) as shares of the image, cut at its edges.
    """
    low, high = parts[..., :2], parts[..., 2:]
    points = [low + boxes[..., :2] * (high - low), low + boxes[..., 2:] * (high - low)]
    return np.clip(np.concatenate([np.minimum(*points), np.maximum(*points)], axis=-1), 0.0, 1.0)


def _in_part(points: np.ndarray, parts: np.ndarray) -> np.ndarray:
    low, high = parts[..., :2], parts[..., 2:]
    return (points - low) / (high - low)


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


def _middle(resized: int, size: int) -> int:
    """Returns where a window of `size` begins in the middle of a side, or around it."""
    outside = resized - size
    return outside // 2 if outside >= 0 else -(-outside // 2)


def _rounded_ratio(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
