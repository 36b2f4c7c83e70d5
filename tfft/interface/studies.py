"""The Python interface to several runs: comparisons, searches, advice.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import Overrides, optional_path
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.studies.advise import Advice
    from tfft.studies.report import StudyReport
    from tfft.studies.tune import Tuned


def compare(
    *arms: str | Path,
    recipe: str | Path = "classifier",
    data: str | Path | None = None,
    overrides: Overrides = (),
    seeds: int = 3,
    fractions: Sequence[float] = (1.0,),
    scratch_epochs: int = 60,
    target: float | None = None,
    name: str | None = None,
    progress: Progress = SILENT,
) -> "StudyReport":
    """Compares ways of training on the same data, and says whether transfer helped.

    What was done before in the same study is kept: an interrupted comparison goes on, and one with
    more seeds or fractions adds what is missing.

    Args:
        arms: strategies (as `train.strategy`, or ``scratch``), recipes, directories of finished
            runs.
        recipe: that strategies are applied to.
        data: a directory with one folder a class, or a manifest, instead of the recipes' data.
        overrides: of all recipes.
        seeds: runs of each arm on each part of the data.
        fractions: parts of the training images.
        scratch_epochs: of the arm ``scratch`` on all of the data.
        target: validation top-1 for the time to reach it; default: what every arm reaches.
        name: of the directory in ``studies``.
        progress: where the work is reported.

    Returns:
        Results and verdicts; the study's directory has them as JSON, Markdown and HTML.

    Raises:
        UsageError: Fewer than two arms, or arms that cannot be compared.
        RecipeError: A recipe is wrong.
        DataError: The arms were not tested on the same images.
    """
    from tfft.studies.arms import make_arms
    from tfft.studies.compare import plan_study
    from tfft.studies.report import report_study

    made = make_arms(
        [str(arm) for arm in arms],
        recipe=recipe,
        data=optional_path(data),
        overrides=overrides,
        scratch_epochs=scratch_epochs,
    )
    study = plan_study(made, seeds=seeds, fractions=fractions, name=name)
    return report_study(study, target=target, progress=progress)


def tune(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    trials: int | None = None,
    jobs: int = 1,
    name: str | None = None,
    progress: Progress = SILENT,
) -> "Tuned":
    """Searches values of a recipe on its validation images, and writes the winner as a recipe.

    Args:
        recipe: with or without a `tune` section.
        data: as of `train`.
        overrides: as of `train`.
        trials: in place of `tune.trials`.
        jobs: trials that run at the same time.
        name: of the directory in ``studies``.
        progress: where the work is reported.

    Raises:
        UsageError: The extra `tune` is not installed.
        RecipeError: The recipe is wrong, or a value of its space does not fit it.
    """
    from tfft.config.loading.load import load_recipe
    from tfft.studies import tune as tuning

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    return tuning.tune(loaded, trials=trials, jobs=jobs, name=name, progress=progress)


def advise(
    recipe: str | Path = "classifier",
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "Advice":
    """Recommends a strategy for images, from their number and two probes of the backbone.

    Args:
        recipe: whose backbone and image size are used.
        data: as of `train`.
        overrides: as of `train`.
        progress: where the work is reported.

    Returns:
        The strategy, the reason in a sentence, and the recipe that follows it.

    Raises:
        RecipeError: The recipe is wrong.
        DataError: The images are not what the recipe says.
    """
    from tfft.config.loading.load import load_recipe
    from tfft.studies import advise as advising

    return advising.advise(
        load_recipe(recipe, overrides=overrides, data=optional_path(data)), progress=progress
    )
