"""Boxes as a model sees them in evaluation: shares of the part of each image that is shown."""

import numpy as np

from tfft.data.index import ImageIndex
from tfft.images.geometry import boxes_in_part, visible_part
from tfft.images.inspect import image_size
from tfft.images.spec import PixelSpec


def exact_targets(index: ImageIndex, spec: PixelSpec) -> dict[str, np.ndarray]:
    """Returns the targets of all images, boxes as shares of what the pixels of `spec` show.

    They are those that `tfft.data.graph.pipeline.evaluation_batches` gives.
    """
    if not index.box_targets:
        return index.targets
    parts = _visible_parts(index, spec)
    boxes = {name: boxes_in_part(index.targets[name], parts) for name in index.box_targets}
    return {**index.targets, **boxes}


def _visible_parts(index: ImageIndex, spec: PixelSpec) -> np.ndarray:
    """Returns float32 [len(index), 4]; headers are read, and not even they for whole images."""
    if spec.fit == "stretch" and index.boxes is None:
        return np.tile(np.array([0, 0, 1, 1], np.float32), (len(index), 1))
    cuts = [None] * len(index) if index.boxes is None else index.boxes
    return np.stack(
        [
            visible_part(*image_size(index.read(position)), spec, cut)
            for position, cut in enumerate(cuts)
        ]
    )
