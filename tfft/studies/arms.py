"""What is compared: recipes, strategies applied to one recipe, and finished runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.config.loading.load import load_recipe, recipe_from_dict
from tfft.config.loading.overrides import Overrides
from tfft.config.model import is_random
from tfft.config.recipe import Recipe
from tfft.config.strategies import STRATEGY_NAMES
from tfft.errors import ModelFileError, UsageError, nearest
from tfft.runs.run import open_run
from tfft.system.paths import expanded
from tfft.system.readable import command_text

SCRATCH = "scratch"
# On a part of the data strategies train for 1 / fraction times as many epochs, so that there are
# enough steps, but for at most this many times as many.
_MOST_REPEATS = 5
# Keys of the data in which arms may differ: how many images they learn from, which the tables show,
# and how an image is cropped, which is a way of training.
_OWN_DATA = ("fraction", "crop_to_box")
# Where one of them is a finished run, the other may take over its split: the test images decide.
_OWN_SPLIT = ("split_like", "split_by", "split_seed")


@dataclass(frozen=True)
class Arm:
    """One way of training.

    Attributes:
        name: Name of the arm in the tables.
        recipe: Recipe on all of the data, with the first seed.
        repeats: Whether a part of the data is trained on for more epochs, as strategies do; a
            recipe is taken as it is.
        runs: Finished runs, which are taken as they are; empty if runs are to be made.
    """

    name: str
    recipe: Recipe
    repeats: bool = False
    runs: tuple[Path, ...] = ()

    @property
    def is_scratch(self) -> bool:
        """Whether nothing is transferred."""
        return is_random(self.recipe.backbone)

    def recipe_at(self, fraction: float, seed: int) -> Recipe:
        """Returns the recipe of one cell.

        Args:
            fraction: Share of the training images.
            seed: Seed, counted from the recipe's own.
        """
        values = self.recipe.model_dump(mode="json")
        values["seed"] += seed
        values["data"]["fraction"] = fraction
        if self.repeats:
            for phase in (p for p in values["train"]["phases"] if p.get("epochs")):
                phase["epochs"] = round(phase["epochs"] * min(1 / fraction, _MOST_REPEATS))
        return recipe_from_dict(values)


def make_arms(
    words: Sequence[str],
    *,
    recipe: str | Path = "classifier",
    data: Path | None = None,
    overrides: Overrides = (),
    scratch_epochs: int = 60,
) -> list[Arm]:
    """Returns the arms that words stand for, in their order.

    Args:
        words: Words, each a strategy (as in `train.strategy`, or ``scratch``), a recipe, or the
            directory of a finished run; runs that differ only in seed and fraction become one arm.
        recipe: Recipe that strategies are applied to.
        data: Images that replace the data of all recipes.
        overrides: Values that are set in all recipes.
        scratch_epochs: Epochs of the arm ``scratch`` on all of the data.

    Raises:
        UsageError: There are fewer than two arms, two of the same name, or arms that cannot be
            compared: on different data, without a common classification head, the same run twice.
        RecipeError: A recipe is wrong, or a word is none of these.
        ModelFileError: A directory is not a run, or the run in it is not finished.
    """
    arms: list[Arm] = []
    runs: dict[str, Arm] = {}
    for word in words:
        if word == SCRATCH or word in STRATEGY_NAMES:
            base = load_recipe(recipe, overrides=overrides, data=data)
            arms.append(_strategy(word, base, scratch_epochs))
        elif expanded(word).is_dir():
            _add_run(expanded(word), runs, arms)
        else:
            loaded = load_recipe(_recipe_word(word), overrides=overrides, data=data)
            arms.append(Arm(Path(word).stem, loaded))
    arms += runs.values()
    _check(arms)
    return arms


def common_head(arms: Sequence[Arm]) -> str:
    """Returns the name of the first classification head that all arms have.

    Raises:
        UsageError: There is none.
    """
    for name in arms[0].recipe.heads:
        kinds = [getattr(arm.recipe.heads.get(name), "kind", None) for arm in arms]
        if set(kinds) == {"classification"}:
            return name
    raise UsageError(
        "the arms have no classification head in common, which is what is compared. "
        f"Received: {', '.join(arms[0].recipe.heads)} of {arms[0].name}"
    )


def _strategy(word: str, base: Recipe, scratch_epochs: int) -> Arm:
    values = base.model_dump(mode="json")
    if word != SCRATCH:
        values["train"]["strategy"] = word
        del values["train"]["phases"]
        return Arm(word, recipe_from_dict(values), repeats=True)
    forget_source(values)
    # These values were chosen for this optimizer, not for that of the recipe.
    values["train"]["optimizer"] = {"name": "adamw"}
    values["train"]["phases"] = [
        {
            "unfreeze": "all",
            "epochs": scratch_epochs,
            "learning_rate": 1e-3,
            "schedule": {"kind": "cosine", "warmup_epochs": scratch_epochs / 20},
            "weight_decay": 0.05,
            "batch_norm": "adapt",
            "augment": "random_crop",
        }
    ]
    return Arm(word, recipe_from_dict(values), repeats=True)


def forget_source(values: dict[str, Any]) -> None:
    """Removes what is transferred from a recipe's values: the weights of backbone and heads.

    Raises:
        UsageError: The backbone only comes with its own weights.
    """
    if "weights" not in values["backbone"]:
        raise UsageError(
            "a SavedModel has only its own weights: it cannot be compared with the same model from "
            f"random weights, the arm `{SCRATCH}`. "
            f"Received: backbone.kind: {values['backbone']['kind']}"
        )
    values["backbone"]["weights"] = "random"
    for head in values["heads"].values():
        head.pop("init", None)
        head.pop("source_classes", None)


def _add_run(path: Path, runs: dict[str, Arm], arms: Sequence[Arm]) -> None:
    """Adds a finished run to `runs`: to the arm of the same recipe, or as a new arm."""
    opened, recipe = open_run(path)
    status = opened.status
    if status != "finished":
        raise ModelFileError(
            f"{path} is not finished but {status}. Go on with it: "
            f"{command_text('train', '--resume', path)}"
        )
    data = recipe.data.model_copy(update={"fraction": 1.0})
    key = recipe.model_copy(update={"seed": 0, "data": data}).model_dump_json()
    if key in runs:
        arm = runs[key]
        for run in arm.runs:  # two runs with one seed would count as one
            _, other = open_run(run)
            if (other.seed, other.data.fraction) == (recipe.seed, recipe.data.fraction):
                raise UsageError(
                    f"{run} and {path} are runs of one recipe with the same seed, {recipe.seed}: "
                    "leave one out, or train one with --set seed=NUMBER"
                )
        runs[key] = Arm(arm.name, arm.recipe, runs=(*arm.runs, path))
        return
    taken = {arm.name for arm in (*arms, *runs.values())}
    runs[key] = Arm(path.name if recipe.name in taken else recipe.name, recipe, runs=(path,))


def _recipe_word(word: str) -> str:
    close = nearest(word, (SCRATCH, *STRATEGY_NAMES))
    if close and not Path(word).suffix:
        from tfft.config.loading.source import bundled_recipes

        if word not in bundled_recipes():
            raise UsageError(
                f"{word!r} is not a strategy, recipe or run.{close} Strategies: "
                f"{', '.join((SCRATCH, *STRATEGY_NAMES))}."
            )
    return word


def _check(arms: Sequence[Arm]) -> None:
    if len(arms) < 2:
        raise UsageError(
            "a comparison needs two or more of strategies "
            f"({', '.join((SCRATCH, *STRATEGY_NAMES))}), recipes and runs. "
            f"Received: {', '.join(arm.name for arm in arms) or 'nothing'}"
        )
    names = [arm.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two different arms are called {name!r}: rename one of the files")
    common_head(arms)
    first, *others = (arm.recipe.data.model_dump(mode="json") for arm in arms)
    for arm, other in zip(arms[1:], others, strict=True):
        allowed = _OWN_DATA + (_OWN_SPLIT if arms[0].runs or arm.runs else ())
        keys = [key for key in {**first, **other} if key not in allowed]
        different = [key for key in keys if first.get(key) != other.get(key)]
        if different:
            raise UsageError(
                f"{arms[0].name} and {arm.name} are not on the same data: they differ in "
                f"{', '.join(f'data.{key}' for key in different)}"
            )
