"""What `tfft tune` searches: from a recipe and values by dotted path to the recipe of a trial."""

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
    """What a trial of Optuna offers of itself."""

    def suggest_categorical(self, name: str, choices: list[str]) -> Any: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...


def searched_recipe(recipe: Recipe) -> tuple[Recipe, dict[str, Searched]]:
    """Returns the recipe whose values are searched, and what is searched of it by dotted path.

    Without a space of its own, the last phase that trains blocks is searched; a recipe that has
    none gets one: a solved head, then the last blocks. No trial is solved again on validation
    images, which are what it is judged by.

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
    number = _last_blocks_phase(recipe)
    if number is None:
        values["train"]["phases"] = [{"solver": "linear"}, _BLOCKS_PHASE]
        number = 1
    return recipe_from_dict(values), _default_space(recipe, number)


def recipe_of_trial(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Returns the recipe with the values that a trial tries.

    Raises:
        RecipeError: Together they make no recipe.
    """
    return recipe_from_dict(base.model_dump(mode="json"), values)


def suggest_values(trial: Suggests, space: Mapping[str, Searched]) -> dict[str, Any]:
    """Returns a value for each path, as `trial` suggests it."""
    return {path: _suggest(trial, path, searched) for path, searched in space.items()}


def _suggest(trial: Suggests, path: str, searched: Searched) -> Any:
    if isinstance(searched, Choices):
        # As text: a choice may be a section, which Optuna does not store.
        return json.loads(
            trial.suggest_categorical(path, [json.dumps(c) for c in searched.choices])
        )
    low, high = searched.low, searched.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(path, low, high, log=searched.log)
    return trial.suggest_float(path, float(low), float(high), log=searched.log)


def _require_fit(base: Recipe, space: Mapping[str, Searched]) -> None:
    """Tries each value alone, so that a wrong path or value is named before anything runs."""
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


def _last_blocks_phase(recipe: Recipe) -> int | None:
    found = [
        number
        for number, phase in enumerate(recipe.train.phases)
        if isinstance(phase, GradientPhase) and phase.unfreeze != "none"
    ]
    return found[-1] if found else None


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
