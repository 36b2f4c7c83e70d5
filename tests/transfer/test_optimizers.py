"""Optimizers whose state outlives a phase."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from shapes import HEADS, LINEAR, shapes_recipe
from small_classifier import small_classifier

from tfft.config.train import AdamOptimizer, AdamWOptimizer, SgdOptimizer
from tfft.transfer.phases.session import optimizer_of
from tfft.transfer.step.optimizers import UpdateRule, build_optimizer


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


@pytest.mark.parametrize(("phase", "has_slots"), [(LINEAR, False), (HEADS, True)])
def test_a_recipe_whose_phases_are_all_solved_has_no_slots(phase, has_slots: bool, tmp_path: Path):
    optimizer = optimizer_of(shapes_recipe(tmp_path, phase), small_classifier())
    assert (len(optimizer.variables) > 2) == has_slots


def test_a_variable_that_joins_late_takes_a_first_step_of_the_learning_rate():
    variables = _variables()
    optimizer = build_optimizer(AdamOptimizer(name="adam"), variables)
    optimizer.learning_rate = 0.001
    for step in range(30):
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
def test_weight_decay_is_decoupled_and_scaled_with_the_learning_rate(config):
    variables = _variables()
    before = [v.numpy() for v in variables]
    optimizer = build_optimizer(config, variables)
    optimizer.learning_rate = 0.1
    rules = [UpdateRule(weight_decay=0.5), UpdateRule(), UpdateRule(factor=0.1, weight_decay=0.5)]
    optimizer.begin_phase(list(zip(variables, rules, strict=True)))
    optimizer.apply([tf.zeros(v.shape) for v in variables], variables)
    np.testing.assert_allclose(variables[0].numpy(), before[0] * (1 - 0.1 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(variables[1].numpy(), before[1])
    np.testing.assert_allclose(variables[2].numpy(), before[2] * (1 - 0.01 * 0.5), rtol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        SgdOptimizer(name="sgd", momentum=0.0),
        SgdOptimizer(name="sgd", nesterov=True),
        AdamOptimizer(name="adam"),
        AdamWOptimizer(name="adamw"),
    ],
    ids=["sgd", "momentum", "adam", "adamw"],
)
def test_factors_are_separate_optimizers_for_each_group(config):
    """Each variable moves as under an optimizer of its own, at its own learning rate and decay."""
    ours, theirs = _variables(), _variables()
    factors, decay = (0.01, 0.3, 1.0), 0.0 if config.name == "adam" else 0.2
    optimizer = build_optimizer(config, ours)
    optimizer.begin_phase([(v, UpdateRule(f, decay)) for v, f in zip(ours, factors, strict=True)])
    optimizer.learning_rate = 0.01
    separate = [_keras_optimizer(config, 0.01 * factor, decay) for factor in factors]
    for each, variable in zip(separate, theirs, strict=True):
        each.build([variable])
    for step in range(30):
        gradients = _gradients(step, 3)
        optimizer.apply(gradients, ours)
        for each, gradient, variable in zip(separate, gradients, theirs, strict=True):
            each.apply([gradient], [variable])
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-6)


def _keras_optimizer(config, learning_rate: float, decay: float) -> keras.optimizers.Optimizer:
    """Keras's own class; its weight decay is decoupled and scaled by the learning rate."""
    if config.name == "sgd":
        return keras.optimizers.SGD(
            learning_rate, config.momentum, config.nesterov, weight_decay=decay or None
        )
    return keras.optimizers.Adam(learning_rate, weight_decay=decay or None)


def test_l2sp_is_the_published_penalty():
    """Pinned: one SGD step of 0.1 on w = 2 from its start 1.5, alpha 0.4; head b = 3, beta 0.2.

    The penalty 0.4/2 (2 - 1.5)^2 + 0.2/2 3^2 has the gradients 0.2 and 0.6.
    """
    weight, head = keras.Variable(1.5), keras.Variable(3.0)
    config = SgdOptimizer(name="sgd", momentum=0.0)
    optimizer = build_optimizer(config, [weight, head], keep_start=True)
    weight.assign(2.0)
    optimizer.begin_phase(
        [(weight, UpdateRule(pull=0.4, to_start=True)), (head, UpdateRule(pull=0.2))]
    )
    optimizer.learning_rate = 0.1
    optimizer.apply([tf.constant(1.0), tf.constant(-1.0)], [weight, head])
    assert float(weight.numpy()) == pytest.approx(2.0 - 0.1 * (1.0 + 0.2))
    assert float(head.numpy()) == pytest.approx(3.0 - 0.1 * (-1.0 + 0.6))


def test_l2sp_under_momentum_is_gradient_descent_on_the_penalised_loss():
    ours, theirs = _variables(), _variables()
    starts = [v.numpy() for v in theirs]
    optimizer = build_optimizer(SgdOptimizer(name="sgd", clip_norm=0.7), ours, keep_start=True)
    optimizer.begin_phase([(v, UpdateRule(pull=0.5, to_start=True)) for v in ours])
    optimizer.learning_rate = 0.05
    expected = keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=0.7)
    expected.build(theirs)
    for step in range(20):
        optimizer.apply(_gradients(step, 3), ours)
        with tf.GradientTape() as tape:
            penalty = tf.add_n(
                [
                    0.5 / 2 * tf.reduce_sum((v.value - s) ** 2)
                    for v, s in zip(theirs, starts, strict=True)
                ]
            )
        penalties = tape.gradient(penalty, [v.value for v in theirs])
        both = [g + p for g, p in zip(_gradients(step, 3), penalties, strict=True)]
        expected.apply(both, theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-6)


def test_l2sp_is_decoupled_from_adaptive_steps():
    pulled, free = _variables(), _variables()
    starts = [v.numpy() for v in pulled]
    with_pull = build_optimizer(AdamOptimizer(name="adam"), pulled, keep_start=True)
    without = build_optimizer(AdamOptimizer(name="adam"), free)
    with_pull.begin_phase([(v, UpdateRule(0.5, pull=2.0, to_start=True)) for v in pulled])
    without.begin_phase([(v, UpdateRule(0.5)) for v in free])
    for optimizer in (with_pull, without):
        optimizer.learning_rate = 0.1
    with_pull.apply(_gradients(0, 3), pulled)
    without.apply(_gradients(0, 3), free)
    for one, other in zip(pulled, free, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-7)  # no distance yet
    before = [v.numpy() for v in pulled]
    free_before = [v.numpy() for v in free]
    with_pull.apply(_gradients(1, 3), pulled)
    without.apply(_gradients(1, 3), free)
    for one, other, b, fb, start in zip(pulled, free, before, free_before, starts, strict=True):
        step = other.numpy() - fb
        expected = b + step - 0.1 * 0.5 * 2.0 * (b - start)
        np.testing.assert_allclose(one.numpy(), expected, atol=1e-6)


def test_the_start_is_among_what_a_checkpoint_saves():
    variables = _variables()
    starts = [v.numpy() for v in variables]
    optimizer = build_optimizer(AdamOptimizer(name="adam"), variables, keep_start=True)
    saved = [v.numpy() for v in optimizer.variables]
    for start in starts:
        assert any(np.array_equal(start, value) for value in saved)
