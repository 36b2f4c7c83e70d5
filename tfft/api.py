"""The Python interface: what the command line does, without it.

Each function imports what it needs when it is called, so that ``import tfft`` is fast and a
function that needs no TensorFlow does not start it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.config.recipe import Recipe
    from tfft.data.dataset import ImageData
    from tfft.data.load import DataReport
    from tfft.evaluate.evaluate import Evaluation
    from tfft.export.export import Export
    from tfft.runtime.predictor import Predictor
    from tfft.studies.advise import Advice
    from tfft.studies.report import StudyReport
    from tfft.studies.tune import Tuned
    from tfft.transfer.lr_range import RangeTest
    from tfft.transfer.plan import FreezePlan
    from tfft.transfer.run import Run

# Values by dotted path, or the strings that `--set` takes.
Overrides = Mapping[str, Any] | Sequence[str]


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
    from tfft.config.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=_path(data))
    from tfft.transfer import train as training

    return training.train(loaded, run=_path(run), progress=progress)


def resume(run: str | Path, *, progress: Progress = SILENT) -> "Run":
    """Goes on with a run that was interrupted, from its last checkpoint.

    Raises:
        ModelFileError: `run` is no run directory.
        TfftError: As `train`.
    """
    from tfft.transfer import train as training

    return training.resume(Path(run), progress=progress)


def plan(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "FreezePlan":
    """Returns the freeze plan of a recipe; arguments and errors as of `train`."""
    from tfft.config.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=_path(data))
    from tfft.transfer import train as training

    return training.dry_run(loaded, progress)


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
    from tfft.config.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=_path(data))
    from tfft.transfer import lr_range

    return lr_range.find_learning_rate(
        loaded, phase=phase, lowest=lowest, highest=highest, steps=steps, progress=progress
    )


def evaluate(
    model: "str | Path | Predictor",
    *,
    split: str = "test",
    data: str | Path | None = None,
    batch_size: int = 32,
    progress: Progress = SILENT,
) -> "Evaluation":
    """Evaluates a MODEL on a split of the data that it was trained on, or of other data.

    Args:
        model: a run directory, a ``.keras`` file, a SavedModel directory, a ``.tflite`` file, or
            a predictor.
        split: ``train``, ``validation`` or ``test``.
        data: a directory with one folder a class, or a manifest; default: the recorded data.
        batch_size: images at a time.
        progress: where the work is reported.

    Raises:
        ModelFileError: `model` is none of these.
        DataError: The data are not there, or their classes are not the model's.
    """
    from tfft.evaluate import evaluate as evaluation

    return evaluation.evaluate(
        model, split=split, data=_path(data), batch_size=batch_size, progress=progress
    )


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
        data=_path(data),
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
    name: str | None = None,
    progress: Progress = SILENT,
) -> "Tuned":
    """Searches values of a recipe on its validation images, and writes the winner as a recipe.

    Args:
        recipe: with or without a `tune` section.
        data: as of `train`.
        overrides: as of `train`.
        trials: in place of `tune.trials`.
        name: of the directory in ``studies``.
        progress: where the work is reported.

    Raises:
        UsageError: The extra `tune` is not installed.
        RecipeError: The recipe is wrong, or a value of its space does not fit it.
    """
    from tfft.config.load import load_recipe
    from tfft.studies import tune as tuning

    loaded = load_recipe(recipe, overrides=overrides, data=_path(data))
    return tuning.tune(loaded, trials=trials, name=name, progress=progress)


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
    from tfft.config.load import load_recipe
    from tfft.studies import advise as advising

    return advising.advise(
        load_recipe(recipe, overrides=overrides, data=_path(data)), progress=progress
    )


def export(
    run: str | Path,
    *,
    formats: Sequence[str] | None = None,
    output: str | Path = "saved_models",
    name: str | None = None,
    progress: Progress = SILENT,
) -> "Export":
    """Exports a run, each file checked against the Keras model before it is put in place.

    Args:
        run: a run directory.
        formats: of ``savedmodel`` and ``tflite``; default: the recipe's.
        output: the directory of all exports.
        name: of this export; default: the recipe's.
        progress: where the work is reported.

    Raises:
        GateError: A file does not agree with the Keras model; it is not put in place.
        ModelFileError: `run` is no run with a model.
    """
    from tfft.export import export as exporting

    return exporting.export(
        Path(run), formats=formats, output=Path(output), name=name, progress=progress
    )


def load_predictor(model: str | Path, *, signature: str | None = None) -> "Predictor":
    """Loads a MODEL for prediction; a ``.tflite`` file without importing TensorFlow.

    Args:
        model: a run directory, a ``.keras`` file, a SavedModel directory or a ``.tflite`` file.
        signature: of a SavedModel; default: the one that takes encoded images.

    Raises:
        ModelFileError: `model` is none of these.
    """
    from tfft.runtime.load import load_predictor as load

    return load(model, signature=signature)


def prepare_data(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "ImageData":
    """Prepares and scans the images of a recipe, or of a directory; instant the second time.

    Raises:
        DataError: The images are not what the recipe says; every bad file is named.
    """
    from tfft.config.model import targets_of
    from tfft.data.load import load_data

    loaded = _recipe(recipe, data, overrides)
    return load_data(loaded.data, progress, targets_of(loaded.heads))


def check_data(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "DataReport":
    """Scans the images of a recipe, or of a directory, and reports counts and every bad file."""
    from tfft.config.model import targets_of
    from tfft.data.load import check_data as check

    loaded = _recipe(recipe, data, overrides)
    return check(loaded.data, progress, targets_of(loaded.heads))


def _recipe(recipe: str | Path, data: str | Path | None, overrides: Overrides) -> "Recipe":
    from tfft.config.load import load_recipe

    path = Path(recipe)
    if data is None and (path.is_dir() or path.suffix == ".csv"):
        return load_recipe("classifier", overrides=overrides, data=path)
    return load_recipe(recipe, overrides=overrides, data=_path(data))


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
