"""The search space of `tfft tune`, and the recipe of a trial from its values by dotted path."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from tfft.config.loading.load import recipe_from_dict
from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase
from tfft.config.tune import Choices, Range, Searched
from tfft.errors import RecipeError

_BLOCKS_PHASE: dict[str, Any] = {
    "unfreeze": {"last_blocks": 2},
    "epochs": 5,
    "learning_rate": 1e-4,
    "augment": "random_crop",
}


class Suggests(Protocol):
    """The part of an Optuna trial that suggests values."""

    def suggest_categorical(self, name: str, choices: list[str]) -> Any: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...


def searched_recipe(recipe: Recipe) -> tuple[Recipe, dict[str, Searched]]:
    """Returns the recipe whose values are searched, and the search space by dotted path.

    A recipe without a space of its own has its last phase that trains blocks searched; if it has no
    such phase, it gets a solved head and a phase that trains the last blocks. No trial refits its
    head on the validation images, since they judge it.

    Raises:
        RecipeError: A value of the space does not fit the recipe.
    """
    values = recipe.model_dump(mode="json")
    tune, values["tune"] = recipe.tune, None
    for phase in values["train"]["phases"]:
        phase.pop("refit", None)
    if tune is not None and tune.space:
        base = recipe_from_dict(values)
        _require_fit(base, tune.space)
        return base, dict(tune.space)
    numbers = [
        number
        for number, phase in enumerate(recipe.train.phases)
        if isinstance(phase, GradientPhase) and phase.unfreeze != "none"
    ]
    if not numbers:
        values["train"]["phases"] = [{"solver": "linear"}, _BLOCKS_PHASE]
        numbers = [1]
    return recipe_from_dict(values), _default_space(recipe, numbers[-1])


def recipe_of_trial(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Returns the recipe with the values of a trial.

    Raises:
        RecipeError: Together they are not a valid recipe.
    """
    return recipe_from_dict(base.model_dump(mode="json"), values)


def suggest_values(trial: Suggests, space: Mapping[str, Searched]) -> dict[str, Any]:
    """Returns the value that `trial` suggests for each path."""
    values: dict[str, Any] = {}
    for path, searched in space.items():
        if isinstance(searched, Choices):
            # As text: a choice may be a section, which Optuna does not store.
            choices = [json.dumps(choice) for choice in searched.choices]
            values[path] = json.loads(trial.suggest_categorical(path, choices))
            continue
        low, high = searched.low, searched.high
        if isinstance(low, int) and isinstance(high, int):
            values[path] = trial.suggest_int(path, low, high, log=searched.log)
        else:
            values[path] = trial.suggest_float(path, float(low), float(high), log=searched.log)
    return values


def _require_fit(base: Recipe, space: Mapping[str, Searched]) -> None:
    """Tries each value on its own, so that a wrong path or value is named before anything runs."""
    faults = []
    for path, searched in space.items():
        ends = searched.choices if isinstance(searched, Choices) else (searched.low, searched.high)
        for value in ends:
            try:
                recipe_of_trial(base, {path: value})
            except RecipeError as error:
                faults.append(f"tune.space.{path}: {error}")
    if faults:
        raise RecipeError("\n".join(dict.fromkeys(faults)))


def _default_space(recipe: Recipe, number: int) -> dict[str, Searched]:
    depths = ({"last_blocks": 1}, {"last_blocks": 2}, {"last_blocks": 4}, "all")
    space: dict[str, Searched] = {
        "unfreeze": Choices(choices=depths),
        "learning_rate": Range(low=1e-5, high=1e-3, log=True),
        "layer_decay": Range(low=0.6, high=1.0),
        "l2sp": Choices(choices=(None, {"alpha": 0.1})),
        "augment": Choices(choices=("none", "flip", "random_crop")),
    }
    if recipe.train.optimizer.name != "adam":
        space["weight_decay"] = Choices(choices=(0.0, 0.01, 0.1))
    return {f"train.phases.{number}.{key}": searched for key, searched in space.items()}
