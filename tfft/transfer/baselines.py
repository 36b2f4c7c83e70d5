"""What each head reaches without looking at an image: what a trained one has to beat."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfft.config.model import BoxHead, HeadConfig
from tfft.metrics.boxes import iou
from tfft.metrics.examples import Measured, of_classes, of_labels, of_numbers
from tfft.metrics.heads import METRIC_NAMES
from tfft.metrics.intervals import Interval, mean_interval, wilson_interval
from tfft.model.head_size import HeadSize
from tfft.runs.diagnosis import Baseline

# The metric of each kind of head, as in the history.
_METRICS = {"classification": "top1", "multi_label": "f1", "regression": "mae", "box": "mean_iou"}


def baselines_of(
    heads: Mapping[str, tuple[HeadConfig, HeadSize]],
    train: Mapping[str, np.ndarray],
    validation: Mapping[str, np.ndarray],
) -> dict[str, Baseline]:
    """Returns the baseline of each head that has targets among the validation images, by name.

    Args:
        heads: Section of the recipe and size of each head.
        train: Targets of the training images by the name of what is predicted, [n, ...].
        validation: Targets of the validation images, likewise.
    """
    found = {
        name: baseline(config, size, train[config.target], validation[config.target])
        for name, (config, size) in heads.items()
    }
    return {name: of_head for name, of_head in found.items() if of_head is not None}


def baseline(
    config: HeadConfig, size: HeadSize, train: np.ndarray, validation: np.ndarray
) -> Baseline | None:
    """Measures the constant answer of a head; None without validation targets.

    It is the commonest class, the labels that more than half of the images have, the median number,
    or the box of median sides.

    Args:
        config: The head's section of the recipe.
        size: Its size, from the data.
        train: Training targets, int64 [n] classes or float32 [n, outputs], NaN where missing.
        validation: Validation targets, likewise.
    """
    train, validation = _known(train), _known(validation)
    if not len(validation) or not len(train):
        return None
    output, answer = _constant(config, size, train)
    outputs = np.tile(output, (len(validation), 1))
    losses, values = _measured(config, size, outputs, validation)
    name, value = _METRICS[config.kind], float(values.mean())
    interval = mean_interval(values) or Interval(value, value)
    if name == "top1":
        interval = wilson_interval(round(values.sum()), len(values))
    return Baseline(
        answer=answer,
        metric=name,
        metric_text=METRIC_NAMES[name],
        value=value,
        chance=interval.low if name == "mae" else interval.high,
        loss=float(losses.mean()),
        examples=len(values),
    )


def _measured(
    config: HeadConfig, size: HeadSize, outputs: np.ndarray, targets: np.ndarray
) -> Measured:
    if config.kind == "classification":
        return of_classes(outputs, targets)
    if config.kind == "multi_label":
        return of_labels(outputs, targets)
    if config.kind == "regression":
        return of_numbers(outputs, targets, size.deviation)
    assert isinstance(config, BoxHead)
    from tfft.model.losses import box_loss  # it starts TensorFlow, in which boxes are trained

    loss: Any = box_loss(config)  # it takes arrays too
    losses = loss(targets, outputs.astype(np.float32))
    return np.asarray(losses, np.float64), iou(outputs, targets)


def _constant(config: HeadConfig, size: HeadSize, targets: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns an output for every image, float [outputs], and what it says."""
    kind = config.kind
    if kind == "classification":
        # A class that training has not seen counts as half an image, so that its loss is finite.
        counts = np.maximum(np.bincount(targets, minlength=size.outputs), 0.5)
        return np.log(counts), f"the commonest class, {size.class_names[counts.argmax()]}"
    if kind == "multi_label":
        share = np.clip(targets.mean(axis=0), 0.5 / len(targets), 1.0 - 0.5 / len(targets))
        names = [n for n, s in zip(size.class_names, share, strict=True) if s > 0.5]
        answer = f"the commonest labels, {', '.join(names)}" if names else "no label"
        return np.log(share / (1.0 - share)), answer
    median = np.median(targets, axis=0)
    return median, f"the median, {median[0]:.3g}" if kind == "regression" else "the median box"


def _known(targets: np.ndarray) -> np.ndarray:
    """The targets that are not missing."""
    if targets.dtype.kind != "f":
        return targets
    return targets[np.isfinite(targets).all(axis=1)]
