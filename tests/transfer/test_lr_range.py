"""The learning-rate range test."""

import math

import numpy as np
import pytest

from tfft.config.loading.load import recipe_from_dict
from tfft.errors import RecipeError, UsageError
from tfft.runs.run import create_run
from tfft.transfer.lr_range import Smoothing, find_learning_rate, range_test, suggest
from tfft.transfer.phases.session import prepare_session


def recipe(pictures, *phases: dict):
    return recipe_from_dict(
        {
            "name": "range",
            "data": {"kind": "image_folder", "path": str(pictures)},
            "image": {"size_px": 32},
            "backbone": {
                "kind": "application",
                "name": "MobileNet",
                "weights": "random",
                "arguments": {"alpha": 0.25},
            },
            "train": {"phases": list(phases), "batch_size": 4},
        }
    )


_HEADS = {"unfreeze": "none", "epochs": 1, "learning_rate": 0.01}


def test_the_suggestion_is_where_a_drawn_loss_falls_fastest():
    rates = np.geomspace(1e-6, 1.0, 121)
    losses = 1.0 / (1.0 + (rates / 1e-3) ** 1.5) + np.where(rates > 0.1, rates * 20, 0.0)
    suggestion = suggest(rates.tolist(), losses.tolist())
    assert suggestion == pytest.approx(1e-3, rel=0.2)


def test_a_loss_that_never_falls_has_no_suggestion():
    rates = np.geomspace(1e-6, 1.0, 50).tolist()
    assert suggest(rates, np.linspace(1, 3, 50).tolist()) is None
    assert suggest([], []) is None


def test_losses_that_only_differ_by_batch_have_no_suggestion_most_of_the_time():
    generator = np.random.default_rng(0)
    rates = np.geomspace(1e-6, 1.0, 100).tolist()
    found = 0
    for _ in range(200):
        smoothing = Smoothing()
        losses = [smoothing.add(float(value)) for value in generator.normal(1.0, 0.2, 100)]
        found += suggest(rates, losses) is not None
    assert found < 30


def test_smoothing_begins_at_the_first_value():
    smoothing = Smoothing()
    assert [smoothing.add(3.0), smoothing.add(3.0)] == pytest.approx([3.0, 3.0])
    assert smoothing.add(0.0) == pytest.approx(3.0 * (0.9 - 0.9**3) / (1 - 0.9**3))


@pytest.mark.slow
@pytest.mark.parametrize("cached", [True, False], ids=["cached features", "images"])
def test_the_weights_are_afterwards_what_they_were(pictures, tmp_path, cached):
    phase = _HEADS if cached else {**_HEADS, "unfreeze": {"last_blocks": 1}}
    given = recipe(pictures, phase)
    training = prepare_session(given, create_run(given, tmp_path / "run"))
    variables = [*training.classifier.model.variables, *training.optimizer.variables]
    before = [variable.numpy() for variable in variables]
    found = range_test(training, training.plan.phases[0], 1e-4, 10.0, 12)
    training.history.close()
    assert len(found.losses) == len(found.learning_rates) <= 12
    assert all(math.isfinite(loss) for loss in found.losses)
    assert found.learning_rates[0] == pytest.approx(1e-4)
    assert len(set(found.losses)) > 1
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


@pytest.mark.slow
def test_a_later_phase_is_tested_after_those_before_it(pictures):
    schedule = ({"solver": "linear"}, {**_HEADS, "learning_rate": 0.5})
    found = find_learning_rate(recipe(pictures, *schedule), steps=10)
    assert (found.phase, found.configured) == (2, 0.5)
    # The head is solved already: at the lowest rate the loss is far below that of chance.
    assert found.losses[0] < math.log(3)


@pytest.mark.parametrize(
    ("phases", "arguments", "message"),
    [
        ([{"solver": "linear"}], {}, "no phase with a learning rate"),
        ([{"solver": "linear"}, _HEADS], {"phase": 1}, "2 of 2. Received: 1"),
        ([_HEADS], {"lowest": 1.0, "highest": 0.1}, "lowest < highest"),
        ([_HEADS], {"steps": 3}, "10 steps or more"),
    ],
)
def test_what_cannot_be_tested_is_said_before_anything_is_loaded(
    pictures, phases, arguments, message
):
    with pytest.raises((RecipeError, UsageError), match=message):
        find_learning_rate(recipe(pictures, *phases), **arguments)
