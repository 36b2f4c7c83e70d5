"""The Python interface to several runs: comparisons, searches, advice.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import optional_path
from tfft.system.notebook import NOTEBOOK
from tfft.system.progress import Progress
from tfft.untrusted.operations import also_allowing

if TYPE_CHECKING:
    from tfft.config.loading.overrides import Overrides
    from tfft.evaluation.compare_models import ModelComparison
    from tfft.runtime.predictor import Predictor
    from tfft.studies.advise import Advice
    from tfft.studies.report import StudyReport
    from tfft.studies.tune import Tuned


def compare(
    *arms: str | Path,
    recipe: str | Path = "classifier",
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    seeds: int = 3,
    fractions: Sequence[float] = (1.0,),
    scratch_epochs: int = 60,
    target: float | None = None,
    name: str | None = None,
    progress: Progress = NOTEBOOK,
) -> "StudyReport":
    """Compares ways of training on the same data, and says whether transfer helped.

    What was done before in the same study is kept: an interrupted comparison goes on, and one with
    more seeds or fractions adds what is missing. Each training has a process of its own.

    Args:
        arms: Two or more strategies (as `train.strategy`, or ``scratch``), recipes, or directories
            of finished runs.
        recipe: Recipe that strategies are applied to: name or path; default: ``classifier``.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipes name; default: the recipes'.
        overrides: Values in place of the recipes': ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        seeds: Number of runs of each arm on each fraction; default: 3.
        fractions: Shares of the training images, above 0 and at most 1; default: all of them.
        scratch_epochs: Epochs of the arm ``scratch`` on all of the data; default: 60.
        target: Validation top-1 for the time until it is reached; default: the highest that every
            arm reaches.
        name: Name of the study's directory in ``studies``; default: made of the arms.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Results and verdicts; the study's directory has them as JSON, Markdown and HTML.

    Raises:
        UsageError: There are fewer than two arms, they cannot be compared, or no run finished.
        RecipeError: A recipe is wrong; the message names every fault.
        DataError: The arms were not tested on the same images.

    Example:
        >>> import tfft
        >>> study = tfft.compare("head_only", "scratch", data="photos/", seeds=1, scratch_epochs=1)
        >>> [row.arm for row in study.results.rows]
        ['head_only', 'scratch']
        >>> print(study.verdicts[0].text)
        on all training data: ...
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


def compare_models(
    old: "str | Path | Predictor",
    new: "str | Path | Predictor",
    *,
    data: str | Path | None = None,
    split: str | None = None,
    overrides: "Overrides" = (),
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "ModelComparison":
    """Compares two models in pairs, on images that neither was trained on.

    Where it is not known what a model was trained on, as of most servers, the verdict says so.
    Images of classes that only one of the models knows are told apart: they do not count for the
    verdict. `ModelComparison.require` is a gate for a pipeline that promotes models.

    Args:
        old: The model in use: a run directory, a ``.keras`` file, a SavedModel directory, a
            ``.tflite`` file, the URL of a served model, or a predictor.
        new: The model that may take its place, likewise.
        data: A directory with one folder a class, or a CSV manifest; default: the data that the new
            model was trained on, or else the old one's.
        split: ``train``, ``validation``, ``test``, or ``all`` of them; default: ``test``, and all
            of other data that have no splits.
        overrides: Values of the `data` section by which `data` are read:
            ``{"data.on_bad_image": "skip"}``; without `data`, ``data.labels`` alone; default: none.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Of each head with classes, the difference in top-1 with its 95 % interval and McNemar's
        test, what is gained and lost by class and by image, and metrics; latency and size.

    Raises:
        ModelFileError: One is no model, or without `data` neither says where its images are.
        DataError: There are no such images, or none that neither model was trained on.
        UsageError: The models have no head with classes in common.
        ServerError: The server does not answer.

    Source: McNemar 1947 for the test; Tango 1998 for the interval.

    Example:
        >>> import tfft
        >>> small = tfft.train("classifier", data="photos/", overrides={"data.fraction": 0.3})
        >>> comparison = tfft.compare_models(small.path, "runs/classifier")
        >>> comparison.heads["label"].verdict
        'not shown'
        >>> comparison.require(max_loss=0.5)
    """
    from tfft.evaluation import compare_models as comparing

    with also_allowing(allow_ops):
        return comparing.compare_models(
            old,
            new,
            data=optional_path(data),
            split=split,
            overrides=overrides,
            progress=progress,
        )


def tune(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    trials: int | None = None,
    jobs: int = 1,
    name: str | None = None,
    progress: Progress = NOTEBOOK,
) -> "Tuned":
    """Searches values of a recipe on its validation images, and writes the winner as a recipe.

    An interrupted search goes on. Needs the extra `tune`.

    Args:
        recipe: Name of a bundled recipe, or path of a recipe file; what is searched is its `tune`
            section, or a space that fits its phases.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        trials: Number of trials; default: the recipe's `tune.trials`.
        jobs: Number of trials that run at the same time; default: 1.
        name: Name of the study's directory in ``studies``; default: made of the recipe.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The best values, whether they are better than chance explains, and the winner's file.

    Raises:
        UsageError: The extra `tune` is not installed, or the study is one of another recipe or is
            being run.
        RecipeError: The recipe is wrong, or a value of its space does not fit it.
        DataError: There are no validation images.
        TfftError: The recipe as it is does not run.

    Example:
        >>> import tfft
        >>> tuned = tfft.tune("classifier", data="photos/", trials=1, name="classifier")
        >>> tuned.recipe
        'studies/classifier/best.yaml'
        >>> tuned.better
        False
    """
    from tfft.config.loading.load import load_recipe
    from tfft.studies import tune as tuning

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    return tuning.tune(loaded, trials=trials, jobs=jobs, name=name, progress=progress)


def advise(
    recipe: str | Path = "classifier",
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    progress: Progress = NOTEBOOK,
) -> "Advice":
    """Recommends a strategy for images, from what a sample of them shows.

    A head is solved on the features of the backbone as they are; where it leaves something to gain,
    everything is trained from there, briefly, to see whether fine-tuning pays. It costs less than
    to train what is recommended.

    Args:
        recipe: Recipe whose backbone and image size are used: name or path; default:
            ``classifier``.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The strategy, the reason, what was measured, and the recipe that follows it.

    Raises:
        RecipeError: The recipe is wrong, has not exactly one head, which classifies, or has no
            validation images.
        DataError: The images are not what the recipe says.

    Example:
        >>> from pathlib import Path
        >>> import tfft
        >>> advice = tfft.advise("classifier", data="photos/")
        >>> advice.strategy
        'head_only'
        >>> advice.write(Path("advised.yaml"))
    """
    from tfft.config.loading.load import load_recipe
    from tfft.studies import advise as advising

    return advising.advise(
        load_recipe(recipe, overrides=overrides, data=optional_path(data)), progress=progress
    )
