"""From a recipe and a space to the recipes of trials."""

import pytest

from tfft.config.loading.load import load_recipe, recipe_from_dict
from tfft.errors import RecipeError
from tfft.studies.space import recipe_of_trial, searched_recipe, suggest_values


class Lowest:
    """A trial that suggests the first choice and the lowest number, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple] = {}

    def suggest_categorical(self, name, choices):
        self.asked[name] = tuple(choices)
        return choices[0]

    def suggest_int(self, name, low, high, *, log):
        self.asked[name] = (int, low, high, log)
        return low

    def suggest_float(self, name, low, high, *, log):
        self.asked[name] = (float, low, high, log)
        return low


def with_space(**space):
    values = load_recipe("quickstart").model_dump(mode="json")
    return recipe_from_dict({**values, "tune": {"space": space}})


def test_values_are_suggested_by_path_and_set_in_the_recipe():
    given = with_space(
        **{
            "train.phases.1.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "train.phases.1.epochs": {"low": 1, "high": 4},
            "train.phases.1.unfreeze": {"choices": [{"last_blocks": 2}, "all"]},
        }
    )
    base, space = searched_recipe(given)
    trial = Lowest()
    values = suggest_values(trial, space)
    assert trial.asked["train.phases.1.learning_rate"] == (float, 1e-5, 1e-3, True)
    assert trial.asked["train.phases.1.epochs"] == (int, 1, 4, False)
    phase = recipe_of_trial(base, values).train.phases[1]
    assert (phase.learning_rate, phase.epochs, phase.unfreeze.last_blocks) == (1e-5, 1, 2)
    assert recipe_of_trial(base, values).tune is None


def test_a_strategy_can_be_a_choice():
    base, space = searched_recipe(
        with_space(**{"train.strategy": {"choices": ["full", {"kind": "partial", "blocks": 1}]}})
    )
    assert len(recipe_of_trial(base, suggest_values(Lowest(), space)).train.phases) == 1


def test_a_recipe_of_a_solved_head_is_searched_with_blocks_and_without_refit():
    base, space = searched_recipe(load_recipe("classifier", data="photos"))
    solved, tuned = base.train.phases
    assert (solved.solver, solved.refit) == ("linear", False)
    assert tuned.unfreeze.last_blocks == 2
    assert "train.phases.1.learning_rate" in space
    assert recipe_of_trial(base, suggest_values(Lowest(), space)).train.phases[1].l2sp is None


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"train.phases.7.epochs": {"low": 1, "high": 2}}, "its entries are 0, 1"),
        ({"train.phases.1.epoch": {"low": 1, "high": 2}}, "Did you mean 'epochs'"),
        ({"train.phases.1.augment": {"choices": ["none", "wild"]}}, "must be one of none, flip"),
    ],
)
def test_a_space_that_does_not_fit_is_named_before_anything_runs(space, message):
    with pytest.raises(RecipeError, match=message):
        searched_recipe(with_space(**space))


@pytest.mark.parametrize(
    ("searched", "message"),
    [
        ({"low": 2, "high": 1}, "must be above low"),
        ({"low": 0, "high": 1, "log": True}, "must be above 0 with log: true"),
        ({"choices": ["none"]}, "two values or more"),
        ({"low": 1}, "high: is missing"),
    ],
)
def test_a_faulty_range_is_a_fault_of_the_recipe(searched, message):
    with pytest.raises(RecipeError, match=message):
        with_space(**{"train.batch_size": searched})
