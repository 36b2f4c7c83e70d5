"""The cache of a solved phase, which needs the features of all images."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tfft.transfer.linear.inputs import are_read_again


def cached_bytes(
    shapes: Sequence[tuple[int, ...]], images: Mapping[str, int], dtype: str, views: int = 0
) -> int:
    """Returns the size of the tensors of all training and validation images.

    Args:
        shapes: Shapes of the tensors of one image.
        images: Number of images by split.
        dtype: Type of the cached numbers.
        views: Augmented views of each training image; 0: its exact pixels.
    """
    rows = images["train"] * max(views, 1) + images["validation"]
    return rows * sum(map(math.prod, shapes)) * np.dtype(dtype).itemsize


def solved_reason(shapes: Sequence[tuple[int, ...]], training_images: int) -> str:
    """Returns why a solved phase is cached, and how its features are read."""
    reason = "a solved phase needs the features of all images"
    if any(are_read_again(training_images, math.prod(shape)) for shape in shapes):
        reason += ", and reads them from the disk in each pass of the solver"
    return reason
