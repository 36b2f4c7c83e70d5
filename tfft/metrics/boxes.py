"""Metrics of boxes: (ymin, xmin, ymax, xmax), float [n, 4]."""

from typing import Any

import numpy as np

from tfft.metrics.intervals import mean_interval

_GOOD_IOU = (0.5, 0.75)


def box_metrics(boxes: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """Returns ``mean_iou``, its 95 % interval, the shares of boxes with an IoU of 0.5 and 0.75 or
    more, and ``examples``.

    Args:
        boxes: Predicted boxes, float [n, 4].
        targets: True boxes, float [n, 4].
    """
    overlaps = iou(boxes, targets)
    return {
        "mean_iou": _mean(overlaps),
        "mean_iou_interval": mean_interval(overlaps),
        **{f"iou_{level:g}": _mean(overlaps >= level) for level in _GOOD_IOU},
        "examples": len(overlaps),
    }


def iou(boxes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns the intersection over union of each pair of boxes, float64 [n] in 0..1."""
    boxes, targets = boxes.astype(np.float64), targets.astype(np.float64)
    common = np.concatenate(
        [np.maximum(boxes[:, :2], targets[:, :2]), np.minimum(boxes[:, 2:], targets[:, 2:])], axis=1
    )
    intersection = _areas(common)
    union = _areas(boxes) + _areas(targets) - intersection
    return intersection / np.maximum(union, 1e-12)


def _areas(boxes: np.ndarray) -> np.ndarray:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return sides[:, 0] * sides[:, 1]


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None
