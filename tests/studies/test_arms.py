"""What the words of `tfft compare` stand for, and which runs they make."""

import numpy as np
import pytest
from made_study import write_run

from tfft.config.loading.load import load_recipe, recipe_from_dict
from tfft.errors import DataError, ModelFileError, RecipeError, UsageError
from tfft.studies.arms import make_arms
from tfft.studies.compare import plan_study, run_study
from tfft.system.files import write_json


def test_a_strategy_is_applied_to_the_recipe():
    (partial, scratch) = make_arms(["partial", "scratch"], recipe="quickstart")
    assert [p.solver for p in partial.recipe.train.phases] == ["linear", "gradient"]
    assert partial.recipe.backbone.weights == "imagenet"
    (phase,) = scratch.recipe.train.phases
    assert (scratch.is_scratch, phase.unfreeze, phase.batch_norm) == (True, "all", "adapt")
    assert partial.recipe.data == scratch.recipe.data


def test_scratch_has_the_optimizer_that_its_learning_rate_was_chosen_for():
    other = ["train.optimizer.name=adam"]
    scratch, partial = make_arms(["scratch", "partial"], recipe="quickstart", overrides=other)
    names = [arm.recipe.train.optimizer.name for arm in (scratch, partial)]
    assert names == ["adamw", "adam"]


def test_with_a_strategy_a_part_of_the_data_is_seen_more_often():
    partial, scratch = make_arms(["partial", "scratch"], recipe="quickstart", scratch_epochs=20)
    for arm, whole in ((partial, 5), (scratch, 20)):
        epochs = {f: arm.recipe_at(f, 0).train.phases[-1].epochs for f in (1.0, 0.25, 0.05)}
        assert epochs == {1.0: whole, 0.25: 4 * whole, 0.05: 5 * whole}


def test_cells_differ_in_fraction_and_seed_alone_and_small_ones_come_first():
    arms = make_arms(["scratch", "partial"], recipe="quickstart")
    cells = plan_study(arms, seeds=2, fractions=(1.0, 0.1)).cells
    assert [cell.fraction for cell in cells] == [0.1] * 4 + [1.0] * 4
    assert [cell.recipe.seed for cell in cells[:4]] == [0, 0, 1, 1]
    assert len({cell.run for cell in cells}) == 8
    assert {cell.recipe.data.split_seed for cell in cells} == {0}


def test_more_seeds_and_fractions_are_the_same_study():
    arms = make_arms(["scratch", "partial"], recipe="quickstart")
    small, large = plan_study(arms, seeds=1), plan_study(arms, seeds=3, fractions=(0.1, 1.0))
    assert small.path == large.path
    assert {c.run for c in small.cells} < {c.run for c in large.cells}
    for change in ({"scratch_epochs": 9}, {"overrides": ["seed=5"]}):
        other = make_arms(["scratch", "partial"], recipe="quickstart", **change)
        assert plan_study(other).path != small.path


def test_finished_runs_that_differ_in_seed_and_fraction_are_one_arm(tmp_path):
    recipe = load_recipe("quickstart")
    for seed in (0, 1):
        seeded = recipe.model_copy(update={"seed": seed})
        write_run(tmp_path / f"run-{seed}", np.ones(9, bool), seeded)
    arms = make_arms(
        ["full", str(tmp_path / "run-0"), str(tmp_path / "run-1")], recipe="quickstart"
    )
    assert [arm.name for arm in arms] == ["full", "quickstart"]
    assert [cell.seed for cell in plan_study(arms, seeds=1).cells] == [0, 1, 0]


@pytest.mark.parametrize(
    ("status", "said"),
    [("started", "killed"), ("running", "killed"), ("interrupted", "interrupted")],
)
def test_a_run_that_is_not_finished_is_refused_also_with_a_model(tmp_path, status, said):
    run = write_run(tmp_path / "run", np.ones(9, bool), load_recipe("quickstart"))
    write_json(run / "run.json", {"status": status})
    with pytest.raises(ModelFileError, match=rf"{said}\. Go on with it: tfft train --resume"):
        make_arms(["full", str(run)], recipe="quickstart")


def test_a_saved_model_is_compared_but_not_with_itself_from_scratch():
    hub = ["backbone={kind: hub, handle: module}"]
    arms = make_arms(["feature_extraction", "full"], recipe="quickstart", overrides=hub)
    assert not any(arm.is_scratch for arm in arms)
    with pytest.raises(UsageError, match="has only its own weights"):
        make_arms(["scratch", "full"], recipe="quickstart", overrides=hub)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scratch"], "two or more"),
        (["scratch", "scratch"], "called 'scratch'"),
        (["scratch", "progresive"], "Did you mean 'progressive'"),
        (["quickstart", "stanford_dogs_crops"], r"differ in data\..*kind"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_runs(words, message):
    with pytest.raises((UsageError, RecipeError), match=message):
        make_arms(words, recipe="quickstart")


@pytest.mark.parametrize(("seeds", "fractions"), [(0, (1.0,)), (1, (0.0,)), (1, (1.5,))])
def test_numbers_out_of_range_are_refused(seeds, fractions):
    arms = make_arms(["scratch", "partial"], recipe="quickstart")
    with pytest.raises(UsageError, match="Received"):
        plan_study(arms, seeds=seeds, fractions=fractions)


def test_two_runs_of_one_seed_are_not_two_seeds(tmp_path):
    for name in ("run", "again"):
        write_run(tmp_path / name, np.ones(9, bool), load_recipe("quickstart"))
    runs = [str(tmp_path / name) for name in ("run", "again")]
    for words in (runs, [runs[0], runs[0]]):
        with pytest.raises(UsageError, match="same seed, 0: leave one out"):
            make_arms(["full", *words], recipe="quickstart")


@pytest.mark.parametrize("value", ["limit_per_class=5", "on_label_conflict=skip"])
def test_arms_that_learn_from_other_images_are_refused(tmp_path, value):
    recipe = load_recipe("quickstart", overrides=[f"data.{value}"])
    run = write_run(tmp_path / "run", np.ones(9, bool), recipe)
    with pytest.raises(UsageError, match=rf"differ in data\.{value.partition('=')[0]}"):
        make_arms(["full", str(run)], recipe="quickstart")


def test_arms_without_classes_in_common_are_refused(tmp_path):
    heads = {"heads": {"other": {"kind": "classification", "target": "label"}}}
    recipe = recipe_from_dict({**load_recipe("quickstart").model_dump(mode="json"), **heads})
    run = write_run(tmp_path / "run", np.ones(9, bool), recipe)
    with pytest.raises(UsageError, match="no classification head in common"):
        make_arms(["full", str(run)], recipe="quickstart")


def test_runs_that_share_no_part_of_the_data_are_refused(tmp_path):
    for name, fraction, epochs in (("small", 0.5, 1), ("large", 1.0, 2)):
        overrides = [f"data.fraction={fraction}", f"train.phases.1.epochs={epochs}"]
        recipe = load_recipe("quickstart", overrides=overrides)
        write_run(tmp_path / name, np.ones(9, bool), recipe)
    arms = make_arms([str(tmp_path / "small"), str(tmp_path / "large")])
    with pytest.raises(UsageError, match=r"no two arms .* same part of the data"):
        plan_study(arms)


def test_data_without_test_images_are_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    none = ["data.test_fraction=0"]
    arms = make_arms(["feature_extraction", "full"], recipe="quickstart", overrides=none)
    study = plan_study(arms, seeds=1)
    with pytest.raises(DataError, match=r"no test images.*set data\.test_fraction"):
        run_study(study)
    assert not (study.path / "runs").exists()
