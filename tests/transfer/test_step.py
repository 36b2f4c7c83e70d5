"""The compiled steps."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_classifier import CLASSES, small_batch, small_classifier

from tfft.config.train import AdamOptimizer, SgdOptimizer
from tfft.model.assemble import Classifier, Cut
from tfft.transfer.step.optimizers import build_optimizer
from tfft.transfer.step.step import EvaluationStep, TrainStep, read_sums

_RATE = tf.constant(0.05)


def _step(classifier: Classifier, frozen_blocks: int, optimizer=SgdOptimizer(name="sgd")):  # noqa: B008
    built = build_optimizer(optimizer, classifier.weights)
    trained = [v for weights in classifier.block_weights[frozen_blocks:] for v in weights]
    trained += classifier.head_weights
    return TrainStep(classifier.cut(frozen_blocks), classifier.heads, built, trained)


def _values(variables) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def _unchanged(before: list[np.ndarray], variables) -> list[bool]:
    return [np.array_equal(a, v.numpy()) for a, v in zip(before, variables, strict=True)]


@pytest.mark.parametrize("frozen_blocks", [0, 1, 2])
def test_only_what_is_above_the_cut_changes_and_all_of_it(frozen_blocks: int):
    classifier = small_classifier()
    before = [_values(weights) for weights in classifier.block_weights]
    head_before = _values(classifier.head_weights)
    step = _step(classifier, frozen_blocks)
    for _ in range(3):
        step.on_batch(small_batch(), _RATE)
    for block, weights in enumerate(classifier.block_weights):
        unchanged = _unchanged(before[block], weights)
        assert all(unchanged) if block < frozen_blocks else not any(unchanged)
    assert not any(_unchanged(head_before, classifier.head_weights))


@pytest.mark.parametrize("adapting_blocks", [[], [1], [0, 1]])
def test_only_batch_norm_that_is_let_adapt_moves_its_statistics(adapting_blocks: list[int]):
    classifier = small_classifier()
    statistics = []
    for block in (0, 1):
        (norm,) = classifier.batch_norms(block)
        norm.trainable = block in adapting_blocks
        statistics.append([norm.moving_mean, norm.moving_variance])
    before = [_values(pair) for pair in statistics]
    step = _step(classifier, 0)
    step.on_batch(small_batch(), _RATE)
    for block in (0, 1):
        moved = not all(_unchanged(before[block], statistics[block]))
        assert moved == (block in adapting_blocks)


def test_a_step_is_gradient_descent_on_the_mean_loss():
    classifier, reference = small_classifier(), small_classifier()
    for block in (0, 1):
        classifier.batch_norms(block)[0].trainable = False
    batch = small_batch()
    step = _step(classifier, 0, SgdOptimizer(name="sgd", momentum=0.0))
    step.on_batch(batch, _RATE)

    with tf.GradientTape() as tape:
        logits = reference.model(batch[0][0], training=False)["label"]
        loss = tf.reduce_mean(
            keras.losses.sparse_categorical_crossentropy(
                batch[1]["label"], logits, from_logits=True
            )
        )
    gradients = tape.gradient(loss, [v.value for v in reference.weights])
    for variable, start, gradient in zip(
        classifier.weights, reference.weights, gradients, strict=True
    ):
        expected = start.numpy() - 0.05 * gradient.numpy()
        np.testing.assert_allclose(variable.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("size", [1, 5, 12])
def test_accumulated_gradients_are_those_of_the_whole_batch(size: int):
    whole, parts = small_classifier(), small_classifier()
    steps = []
    for classifier, micro in ((whole, None), (parts, size)):
        for block in (0, 1):
            classifier.batch_norms(block)[0].trainable = False
        optimizer = build_optimizer(SgdOptimizer(name="sgd"), classifier.weights)
        steps.append(
            TrainStep(
                classifier.cut(0),
                classifier.heads,
                optimizer,
                classifier.weights,
                micro_batch_size=micro,
            )
        )
    for seed in range(3):
        one, other = (step.on_batch(small_batch(12, seed), _RATE) for step in steps)
        np.testing.assert_allclose(one, other, rtol=1e-5)
    for one, other in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


def test_training_from_the_outputs_of_the_prefix_is_training_from_the_images():
    from_images, from_outputs = small_classifier(), small_classifier()
    batches = [small_batch(seed=seed) for seed in range(4)]
    step = _step(from_images, 1)
    for batch in batches:
        step.on_batch(batch, _RATE)

    cut = from_outputs.cut(1)
    optimizer = build_optimizer(SgdOptimizer(name="sgd"), from_outputs.weights)
    trained = [*from_outputs.block_weights[1], *from_outputs.head_weights]
    step = TrainStep(Cut(None, cut.suffix), from_outputs.heads, optimizer, trained)
    outputs = [cut.below(batch[0])[0] for batch in batches]
    labels = [batch[1]["label"] for batch in batches]
    step.on_chunk(((tf.stack(outputs),), {"label": tf.stack(labels)}), tf.fill([4], 0.05))
    for one, other in zip(from_images.weights, from_outputs.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)


def test_the_parts_of_a_cut_compute_the_whole_model():
    classifier = small_classifier()
    images = small_batch()[0][0]
    for variable in classifier.head_weights:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    whole = classifier.model(images)["label"]
    for frozen_blocks in (1, 2):
        cut = classifier.cut(frozen_blocks)
        logits = cut.above(cut.below([images]), training=False)["label"]
        np.testing.assert_allclose(logits, whole, atol=1e-5)


def test_sums_count_examples_losses_and_right_answers():
    classifier = small_classifier()
    step = EvaluationStep(Cut(None, classifier.model), classifier.heads)
    read = read_sums(step.on_batch(small_batch(10)).numpy(), ["label"])["label"]
    assert read.examples == 10
    # A head that starts at zero gives each class the same probability.
    assert read.loss == pytest.approx(10 * np.log(CLASSES), rel=1e-5)
    assert read.metric == np.sum(small_batch(10)[1]["label"].numpy() == 0)


def test_dropout_of_the_head_is_active_in_training_only():
    classifier = small_classifier(dropout=0.5)
    features = tf.ones([4, 6])
    classifier.heads["label"].dense.kernel.assign(np.ones((6, CLASSES)))
    suffix = classifier.cut(2).suffix
    assert np.ptp(suffix(features, training=False)["label"]) == 0
    assert np.ptp(suffix(features, training=True)["label"]) > 0


@pytest.mark.slow
def test_loss_scaling_changes_nothing_but_rounding():
    plain, scaled = small_classifier(), small_classifier()
    step = _step(plain, 0, AdamOptimizer(name="adam"))
    optimizer = build_optimizer(AdamOptimizer(name="adam"), scaled.weights, loss_scaling=True)
    scaled_step = TrainStep(scaled.cut(0), scaled.heads, optimizer, scaled.weights)
    for seed in range(3):
        step.on_batch(small_batch(seed=seed), tf.constant(1e-3))
        scaled_step.on_batch(small_batch(seed=seed), tf.constant(1e-3))
    for one, other in zip(plain.weights, scaled.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-4)


@pytest.mark.slow
def test_two_replicas_take_the_step_that_one_takes(tmp_path: Path):
    script = Path(__file__).with_name("mirrored_step.py")
    arguments = [sys.executable, str(script), str(tmp_path / "weights.npz")]
    subprocess.run(arguments, check=True, timeout=120, capture_output=True)
    classifier = small_classifier()
    for block in (0, 1):
        classifier.batch_norms(block)[0].trainable = False
    step = _step(classifier, 1, AdamOptimizer(name="adam"))
    for seed in range(3):
        step.on_batch(small_batch(seed=seed), tf.constant(1e-3))
    with np.load(tmp_path / "weights.npz") as mirrored:
        for number, variable in enumerate(classifier.weights):
            np.testing.assert_allclose(variable.numpy(), mirrored[str(number)], atol=1e-5)
