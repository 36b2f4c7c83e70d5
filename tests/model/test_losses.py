"""What trains a head and how it is judged: pinned, and with targets that are missing."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score, log_loss
from sklearn.utils.class_weight import compute_class_weight

from tfft.config.model import BoxHead, ClassificationHead, MultiLabelHead, RegressionHead
from tfft.model.class_weights import balanced_weights, class_weights_of
from tfft.model.head_size import HeadSize
from tfft.model.heads import Head, build_head
from tfft.model.losses import (
    known,
    metric,
    quality,
    target_spec,
    training_loss,
    validation_loss,
)

_MISSING = float("nan")
_TAGS = MultiLabelHead(kind="multi_label", target="tags")
_AGE = RegressionHead(kind="regression", target="age")
_WHOLE, _MIDDLE = [0.0, 0.0, 1.0, 1.0], [0.25, 0.25, 0.75, 0.75]
_CORNER, _OTHER_CORNER = [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]


def _head(config, size: HeadSize) -> Head:
    return build_head("new", config, size, seed=0)


def _classes(**values) -> Head:
    return _head(ClassificationHead(**values), HeadSize(3))


def _box(loss: str = "giou") -> Head:
    return _head(BoxHead(kind="box", loss=loss), HeadSize(4))


def _age() -> Head:
    return _head(_AGE, HeadSize(1, mean=40.0, deviation=8.0))


def test_cross_entropy_by_hand():
    logits = tf.math.log([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    losses = validation_loss(_classes())(tf.constant([0, 1], tf.int64), logits)
    assert losses.numpy() == pytest.approx([np.log(2), np.log(5)], rel=1e-6)


def test_smoothing_trains_and_does_not_judge():
    head = _classes(label_smoothing=0.3)
    labels, logits = tf.constant([0], tf.int64), tf.math.log([[0.5, 0.25, 0.25]])
    smoothed = -(0.8 * np.log(0.5) + 0.2 * np.log(0.25))
    assert training_loss(head)(labels, logits).numpy() == pytest.approx([smoothed])
    assert validation_loss(head)(labels, logits).numpy() == pytest.approx([np.log(2)])


def test_the_weight_of_a_class_multiplies_its_examples():
    labels, logits = tf.constant([0, 2], tf.int64), tf.zeros([2, 3])
    losses = training_loss(_classes(), np.array([0.5, 1.0, 3.0]))(labels, logits)
    assert losses.numpy() == pytest.approx(np.log(3) * np.array([0.5, 3.0]))


def test_the_focal_loss_by_hand():
    head = _classes(loss="focal", focal_gamma=3.0)
    labels, logits = (
        tf.constant([0, 1], tf.int64),
        tf.math.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]),
    )
    focal = [-(0.5**3) * np.log(0.5), -(0.2**3) * np.log(0.8)]
    assert training_loss(head)(labels, logits).numpy() == pytest.approx(focal, rel=1e-4)
    assert validation_loss(head)(labels, logits).numpy() == pytest.approx(-np.log([0.5, 0.8]))
    weighted = training_loss(head, np.array([1.0, 5.0, 1.0]))(labels, logits).numpy()
    assert weighted == pytest.approx([focal[0], 5 * focal[1]], rel=1e-4)


def test_weights_are_those_of_the_classes_that_are_named_or_of_their_images():
    labels, size = np.array([0, 0, 0, 1]), HeadSize(3, class_names=("a", "b", "c"))
    assert class_weights_of(ClassificationHead(), size, labels) is None
    named = ClassificationHead(class_weights={"b": 4.0})
    assert class_weights_of(named, size, labels).tolist() == [1.0, 4.0, 1.0]
    balanced = ClassificationHead(class_weights="balanced")
    assert class_weights_of(balanced, size, labels) == pytest.approx([2 / 3, 2.0, 0.0])
    assert class_weights_of(_AGE, HeadSize(1), labels) is None


def test_sets_of_labels_have_the_mean_binary_cross_entropy():
    generator = np.random.default_rng(0)
    labels = (generator.random((20, 5)) < 0.4).astype(np.float32)
    logits = generator.normal(scale=3, size=(20, 5)).astype(np.float32)
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = [
        log_loss(row, p, labels=[0, 1]) for row, p in zip(labels, probabilities, strict=True)
    ]
    head = _head(_TAGS, HeadSize(5))
    np.testing.assert_allclose(validation_loss(head)(labels, logits), expected, rtol=1e-4)
    np.testing.assert_array_equal(
        training_loss(head)(labels, logits), validation_loss(head)(labels, logits)
    )


def test_the_metric_of_sets_of_labels_is_f1_of_each_image():
    labels = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1]], np.float32)
    logits = np.array([[2, -1, -2], [1, 3, 2], [-1, -1, -1], [1, -1, -1], [5, 5, 5]], np.float32)
    metrics = metric(_head(_TAGS, HeadSize(3)))(tf.constant(labels), tf.constant(logits)).numpy()
    np.testing.assert_allclose(metrics, [2 / 3, 1 / 2, 1, 0, 1])
    expected = f1_score(labels, logits > 0, average="samples", zero_division=1.0)
    assert metrics.mean() == pytest.approx(expected)


def test_a_number_is_off_in_deviations_of_the_training_data():
    ages, outputs = tf.constant([[40.0], [44.0]]), tf.constant([[40.0], [28.0]])
    assert validation_loss(_age())(ages, outputs).numpy().tolist() == [0.0, 4.0]
    assert metric(_age())(ages, outputs).numpy().tolist() == [0.0, 16.0]


def test_of_two_numbers_the_closer_is_better_in_deviations():
    assert quality(_age(), {"mae": 16.0, "loss": 4.0}) == -2.0
    assert quality(_box(), {"mean_iou": 0.5, "loss": 0.6}) == 0.5
    assert quality(_classes(), {"top1": 0.5, "loss": 0.6}) == 0.5


@pytest.mark.parametrize(
    ("target", "output", "loss", "overlap"),
    [
        (_WHOLE, _WHOLE, 0.0, 1.0),
        (_WHOLE, _MIDDLE, 0.75, 0.25),
        (_CORNER, _OTHER_CORNER, 1.5, 0.0),
        (_CORNER, _MIDDLE, 1 - (1 / 7 - 2 / 9), 1 / 7),
    ],
)
def test_giou_trains_a_box_and_iou_judges_it(target, output, loss: float, overlap: float):
    target, output = tf.constant([target]), tf.constant([output])
    assert training_loss(_box())(target, output).numpy() == pytest.approx([loss], abs=1e-6)
    assert metric(_box())(target, output).numpy() == pytest.approx([overlap], abs=1e-6)


def test_smooth_l1_is_a_square_and_from_a_ninth_on_a_line():
    target = tf.constant([[0.5, 0.5, 0.5, 0.5]])
    near, far = tf.constant([[0.4, 0.5, 0.5, 0.5]]), tf.constant([[0.5, 0.5, 0.5, 1.0]])
    loss = training_loss(_box("smooth_l1"))
    assert loss(target, near).numpy() == pytest.approx([0.1**2 / 2 / 4])
    assert loss(target, far).numpy() == pytest.approx([(0.5 - 1 / 18) / 9 / 4], rel=1e-5)


@pytest.mark.parametrize(
    ("head", "target", "output"),
    [
        (_box(), _CORNER, _MIDDLE),
        (_box("smooth_l1"), _CORNER, _MIDDLE),
        (_box(), _CORNER, [0.7, 0.7, 0.7, 0.7]),
        (_age(), [44.0], [28.0]),
    ],
    ids=["giou", "smooth_l1", "a point", "number"],
)
def test_a_missing_target_counts_for_nothing(head: Head, target, output):
    targets = tf.constant([target, [_MISSING] * len(target), [*target[:-1], _MISSING]])
    outputs = tf.Variable([output] * 3)
    with tf.GradientTape() as tape:
        losses = training_loss(head)(targets, outputs)
    gradient = tape.gradient(losses, outputs).numpy()
    assert losses.numpy()[0] > 0 and losses.numpy()[1:].tolist() == [0, 0]
    assert np.isfinite(gradient).all()
    assert gradient[0].any() and not gradient[1:].any()
    assert metric(head)(targets, outputs).numpy()[1:].tolist() == [0, 0]
    assert known(targets).numpy().tolist() == [1, 0, 0]


def test_every_class_and_every_set_of_labels_is_known():
    assert known(tf.constant([0, 2, 1], tf.int64)).numpy().tolist() == [1, 1, 1]
    assert known(tf.zeros([2, 4])).numpy().tolist() == [1, 1]


def test_targets_of_a_batch_are_classes_or_as_many_numbers_as_outputs():
    assert target_spec(_classes(), [None]) == tf.TensorSpec([None], tf.int64)
    assert target_spec(_box(), [None, None]) == tf.TensorSpec([None, None, 4], tf.float32)
    assert target_spec(_age(), [None]) == tf.TensorSpec([None, 1], tf.float32)


def test_balanced_weights_are_scikit_learns():
    labels = np.random.default_rng(0).choice(5, 300, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    expected = compute_class_weight("balanced", classes=np.arange(5), y=labels)
    np.testing.assert_allclose(balanced_weights(labels, 5), expected)


def test_a_class_without_examples_has_no_weight_and_the_mean_stays_one():
    labels = np.array([0, 0, 0, 2])
    weights = balanced_weights(labels, 4)
    np.testing.assert_allclose(weights, [4 / 6, 0, 2, 0])
    assert weights[labels].mean() == pytest.approx(1.0)
