"""Which strategy is recommended for which images."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from tfft.config.loading.load import load_recipe
from tfft.errors import RecipeError
from tfft.metrics.commonest import commonest_class
from tfft.metrics.intervals import wilson_interval
from tfft.studies.advise import advise, following, from_fine_tuning, from_head
from tfft.studies.arms import make_arms
from tfft.transfer.probes.fine_tuning import HeadProbe, ShortTraining

CLASSES = np.repeat(np.arange(10), 100)
HEAD = HeadProbe(
    images=1000,
    top1=0.85,
    interval=wilson_interval(850, 1000),
    half_top1=0.82,
    commonest=commonest_class(CLASSES, CLASSES, "abcdefghij"),
    validation_loss=0.5,
    validation_top1=0.84,
)
TRAINED = ShortTraining(steps=64, images=800, validation_images=200, loss=0.4, top1=0.87)


def decided(head: HeadProbe = HEAD, **facts):
    facts = {
        "images_of_a_class": 80,
        "validation_images": 200,
        "of_the_source": False,
        **facts,
    }
    return from_head(head, **facts)


@pytest.mark.parametrize(
    ("top1", "facts", "strategy"),
    [
        (0.85, {}, None),
        (0.99, {}, "head_only"),
        (0.85, {"images_of_a_class": 10}, "head_only"),
        (0.85, {"validation_images": 30}, "head_only"),
        (0.85, {"of_the_source": True}, "head_only"),
        (0.11, {"of_the_source": True}, "full"),
    ],
)
def test_the_solved_head_decides_where_it_can(top1, facts, strategy):
    found = decided(replace(HEAD, top1=top1), **facts)
    assert (found and found[0]) == strategy
    if found:
        assert f"gets {top1:.1%} of 1,000 images right" in found[1]


@pytest.mark.parametrize(
    ("loss", "top1", "strategy"),
    [
        (0.4, 0.87, "full"),
        (0.52, 0.83, "full"),
        (0.55, 0.86, "head_only"),
        (0.6, 0.8, "head_only"),
    ],
)
def test_a_short_training_decides_elsewhere(loss, top1, strategy):
    found, reason = from_fine_tuning(HEAD, replace(TRAINED, loss=loss, top1=top1))
    assert found == strategy
    assert f"from 0.500 to {loss:.3f}, and top-1 from 84.0% to {top1:.1%}" in reason


def test_what_more_images_would_gain_is_said_where_they_are_few():
    _, reason = decided(images_of_a_class=10)
    assert "With 10 training images per class" in reason
    assert "four fifths: +3.0 points" in reason
    _, reason = decided(replace(HEAD, half_top1=0.849), images_of_a_class=10)
    assert "four fifths" not in reason


def test_a_head_at_chance_is_no_ground_for_advice():
    roses = commonest_class(np.array([1, 1, 0]), np.repeat([0, 1, 2], [11, 15, 12]), "abc")
    _, reason = decided(replace(HEAD, top1=0.42, commonest=roses))
    assert (
        "0.420 is not shown to be better than always answering with the commonest class, b"
        in reason
    )
    assert "tfft data check" in reason


@pytest.mark.parametrize("strategy", ["head_only", "full"])
def test_every_advice_can_be_trained_and_compared(strategy):
    quickstart = load_recipe("quickstart", overrides={"train.optimizer.name": "sgd"})
    advised = following(quickstart, strategy)
    assert advised.model_copy(update={"train": quickstart.train}) == quickstart
    (phase,) = advised.train.phases
    assert phase.unfreeze == ("none" if strategy == "head_only" else "all")
    # The rate of the steps was chosen for AdamW.
    assert advised.train.optimizer.name == ("sgd" if strategy == "head_only" else "adamw")
    arm, scratch = make_arms([strategy, "scratch"], recipe="quickstart")
    assert (arm.name, scratch.is_scratch) == (strategy, True)


def test_the_advice_to_solve_the_head_is_the_strategy_as_it_is():
    advised = following(load_recipe("quickstart"), "head_only")
    assert advised == load_recipe("quickstart", overrides={"train.strategy": "head_only"})
    (phase,) = advised.train.phases
    assert (phase.solver, phase.refit) == ("linear", True)


@pytest.mark.slow
def test_advice_is_measured_on_a_sample_and_is_a_recipe_that_loads(monkeypatch, tmp_path):
    for name, value in (("_TRAIN", 300), ("_VALIDATION", 100)):
        monkeypatch.setattr(f"tfft.transfer.probes.fine_tuning.{name}", value)
    small = {"image.size_px": 32, "data.validation_fraction": 0.3}
    recipe = load_recipe("quickstart", overrides=small)
    advice = advise(recipe)
    assert advice.classes == 10
    assert advice.head.images == 400
    assert advice.train_images > 300
    low, high = advice.head.interval
    assert low < advice.head.top1 < high
    assert advice.fine_tuning is not None
    assert advice.fine_tuning.validation_images == 100
    assert advice.to_json()["fine_tuning"] == asdict(advice.fine_tuning)
    advice.write(tmp_path / "advised.yaml")
    assert load_recipe(tmp_path / "advised.yaml") == advice.recipe
    assert (tmp_path / "advised.yaml").read_text().startswith(f"# {advice.strategy}: ")


def test_advice_is_for_one_head_for_classes(pictures):
    recipe = load_recipe("classifier", data=pictures, overrides={"heads": {"a": {}, "b": {}}})
    with pytest.raises(RecipeError, match="one head, which classifies"):
        advise(recipe)
