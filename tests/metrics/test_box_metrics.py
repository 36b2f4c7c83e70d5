"""Figures of boxes: pinned by hand, and the laws of the intersection over union."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfft.metrics.boxes import box_metrics, iou
from tfft.metrics.intervals import mean_interval


@st.composite
def boxes(draw) -> np.ndarray:
    """One box of at least 1/64 a side, float32 [1, 4]: its edges are exact in float32."""
    ymin, xmin = draw(st.integers(0, 63)), draw(st.integers(0, 63))
    ymax, xmax = draw(st.integers(ymin + 1, 64)), draw(st.integers(xmin + 1, 64))
    return np.array([[ymin, xmin, ymax, xmax]], np.float32) / 64


def _iou(one: list[float], other: list[float]) -> float:
    (value,) = iou(np.array([one], np.float32), np.array([other], np.float32))
    return float(value)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 0.5], 1 / 2),
        ([0, 0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.75], 1 / 7),
        ([0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75], 1 / 4),
        ([0, 0, 0.5, 1], [0.25, 0, 1, 0.5], 0.125 / 0.75),
        ([0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], 0),  # a corner in common
        ([0, 0, 0.5, 0.5], [0, 0.75, 0.5, 1], 0),  # side by side
        ([0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5], 0),  # no area at all
    ],
)
def test_by_hand(one: list[float], other: list[float], expected: float):
    assert _iou(one, other) == pytest.approx(expected)


def _mirrored(box: np.ndarray) -> np.ndarray:
    return np.stack([box[:, 0], 1 - box[:, 3], box[:, 2], 1 - box[:, 1]], axis=1)


@settings(max_examples=50)
@given(boxes(), boxes())
def test_it_is_a_share_that_sides_and_order_do_not_change(one: np.ndarray, other: np.ndarray):
    value = iou(one, other)
    assert 0 <= value <= 1
    assert value == iou(other, one) == iou(_mirrored(one), _mirrored(other))
    assert (value == 1) == np.array_equal(one, other)
    assert iou(one, one) == 1


@settings(max_examples=50)
@given(boxes(), st.integers(1, 63))
def test_boxes_on_two_sides_of_a_line_have_nothing_in_common(box: np.ndarray, line: int):
    share = np.float32(line / 64)
    above = box * np.array([share, 1, share, 1], np.float32)
    below = box.copy()
    below[:, [0, 2]] = share + box[:, [0, 2]] * (1 - share)
    assert iou(above, below) == 0


def test_the_figures_of_four_boxes():
    predicted = np.tile(np.array([0, 0, 1, 1], np.float32), (4, 1))
    true = np.array([[0, 0, 1, 1], [0, 0, 1, 0.75], [0, 0, 1, 0.5], [0, 0, 0.5, 0.5]], np.float32)
    metrics = box_metrics(predicted, true)  # overlaps of 1, 0.75, 0.5 and 0.25
    assert metrics["mean_iou"] == 0.625
    assert (metrics["iou_0.5"], metrics["iou_0.75"]) == (0.75, 0.5)
    assert metrics["examples"] == 4
    half = 1.96 * np.sqrt((0.375**2 + 0.125**2) * 2 / 3) / 2
    assert metrics["mean_iou_interval"] == pytest.approx([0.625 - half, 0.625 + half])


def test_without_boxes_there_are_no_figures():
    nothing = np.zeros((0, 4), np.float32)
    assert box_metrics(nothing, nothing) == {
        "mean_iou": None,
        "mean_iou_interval": None,
        "iou_0.5": None,
        "iou_0.75": None,
        "examples": 0,
    }


def test_the_interval_of_a_mean_is_the_normal_one():
    # Standard deviation 1 with n - 1 = 2 in the denominator, by the square root of 3.
    assert mean_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx(
        [2 - 1.1316, 2 + 1.1316], abs=1e-4
    )
    assert mean_interval(np.array([1.0])) is None


def test_the_interval_holds_the_mean_of_the_whole_in_95_of_100_samples():
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        low, high = mean_interval(generator.beta(5, 2, 200))
        inside += low <= 5 / 7 <= high
    assert 930 <= inside <= 970
