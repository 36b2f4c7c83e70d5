"""Optimizers whose state outlives a phase."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.config.train import AdamOptimizer, AdamWOptimizer, SgdOptimizer
from tfft.transfer.optimizers import build_optimizer


def _variables() -> list[keras.Variable]:
    generator = np.random.default_rng(0)
    shapes = [(4, 3), (3,), (3, 2)]
    return [keras.Variable(generator.normal(size=s), dtype="float32") for s in shapes]


def _gradients(step: int, count: int) -> list[tf.Tensor]:
    generator = np.random.default_rng(step)
    shapes = [(4, 3), (3,), (3, 2)][:count]
    return [tf.constant(generator.normal(size=s), tf.float32) for s in shapes]


@pytest.mark.parametrize(
    ("config", "reference"),
    [
        (SgdOptimizer(name="sgd"), lambda: keras.optimizers.SGD(0.01, momentum=0.9)),
        (AdamOptimizer(name="adam"), lambda: keras.optimizers.Adam(0.01)),
        (
            AdamOptimizer(name="adam", clip_norm=0.5),
            lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.5),
        ),
    ],
    ids=["momentum", "adam", "clipped adam"],
)
def test_a_single_phase_is_bit_equal_to_keras(config, reference):
    ours, theirs = _variables(), _variables()
    optimizer, expected = build_optimizer(config, ours), reference()
    expected.build(theirs)
    optimizer.learning_rate = 0.01
    for step in range(25):
        optimizer.apply(_gradients(step, 3), ours)
        expected.apply(_gradients(step, 3), theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_a_variable_that_joins_late_takes_a_first_step_of_the_learning_rate():
    variables = _variables()
    optimizer = build_optimizer(AdamOptimizer(name="adam"), variables)
    optimizer.learning_rate = 0.001
    for step in range(2000):
        optimizer.apply(_gradients(step, 1), variables[:1])
    before = variables[2].numpy()
    optimizer.apply(_gradients(0, 3), variables)
    moved = np.abs(variables[2].numpy() - before)
    np.testing.assert_allclose(moved, 0.001, rtol=1e-3)


def test_slots_of_a_frozen_variable_do_not_change():
    variables = _variables()
    optimizer = build_optimizer(AdamOptimizer(name="adam"), variables)
    optimizer.learning_rate = 0.001
    optimizer.apply(_gradients(0, 3), variables)
    frozen = [v for v in optimizer.variables if v.shape == (3, 2)]
    before = [v.numpy() for v in frozen]
    kept = variables[2].numpy()
    optimizer.apply(_gradients(1, 2), variables[:2])
    assert len(frozen) == 2
    for variable, value in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    np.testing.assert_array_equal(variables[2].numpy(), kept)


@pytest.mark.parametrize("config", [SgdOptimizer(name="sgd"), AdamWOptimizer(name="adamw")])
def test_weight_decay_is_decoupled_and_spares_vectors(config):
    variables = _variables()
    before = [v.numpy() for v in variables]
    optimizer = build_optimizer(config, variables)
    optimizer.learning_rate = 0.1
    optimizer.begin_phase(weight_decay=0.5)
    optimizer.apply([tf.zeros(v.shape) for v in variables], variables)
    np.testing.assert_allclose(variables[0].numpy(), before[0] * (1 - 0.1 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(variables[1].numpy(), before[1])
