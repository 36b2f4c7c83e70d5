"""What a head reaches that gives every image the same answer, by hand."""

import numpy as np
import pytest

from tfft.config.model import BoxHead, ClassificationHead, MultiLabelHead, RegressionHead
from tfft.metrics.intervals import wilson_interval
from tfft.model.head_size import HeadSize
from tfft.transfer.baselines import baseline

_NAN = float("nan")


def test_the_commonest_class_of_the_training_images_on_the_validation_images():
    head = (ClassificationHead(), HeadSize(3, class_names=("daisy", "rose", "tulip")))
    train, validation = np.repeat([0, 1, 2], [2, 6, 2]), np.repeat([0, 1, 2], [11, 15, 12])
    found = baseline(*head, train, validation)
    assert found.answer == "the commonest class, rose"
    assert (found.metric, found.examples) == ("top1", 38)
    assert found.value == pytest.approx(15 / 38)
    assert found.chance == pytest.approx(wilson_interval(15, 38).high)
    shares = np.array([0.2, 0.6, 0.2])[validation]
    assert found.loss == pytest.approx(-np.log(shares).mean(), rel=1e-5)
    assert not found.is_beaten_by(0.395, 1.0)
    assert found.is_beaten_by(0.6, 1.0)


def test_labels_that_most_images_have_are_given_to_all():
    config = MultiLabelHead(kind="multi_label", target="tags")
    head = (config, HeadSize(2, class_names=("red", "round")))
    train = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], np.float32)
    found = baseline(*head, train, np.array([[1, 0], [1, 1], [0, 0]], np.float32))
    assert found.answer == "the commonest labels, red"
    assert found.value == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert baseline(*head, 0 * train, train).answer == "no label"


def test_a_number_is_compared_with_the_median_and_missing_ones_do_not_count():
    config = RegressionHead(kind="regression", target="age")
    head = (config, HeadSize(1, mean=40.0, deviation=8.0))
    train = np.array([[30.0], [40.0], [_NAN], [60.0]], np.float32)
    found = baseline(*head, train, np.array([[40.0], [44.0], [_NAN]], np.float32))
    assert (found.metric, found.value, found.examples) == ("mae", 2.0, 2)
    assert found.loss == pytest.approx(np.mean([0, 0.25]))
    assert found.chance < 2.0
    assert found.is_beaten_by(found.chance - 0.1, 1.0)
    assert not found.is_beaten_by(1.9, 1.0)


def test_a_box_is_compared_with_the_median_box():
    head = (BoxHead(kind="box"), HeadSize(4))
    train = np.array([[0, 0, 0.5, 0.5], [0, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    found = baseline(*head, train, np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], np.float32))
    assert (found.metric, found.answer) == ("mean_iou", "the median box")
    assert found.value == pytest.approx((1 + 0.25) / 2)


def test_without_targets_there_is_no_baseline():
    head = (RegressionHead(kind="regression", target="age"), HeadSize(1))
    nothing = np.full((3, 1), _NAN, np.float32)
    assert baseline(*head, np.ones((3, 1), np.float32), nothing) is None
