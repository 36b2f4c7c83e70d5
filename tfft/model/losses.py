"""What trains a head, and the metric that says how good it is, for each example of a batch.

A number or a box that is missing (NaN) counts for nothing: neither loss, nor metric, nor example.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.model.boxes import giou, iou
from tfft.model.heads import Head

# Targets and outputs of a head, [batch, ...] each, to float32 [batch].
OfExample = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# The metric of each kind of head.
METRICS = {"classification": "top1", "multi_label": "f1", "regression": "mae", "box": "mean_iou"}
# Where Huber's loss turns from a square to a line, in shares of the picture, as detectors do it.
_HUBER_DELTA = 1.0 / 9.0


def target_spec(head: Head, leading: Sequence[None]) -> tf.TensorSpec:
    """Returns the type of a batch of targets: a class, or as many numbers as there are outputs."""
    if head.config.kind == "classification":
        return tf.TensorSpec([*leading], tf.int64)
    return tf.TensorSpec([*leading, head.size.outputs], tf.float32)


def training_loss(head: Head, class_weights: np.ndarray | None = None) -> OfExample:
    """Returns the loss that trains `head`.

    Args:
        head: with its label smoothing, or its kind of box loss.
        class_weights: float [classes], what an example of each class counts; None: 1.
    """
    if head.config.kind != "classification":
        return validation_loss(head)
    loss = _cross_entropy(head.size.outputs, head.config.label_smoothing)
    if class_weights is None:
        return loss
    weights = tf.constant(class_weights, tf.float32)
    return lambda targets, logits: loss(targets, logits) * tf.gather(weights, targets)


def validation_loss(head: Head) -> OfExample:
    """Returns the loss that validation reports, comparable between recipes.

    Cross-entropy; mean binary cross-entropy over labels; the square of a number's error in
    deviations of the training data; 1 - GIoU or Huber's loss.
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
    if head.config.loss == "giou":
        return _known(lambda boxes, outputs: 1.0 - giou(boxes, outputs))
    huber: Any = keras.losses.Huber(_HUBER_DELTA, reduction="none")
    return _known(huber)


def metric(head: Head) -> OfExample:
    """Returns the function whose mean is the head's metric in `METRICS`.

    Whether the class is right; F1 of the labels over one half (1 where there are none and none are
    predicted); the absolute error of a number; the IoU of a box.
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
    """Returns a head's metric so that larger is better and heads can be averaged."""
    value = metrics[METRICS[head.config.kind]]
    return -value / head.size.deviation if head.config.kind == "regression" else value


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns a weight for each class, float64 [classes], in inverse proportion to its examples.

    The mean over the examples is 1; a class without examples has 0. Source: scikit-learn's
    ``class_weight="balanced"``.
    """
    counts = np.bincount(labels, minlength=classes)
    present = np.count_nonzero(counts)
    return np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 0.0)


def _cross_entropy(classes: int, label_smoothing: float) -> OfExample:
    loss: Any = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=label_smoothing, reduction="none"
    )
    return lambda labels, logits: loss(tf.one_hot(labels, classes), logits)


def _f1(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    predicted = tf.cast(logits > 0.0, tf.float32)
    right = tf.reduce_sum(labels * predicted, axis=-1)
    either = tf.reduce_sum(labels + predicted, axis=-1)
    return tf.where(either > 0.0, 2.0 * right / tf.maximum(either, 1.0), 1.0)


def _known(function: OfExample) -> OfExample:
    """Gives examples without a target 0, and no gradient that is not a number."""

    def of_example(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        filled = tf.where(tf.math.is_finite(targets), targets, tf.zeros_like(targets))
        return function(filled, outputs) * known(targets)

    return of_example
