"""The loss that trains a head and the metric that rates it, for each example of a batch.

A missing number or box (NaN) does not count: neither in the loss, nor in the metric, nor as an
example.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.config.model import BoxHead
from tfft.model.boxes import giou, iou
from tfft.model.heads import Head

# From targets and outputs of a head, [batch, ...] each, to float32 [batch].
OfExample = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# The metric of each kind of head.
METRICS = {"classification": "top1", "multi_label": "f1", "regression": "mae", "box": "mean_iou"}
# Where Huber's loss turns from a square to a line, as a share of the image, as in detectors.
_HUBER_DELTA = 1.0 / 9.0


def target_spec(head: Head, leading: Sequence[None]) -> tf.TensorSpec:
    """Returns the type of a batch of targets.

    Args:
        head: Head whose targets they are.
        leading: Leading dimensions of unknown size, such as ``[None]`` for the batch.

    Returns:
        int64 [*leading], a class; or float32 [*leading, outputs].
    """
    if head.config.kind == "classification":
        return tf.TensorSpec([*leading], tf.int64)
    return tf.TensorSpec([*leading, head.size.outputs], tf.float32)


def training_loss(head: Head, class_weights: np.ndarray | None = None) -> OfExample:
    """Returns the loss that trains `head`.

    Args:
        head: Head, whose recipe gives label smoothing, or the kind of loss of classes or a box.
        class_weights: Weight of an example of each class, float [classes]; None: 1 each.
    """
    if head.config.kind != "classification":
        return validation_loss(head)
    config, classes = head.config, head.size.outputs
    gamma = config.focal_gamma if config.loss == "focal" else None
    loss = _cross_entropy(classes, config.label_smoothing, gamma)
    if class_weights is None:
        return loss
    weights = tf.constant(class_weights, tf.float32)
    return lambda targets, logits: loss(targets, logits) * tf.gather(weights, targets)


def validation_loss(head: Head) -> OfExample:
    """Returns the loss that validation reports, which is comparable between recipes.

    It is the cross-entropy of a classification, the mean binary cross-entropy over labels, the
    squared error of a number in standard deviations of the training data, and for a box 1 - GIoU or
    Huber's loss.
    """
    if head.config.kind == "classification":
        return _cross_entropy(head.size.outputs, 0.0)
    if head.config.kind == "multi_label":
        return lambda labels, logits: tf.reduce_mean(
            tf.nn.sigmoid_cross_entropy_with_logits(labels, logits), axis=-1
        )
    if head.config.kind == "regression":
        return _known(
            lambda numbers, outputs: tf.squeeze((numbers - outputs) / head.size.deviation, -1) ** 2
        )
    return _known(box_loss(head.config))


def box_loss(config: BoxHead) -> OfExample:
    """Returns the loss of a box that is known."""
    if config.loss == "giou":
        return lambda boxes, outputs: 1.0 - giou(boxes, outputs)
    huber: Any = keras.losses.Huber(_HUBER_DELTA, reduction="none")
    return huber


def metric(head: Head) -> OfExample:
    """Returns the function whose mean over examples is the head's metric in `METRICS`.

    It is 1 for a right class and 0 for a wrong one; the F1 of labels with a probability over one
    half (1 where there are no labels and none are predicted); the absolute error of a number; the
    IoU of a box.
    """
    if head.config.kind == "classification":
        return lambda labels, logits: tf.cast(tf.argmax(logits, axis=-1) == labels, tf.float32)
    if head.config.kind == "multi_label":
        return _f1
    if head.config.kind == "regression":
        return _known(lambda numbers, outputs: tf.squeeze(tf.abs(numbers - outputs), -1))
    return _known(iou)


def known(targets: tf.Tensor) -> tf.Tensor:
    """Returns 1 for each example that has a target and 0 for the others, float32 [batch]."""
    if not targets.dtype.is_floating:
        return tf.ones(tf.shape(targets)[:1])
    return tf.cast(tf.reduce_all(tf.math.is_finite(targets), axis=-1), tf.float32)


def quality(head: Head, metrics: Mapping[str, float]) -> float:
    """Returns a head's metric as a number that is larger when better and can be averaged.

    The error of a number is in standard deviations of the training data, and negative.
    """
    value = metrics[METRICS[head.config.kind]]
    return -value / head.size.deviation if head.config.kind == "regression" else value


def _cross_entropy(
    classes: int, label_smoothing: float, focal_gamma: float | None = None
) -> OfExample:
    """Returns the cross-entropy, with a `focal_gamma` that of Lin et al. 2017, without its alpha.

    Weights of classes are in place of alpha.
    """
    shared = {"from_logits": True, "label_smoothing": label_smoothing, "reduction": "none"}
    loss: Any = keras.losses.CategoricalCrossentropy(**shared)
    if focal_gamma is not None:
        loss = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=focal_gamma, **shared)
    return lambda labels, logits: loss(tf.one_hot(labels, classes), logits)


def _f1(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    predicted = tf.cast(logits > 0.0, tf.float32)
    right = tf.reduce_sum(labels * predicted, axis=-1)
    either = tf.reduce_sum(labels + predicted, axis=-1)
    return tf.where(either > 0.0, 2.0 * right / tf.maximum(either, 1.0), 1.0)


def _known(function: OfExample) -> OfExample:
    """Wraps a function so that missing targets give 0, and a gradient of 0 instead of NaN."""

    def of_example(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        filled = tf.where(tf.math.is_finite(targets), targets, tf.zeros_like(targets))
        return function(filled, outputs) * known(targets)

    return of_example
