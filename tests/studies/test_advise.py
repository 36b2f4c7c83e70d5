"""Which strategy is recommended for which images."""

from dataclasses import replace

import numpy as np
import pytest

from tfft.config.loading.load import load_recipe
from tfft.errors import RecipeError
from tfft.metrics.commonest import commonest_class
from tfft.studies.advise import Probes, advise, blocks_to_train, following, recommend
from tfft.studies.arms import make_arms

CASES = [
    (200, 0.97, 0.40, "head_only"),
    (200, 0.80, 0.40, "partial"),
    (1000, 0.80, 0.40, "progressive"),
    (9000, 0.80, 0.40, "lp_ft"),
    (9000, 0.50, 0.40, "full"),
    (200, 0.50, 0.40, "lp_ft"),
    (200, 0.40, 0.60, "lp_ft"),
    (200, 0.99, 0.98, "head_only"),
    (200, 1.00, 1.00, "head_only"),
]


@pytest.mark.parametrize(("train_images", "probe", "random", "strategy"), CASES)
def test_size_and_distance_decide(train_images, probe, random, strategy):
    found, reason = recommend(Probes(train_images, 10, 100, probe, random))
    assert found == strategy
    assert f"{probe:.1%}" in reason
    assert reason.count(". ") == 0


@pytest.mark.parametrize(("train_images", "probe", "random", "strategy"), CASES)
@pytest.mark.parametrize("above", [0, 2, 9])
def test_every_advice_can_be_trained_and_compared(train_images, probe, random, strategy, above):
    probes = Probes(train_images, 10, 100, probe, random, "stage4", 0.85, above)
    named, _ = recommend(probes)
    quickstart = load_recipe("quickstart")
    advised = following(quickstart, named, probes)
    assert advised.model_copy(update={"train": quickstart.train}) == quickstart
    phases = load_recipe("quickstart", overrides={"train.strategy": named}).train.phases
    for position in (0, -1):
        assert advised.train.phases[position].solver == phases[position].solver
    arm, scratch = make_arms([named, "scratch"], recipe="quickstart")
    assert (arm.name, arm.recipe.train.phases) == (strategy, phases)
    assert scratch.is_scratch


def test_the_advice_to_solve_the_head_is_the_strategy_as_it_is():
    advised = following(load_recipe("quickstart"), "head_only", Probes(9, 3, 9, 1.0, 0.5))
    assert advised == load_recipe("quickstart", overrides={"train.strategy": "head_only"})
    (phase,) = advised.train.phases
    assert (phase.solver, phase.refit) == ("linear", True)


@pytest.mark.parametrize(
    ("above", "blocks", "says"),
    [
        (0, 3, "one after the other."),
        (2, 2, "better than stage4, so the 2 blocks above it are trained."),
        (9, 4, "better than stage4, so the last 4 of 9 blocks above it are trained."),
    ],
)
def test_what_does_not_carry_over_is_trained_but_no_more_than_is_safe(above, blocks, says):
    probes = Probes(1000, 10, 100, 0.80, 0.40, "stage4", 0.85, above)
    strategy, reason = recommend(probes)
    assert blocks_to_train(probes, strategy) == blocks
    assert reason.endswith(says)


def test_random_features_that_do_no_worse_are_a_warning():
    for probe, warned in ((0.42, False), (0.40, True), (0.30, True)):
        _, reason = recommend(Probes(1000, 10, 100, probe, 0.40))
        assert ("transfer may hurt: compare it with scratch" in reason) == warned


def test_a_block_inside_that_does_better_than_far_features_is_named():
    _, reason = recommend(Probes(1000, 10, 100, 0.42, 0.40, "stage2", 0.90, 3))
    assert "far from these images at its output, while a head on stage2, 3 blocks below" in reason
    assert "90.0% right" in reason
    _, reason = recommend(Probes(1000, 10, 100, 0.42, 0.40, "stage2", 0.41, 3))
    assert "stage2" not in reason


@pytest.mark.slow
def test_advice_on_photos_is_a_recipe_that_loads(pictures, tmp_path):
    advice = advise(
        load_recipe(
            "classifier",
            data=pictures,
            overrides={"image.size_px": 64, "image.resize_px": 64, "data.validation_fraction": 0.4},
        )
    )
    assert advice.probes.classes == 3
    assert 0.0 <= advice.probes.probe_top1 <= 1.0
    assert advice.probes.carries_to in [block.block for block in advice.depth.blocks]
    advice.write(tmp_path / "advised.yaml")
    assert load_recipe(tmp_path / "advised.yaml") == advice.recipe
    assert (tmp_path / "advised.yaml").read_text().startswith(f"# {advice.strategy}: ")


def test_advice_is_for_one_head_for_classes(pictures):
    recipe = load_recipe("classifier", data=pictures, overrides={"heads": {"a": {}, "b": {}}})
    with pytest.raises(RecipeError, match="one head, which classifies"):
        advise(recipe)


def test_a_probe_at_chance_is_no_ground_for_advice():
    roses = commonest_class(np.array([1, 1, 0]), np.repeat([0, 1, 2], [11, 15, 12]), "abc")
    probes = Probes(1000, 3, 38, 0.42, 0.40, commonest=roses)
    _, reason = recommend(probes)
    assert (
        "0.420 is not shown to be better than always answering with the commonest class, b"
        in reason
    )
    assert "tfft data check" in reason
    assert "not shown" not in recommend(replace(probes, probe_top1=0.8))[1]
