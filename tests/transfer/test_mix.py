"""Mixup and CutMix: what is mixed, how much of it counts, and that a seed decides it."""

import numpy as np
import pytest
import tensorflow as tf
from small_classifier import small_batch, small_classifier

from tfft.config.train import Mix, SgdOptimizer
from tfft.transfer.step.mix import mixed
from tfft.transfer.step.optimizers import build_optimizer
from tfft.transfer.step.step import TrainStep

_IMAGES = tf.constant(np.arange(6, dtype=np.float32)[:, None, None, None] * np.ones((6, 20, 30, 3)))
_IMAGES = tf.cast(_IMAGES, tf.float32)


def _seed(number: int) -> tf.Tensor:
    return tf.constant([number, 7], tf.int32)


def test_mixup_is_the_weighted_sum_of_an_image_and_its_partner():
    pairs = mixed(_IMAGES, Mix(kind="mixup", alpha=0.4), _seed(0))
    share, partners = float(pairs.share), pairs.partners.numpy()
    assert sorted(partners) == list(range(6))
    expected = share * np.arange(6) + (1 - share) * partners
    np.testing.assert_allclose(pairs.images[:, 5, 5, 0], expected, rtol=1e-5)


def test_cutmix_puts_a_rectangle_of_the_partner_into_the_image_and_counts_its_area():
    for number in range(20):
        pairs = mixed(_IMAGES, Mix(kind="cutmix", alpha=1.0), _seed(number))
        (own,) = np.flatnonzero(pairs.partners.numpy() != np.arange(6))[:1]
        from_partner = pairs.images.numpy()[own, :, :, 0] == float(pairs.partners[own])
        assert float(pairs.share) == pytest.approx(1 - from_partner.mean(), abs=1e-6)
        rows, columns = np.flatnonzero(from_partner.any(1)), np.flatnonzero(from_partner.any(0))
        assert from_partner.sum() == len(rows) * len(columns)


def test_shares_follow_the_beta_distribution():
    shares = [
        float(mixed(_IMAGES, Mix(kind="mixup", alpha=2.0), _seed(number)).share)
        for number in range(400)
    ]
    # Beta(2, 2): mean 1/2, variance 1/20; the standard error of the mean is 0.011.
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)
    assert np.var(shares) == pytest.approx(0.05, abs=0.012)


def test_the_same_seed_mixes_alike_and_another_one_does_not():
    mix = Mix(kind="mixup")
    first, again, other = (mixed(_IMAGES, mix, _seed(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)


def test_a_step_trains_on_the_mixture_of_the_losses():
    """With zero heads the gradient of the bias is the mean of softmax minus the mixed targets."""
    classifier = small_classifier()
    for block in (0, 1):
        classifier.batch_norms(block)[0].trainable = False
    optimizer = build_optimizer(SgdOptimizer(name="sgd", momentum=0.0), classifier.weights)
    step = TrainStep(
        classifier.cut(0),
        classifier.heads,
        optimizer,
        classifier.weights,
        mix=Mix(kind="mixup", alpha=1.0),
        seed=5,
    )
    batch = small_batch(12)
    step.on_batch(batch, tf.constant(1.0))
    # Partners are a permutation of the batch, so the mean of the mixed targets is that of the
    # targets, whatever the share.
    labels = np.bincount(batch[1]["label"].numpy(), minlength=3) / 12
    expected = -(np.full(3, 1 / 3) - labels)
    np.testing.assert_allclose(classifier.heads["label"].dense.bias.numpy(), expected, atol=1e-5)


@pytest.mark.slow
def test_steps_mix_differently_and_a_repeated_training_alike():
    def trained(mix: Mix | None) -> list[np.ndarray]:
        classifier = small_classifier()
        optimizer = build_optimizer(SgdOptimizer(name="sgd"), classifier.weights)
        step = TrainStep(
            classifier.cut(0), classifier.heads, optimizer, classifier.weights, mix=mix, seed=5
        )
        for _ in range(3):
            step.on_batch(small_batch(), tf.constant(0.05))
        return [variable.numpy() for variable in classifier.weights]

    mix = Mix(kind="cutmix", alpha=1.0)
    first, again, unmixed = trained(mix), trained(mix), trained(None)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(first[0], unmixed[0])
