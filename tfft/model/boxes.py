"""Boxes in TensorFlow: (ymin, xmin, ymax, xmax) as shares of the image, float32 [..., 4]."""

from typing import Any

from tfft.system.tensorflow import keras, tf

_SMALLEST = 1e-7


def corners(raw: keras.KerasTensor) -> keras.KerasTensor:
    """Turns the four numbers of a dense layer, [batch, 4], into a box inside the image.

    A sigmoid of them is the centre (y, x) and the size (height, width), so that zeros stand for
    the middle half of the image. Only operations of Keras are used: a saved model needs no tfft.
    """
    numbers: Any = keras.ops.sigmoid(raw)  # Keras types the result of an operation as optional
    halves: Any = keras.ops.split(numbers, 2, axis=-1)
    centre, size = halves
    edges = keras.ops.concatenate([centre - size / 2.0, centre + size / 2.0], axis=-1)
    inside: Any = keras.ops.clip(edges, 0.0, 1.0)
    return inside


def iou(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Returns the intersection over union of boxes [..., 4] with boxes [..., 4], in 0..1."""
    intersection, union, _ = _areas(one, other)
    return intersection / tf.maximum(union, _SMALLEST)


def giou(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Returns the generalised intersection over union, in -1..1.

    Source: Rezatofighi et al. 2019, "Generalized Intersection over Union".
    """
    intersection, union, around = _areas(one, other)
    return intersection / tf.maximum(union, _SMALLEST) - (around - union) / tf.maximum(
        around, _SMALLEST
    )


def _areas(one: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the areas of the intersection, the union and the smallest box around both, [...]."""
    one_low, one_high = tf.split(one, 2, axis=-1)
    other_low, other_high = tf.split(other, 2, axis=-1)
    intersection = _area(tf.maximum(one_low, other_low), tf.minimum(one_high, other_high))
    union = _area(one_low, one_high) + _area(other_low, other_high) - intersection
    around = _area(tf.minimum(one_low, other_low), tf.maximum(one_high, other_high))
    return intersection, union, around


def _area(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
