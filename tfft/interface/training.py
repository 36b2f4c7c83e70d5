"""The Python interface to training: recipes, runs, plans.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import Overrides, optional_path
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.runs.run import Run
    from tfft.transfer.lr_range import RangeTest
    from tfft.transfer.plan.plan import FreezePlan


def train(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    run: str | Path | None = None,
    progress: Progress = SILENT,
) -> "Run":
    """Trains a recipe.

    Args:
        recipe: name of a bundled recipe, or path of a recipe file.
        data: a directory with one folder a class, or a manifest file, instead of the recipe's data.
        overrides: ``{"train.batch_size": 64}`` or ``["train.batch_size=64"]``.
        run: directory to make; default: ``runs/<name>``, or ``runs/<name>-<n>`` if that exists.
        progress: where the work is reported.

    Returns:
        The run; `run.path` is its directory, `run.metrics` those on validation data.

    Raises:
        RecipeError: The recipe is wrong; every fault is named.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights are not to be had.
        TfftError: Values are not finite, the disk is full, …
    """
    from tfft.config.loading.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    from tfft.transfer import train as training

    return training.train(loaded, run=optional_path(run), progress=progress)


def resume(run: str | Path, *, progress: Progress = SILENT) -> "Run":
    """Goes on with a run that was interrupted, from its last checkpoint.

    Raises:
        ModelFileError: `run` is not a run directory.
        TfftError: As `train`.
    """
    from tfft.transfer import train as training

    return training.resume(Path(run), progress=progress)


def plan(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    measure: bool = False,
    progress: Progress = SILENT,
) -> "FreezePlan":
    """Returns the freeze plan of a recipe; other arguments and errors as of `train`.

    Args:
        measure: estimate the time of each phase, with and without the cache, on a few batches.
    """
    from tfft.config.loading.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    from tfft.transfer.estimate import dry_run

    return dry_run(loaded, progress, measure=measure)


def find_learning_rate(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    phase: int | None = None,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    progress: Progress = SILENT,
) -> "RangeTest":
    """Does a learning-rate range test of a phase (1 for the first); nothing is kept.

    Other arguments and errors as of `train`.
    """
    from tfft.config.loading.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    from tfft.transfer import lr_range

    return lr_range.find_learning_rate(
        loaded, phase=phase, lowest=lowest, highest=highest, steps=steps, progress=progress
    )
