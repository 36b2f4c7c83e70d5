"""The Python interface to training: recipes, runs, plans.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import optional_path
from tfft.system.notebook import NOTEBOOK
from tfft.system.paths import expanded
from tfft.system.progress import Progress

if TYPE_CHECKING:
    from tfft.config.loading.overrides import Overrides
    from tfft.runs.run import Run
    from tfft.transfer.lr_range import RangeTest
    from tfft.transfer.plan.plan import FreezePlan


def train(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    run: str | Path | None = None,
    progress: Progress = NOTEBOOK,
) -> "Run":
    """Trains a recipe in a run directory of its own.

    An interrupted training goes on by `resume`.

    Args:
        recipe: Name of a bundled recipe, or path of a recipe file.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        run: Directory of the run, which must not exist or be empty; default: ``runs/<name>`` with
            the recipe's name, or the first free ``runs/<name>-<n>``.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The run, with its metrics on the validation images.

    Raises:
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: The images are not what the recipe says; the message names every bad file.
        BackboneError: The backbone or its weights cannot be found.
        UsageError: `run` holds something already, or another process holds it.
        TfftError: The training failed: the loss is not finite, the disk is full.

    Example:
        >>> import tfft
        >>> run = tfft.train("classifier", data="photos/")
        >>> run
        <Run runs/classifier: finished, label top1 1.000>
        >>> print(run)
        runs/classifier: finished, label top1 1.000
          label: ...
          next: tfft.evaluate('runs/classifier')
    """
    from tfft.config.loading.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    from tfft.transfer import start

    return start.train(loaded, run=optional_path(run), progress=progress)


def resume(run: str | Path, *, finish: bool = False, progress: Progress = NOTEBOOK) -> "Run":
    """Goes on with an interrupted run from its last checkpoint.

    The result is, bit for bit, what the run would have been without the interruption. A run that is
    finished is returned as it is.

    Args:
        run: A run directory.
        finish: Train no further, but make the model of the best weights so far, which a run that
            was killed, or stopped by values that are not finite, has none of; default: no.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The run, with its metrics on the validation images.

    Raises:
        ModelFileError: `run` is not a run directory, or has no weights yet to `finish` with.
        DataError: The images are not those that the run was started with.
        UsageError: Another process holds the run.
        TfftError: The training failed, as in `train`.

    Example:
        >>> import tfft
        >>> run = tfft.resume("runs/classifier")
        >>> run.metrics["label"]["top1"]
        1.0
    """
    from tfft.transfer import start

    return start.resume(expanded(run), finish=finish, progress=progress)


def plan(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    measure: bool = False,
    progress: Progress = NOTEBOOK,
) -> "FreezePlan":
    """Computes the freeze plan of a recipe without training it.

    The model is built and the images are counted, so that the plan is the one that `train` follows.

    Args:
        recipe: Name of a bundled recipe, or path of a recipe file.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        measure: Estimate the seconds of each phase, with and without the cache, on a few batches;
            default: no, which takes seconds instead of a minute.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        What each phase trains, where the backbone is cut, and what is cached and why.

    Raises:
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: The images are not what the recipe says; the message names every bad file.
        BackboneError: The backbone or its weights cannot be found.

    Example:
        >>> import tfft
        >>> plan = tfft.plan("classifier", data="photos/")
        >>> [phase.trained_parameters for phase in plan.phases]
        [51]
        >>> plan.images
        {'validation': 3, 'train': 46, 'test': 11}
    """
    from tfft.config.loading.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    from tfft.transfer.estimate import dry_run

    return dry_run(loaded, progress, measure=measure)


def find_learning_rate(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    phase: int | None = None,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    progress: Progress = NOTEBOOK,
) -> "RangeTest":
    """Runs a learning-rate range test of a phase: the loss while the rate rises.

    The phases before it are trained first, in a directory that is removed afterwards.

    Args:
        recipe: Name of a bundled recipe, or path of a recipe file.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        phase: Number of the phase, 1 for the first; default: the first with gradient steps.
        lowest: Learning rate of the first step; default: 1e-6.
        highest: Learning rate of the last step; default: 1.
        steps: Number of steps, 10 or more; default: 100. Fewer are taken if the loss diverges.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Loss and learning rate of each step, and the learning rate at which the loss falls fastest.

    Raises:
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: The images are not what the recipe says; the message names every bad file.
        BackboneError: The backbone or its weights cannot be found.
        UsageError: A number is out of its range.
        TfftError: The training of an earlier phase failed.

    Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks".

    Example:
        >>> import tfft
        >>> full = {"train.strategy": "full"}
        >>> test = tfft.find_learning_rate("classifier", data="photos/", overrides=full, steps=10)
        >>> test.phase, len(test.learning_rates) == len(test.losses)
        (1, True)
    """
    from tfft.config.loading.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    from tfft.transfer import lr_range

    return lr_range.find_learning_rate(
        loaded, phase=phase, lowest=lowest, highest=highest, steps=steps, progress=progress
    )
