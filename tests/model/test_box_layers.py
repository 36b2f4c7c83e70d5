"""Boxes in TensorFlow: what a head makes of four numbers, and how two boxes overlap."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfft.metrics.boxes import iou as iou_of_arrays
from tfft.model.boxes import corners, giou, iou


def _box(ymin: float, xmin: float, ymax: float, xmax: float) -> tf.Tensor:
    return tf.constant([[ymin, xmin, ymax, xmax]], tf.float32)


def test_zeros_are_the_middle_half_of_the_picture():
    np.testing.assert_array_equal(corners(tf.zeros([2, 4])), [[0.25, 0.25, 0.75, 0.75]] * 2)


def test_centre_and_size_are_of_rows_then_columns():
    # A sigmoid of ln 3 is 3/4, of -ln 3 it is 1/4.
    raw = np.log(3) * np.array([[1, -1, -1, 0]], np.float32)
    np.testing.assert_allclose(corners(raw), [[0.625, 0.0, 0.875, 0.5]], atol=1e-6)


@settings(max_examples=50)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4))
def test_a_box_always_lies_inside_the_picture(numbers: list[float]):
    ((ymin, xmin, ymax, xmax),) = corners(np.array([numbers], np.float32)).numpy()
    assert 0 <= ymin <= ymax <= 1
    assert 0 <= xmin <= xmax <= 1


def test_overlaps_are_those_that_evaluation_reports():
    generator = np.random.default_rng(0)
    one, other = (np.sort(generator.random((500, 2, 2)), axis=1).reshape(500, 4) for _ in range(2))
    one, other = one.astype(np.float32), other.astype(np.float32)
    np.testing.assert_allclose(iou(one, other), iou_of_arrays(one, other), atol=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (_box(0, 0, 1, 1), _box(0, 0, 1, 1), 1.0),
        (_box(0, 0, 1, 1), _box(0, 0, 1, 0.5), 0.5),  # one within the other: the IoU
        (_box(0, 0, 1, 0.25), _box(0, 0.75, 1, 1), -0.5),  # half of what is around both is empty
        (_box(0, 0, 0.5, 0.5), _box(0.5, 0.5, 1, 1), -0.5),
        (_box(0, 0, 0.5, 0.5), _box(0.25, 0.25, 0.75, 0.75), 1 / 7 - 2 / 9),
        (_box(0, 0, 0, 0), _box(1, 1, 1, 1), -1.0),  # two points, as far apart as can be
    ],
)
def test_giou_by_hand(one: tf.Tensor, other: tf.Tensor, expected: float):
    assert giou(one, other).numpy() == pytest.approx([expected], abs=1e-6)


def test_boxes_that_do_not_overlap_are_pulled_together():
    """The gradient of GIoU is there where that of IoU is zero."""
    box, target = tf.Variable(_box(0.1, 0.1, 0.2, 0.2)), _box(0.6, 0.7, 0.8, 0.9)
    with tf.GradientTape(persistent=True) as tape:
        overlap, generalised = iou(target, box), giou(target, box)
    np.testing.assert_array_equal(tape.gradient(overlap, box), np.zeros((1, 4)))
    gradient = tape.gradient(generalised, box).numpy()[0]
    assert gradient[2] > 0 and gradient[3] > 0  # its lower right corner moves towards the target
