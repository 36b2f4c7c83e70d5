"""The Python interface: what the command line does, without it.

Each function imports what it needs when it is called, so that ``import tfft`` is fast and a
function that needs no TensorFlow does not start it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.errors import UsageError
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.backbones.describe import BackboneDescription
    from tfft.config.recipe import Recipe
    from tfft.data.dataset import ImageData
    from tfft.data.load import DataReport
    from tfft.evaluate.calibrate import Calibration
    from tfft.evaluate.evaluate import Evaluation
    from tfft.export.backbone_check import Finding
    from tfft.export.export import Export
    from tfft.export.publish import Published
    from tfft.export.serve_check import ServeCheck
    from tfft.report.report import Report
    from tfft.runtime.predictor import Predictor
    from tfft.runtime.timing import Timing
    from tfft.studies.advise import Advice
    from tfft.studies.report import StudyReport
    from tfft.studies.tune import Tuned
    from tfft.transfer.cache_room import Listed
    from tfft.transfer.lr_range import RangeTest
    from tfft.transfer.plan import FreezePlan
    from tfft.transfer.probe import Probe
    from tfft.transfer.rank import Ranking
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
    measure: bool = False,
    progress: Progress = SILENT,
) -> "FreezePlan":
    """Returns the freeze plan of a recipe; other arguments and errors as of `train`.

    Args:
        measure: estimate the time of each phase, with and without the cache, on a few batches.
    """
    from tfft.config.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=_path(data))
    from tfft.transfer import train as training

    return training.dry_run(loaded, progress, measure=measure)


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
        model: a run directory, a ``.keras`` file, a SavedModel directory, a ``.tflite`` file, the
            URL of a served model, or a predictor.
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
    calibrated: bool | None = None,
    tflite: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> "Export":
    """Exports a run, each file checked against the Keras model before it is put in place.

    Args:
        run: a run directory.
        formats: of ``savedmodel`` and ``tflite``; default: the recipe's.
        output: the directory of all exports.
        name: of this export; default: the recipe's.
        calibrated: probabilities at the temperature fitted on validation images; default: the
            recipe's.
        tflite: values of `export.tflite` in place of the recipe's, such as
            ``{"precisions": ("float32", "int8")}``.
        progress: where the work is reported.

    Raises:
        GateError: A file does not agree with the Keras model; it is not put in place. What is in
            place is the error's `result`.
        ModelFileError: `run` is no run with a model.
    """
    from tfft.export import export as exporting

    return exporting.export(
        Path(run),
        formats=formats,
        output=Path(output),
        name=name,
        calibrated=calibrated,
        tflite=tflite,
        progress=progress,
    )


def calibrate(run: str | Path, *, progress: Progress = SILENT) -> "Calibration":
    """Fits the temperature of each classification head of a run on its validation images.

    Raises:
        ModelFileError: `run` is no run with a head that classifies.
        TfftError: It has no validation images that the model was not trained on.
    """
    from tfft.evaluate.calibrate import calibrate as fit

    return fit(Path(run), progress)


def report(
    run: str | Path,
    *,
    output: str | Path | None = None,
    split: str | None = None,
    png: str | Path | None = None,
    progress: Progress = SILENT,
) -> "Report":
    """Writes the report of a run, one HTML file that needs no other and no network.

    Args:
        run: a run directory.
        output: the file to write; default: ``report.html`` in the run.
        split: ``test`` or ``validation``; default: test, if there are test images.
        png: a directory for the figures as PNG files.
        progress: where the work is reported.

    Raises:
        ModelFileError: `run` is no run with a model.
        DataError: Its images are not there any more.
        UsageError: There is no such split, or what draws PNG files is not installed.
    """
    from tfft.report import report as reporting

    return reporting.make_report(
        Path(run), output=_path(output), split=split, png=_path(png), progress=progress
    )


def publish(
    model: str | Path,
    base_path: str | Path,
    *,
    version: int | None = None,
    progress: Progress = SILENT,
) -> "Published":
    """Copies a SavedModel to where a server polls; the server never sees a part of it.

    Args:
        model: a SavedModel's directory, or that of its versions (the newest is taken).
        base_path: the directory that the server polls.
        version: a number that is not taken; default: the model's own or the next free one.
        progress: where the work is reported.

    Raises:
        ModelFileError: `model` is no SavedModel of tfft's.
        UsageError: The version is there already.
    """
    from tfft.export import publish as publishing

    return publishing.publish(Path(model), Path(base_path), version=version, progress=progress)


def serve_check(
    model: str,
    against: str | Path,
    *,
    signatures: Sequence[str] | None = None,
    data: str | Path | None = None,
    split: str = "test",
    images: int = 256,
    tolerance: float = 1e-3,
    timeout_s: float | None = None,
    progress: Progress = SILENT,
) -> "ServeCheck":
    """Compares the answers of a served model with those of its run.

    Args:
        model: URL of the served model.
        against: the run, or any other MODEL.
        signatures: what is asked; default: ``serve_bytes`` and ``serving_default``.
        data: a directory with one folder a class, or a manifest; default: the recorded data.
        split: ``train``, ``validation``, ``test`` or ``all``.
        images: number of images, spread over the classes.
        tolerance: the largest difference of an answer that `ServeCheck.require` passes.
        timeout_s: how long one request may take; default: 60.
        progress: where the work is reported.

    Raises:
        ModelFileError: The server has no such model, or `against` is none.
        ServerError: The server does not answer.
    """
    from tfft.export import serve_check as checking

    return checking.serve_check(
        model,
        against,
        signatures=signatures or checking.CHECKED_SIGNATURES,
        data=_path(data),
        split=split,
        images=images,
        tolerance=tolerance,
        timeout_s=timeout_s,
        progress=progress,
    )


def load_predictor(
    model: str | Path,
    *,
    signature: str | None = None,
    info: str | Path | None = None,
    timeout_s: float | None = None,
) -> "Predictor":
    """Loads a MODEL for prediction; a ``.tflite`` file or an ``http`` URL without TensorFlow.

    Args:
        model: a run directory, a ``.keras`` file, a SavedModel directory, a ``.tflite`` file or the
            URL of a served model.
        signature: of a SavedModel; default: the one that takes encoded images.
        info: of a served model that does not say what it is, its run, export or ``tfft.json``.
        timeout_s: how long one request to a server may take; default: 60.

    Raises:
        ModelFileError: `model` is none of these.
        ServerError: The server does not answer.
    """
    from tfft.runtime.load import load_predictor as load

    return load(model, signature=signature, info=_path(info), timeout_s=timeout_s)


def benchmark(
    models: Sequence[str | Path],
    *,
    batch_sizes: Sequence[int] = (1,),
    threads: Sequence[int] | None = None,
    seconds: float = 2.0,
    signature: str | None = None,
    progress: Progress = SILENT,
) -> "list[Timing]":
    """Measures how fast models answer, each in a process of its own for each number of threads.

    Args:
        models: MODELs; one on a server is asked over the network, and computes with what threads it
            has.
        batch_sizes: images in a call.
        threads: numbers of threads; default: 1 and all processors.
        seconds: of warm calls for each batch size.
        signature: of a SavedModel; default: ``serving_default``.
        progress: where the work is reported.

    Raises:
        UsageError: A model cannot be loaded.
    """
    from tfft.runtime.tflite_runner import processors
    from tfft.runtime.timing import time_model

    here: Sequence[int | None] = sorted(set(threads or (1, processors())))
    wanted = [(m, n) for m in models for n in ([None] if "://" in str(m) else here)]
    task = progress.start("benchmark", len(wanted), "processes")
    timings = []
    try:
        for model, number in wanted:
            timings.append(
                time_model(
                    model,
                    batch_sizes=batch_sizes,
                    threads=number,
                    seconds=seconds,
                    signature=signature,
                )
            )
            task.advance(1)
    finally:
        task.close()
    return timings


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


def probe(
    source: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    head: str | None = None,
    plot: str | Path | None = None,
    progress: Progress = SILENT,
) -> "Probe":
    """Measures a linear classifier at the end of each block of a backbone.

    Args:
        source: a recipe, probed with the weights that it starts from, or a run directory, probed
            with those that it was trained to; a run takes no data and overrides.
        data: as of `train`; overrides: likewise.
        head: whose classes; default: the first one that classifies.
        plot: file to write a picture to, ``.png``, ``.svg`` or ``.pdf``.
        progress: where the work is reported.

    Raises:
        UsageError: There is no such head, or the picture cannot be made.
        DataError: There are no validation images.
        RecipeError, BackboneError, ModelFileError: As `train` and `resume`.
    """
    is_run = (Path(source) / "run.json").is_file()
    if is_run and (data is not None or overrides):
        raise UsageError("a run is probed on its own data: it takes no --data and no --set.")
    recipe = None if is_run else _recipe(source, data, overrides)
    from tfft.transfer.probe import probe_recipe, probe_run
    from tfft.transfer.probe_plot import require_plot, write_plot

    if plot is not None:
        require_plot(Path(plot))
    if recipe is None:
        found = probe_run(Path(source), head, progress)
    else:
        found = probe_recipe(recipe, head, progress)
    if plot is not None:
        write_plot(found, Path(plot))
    return found


def cache_path() -> Path:
    """Returns the directory of the cache of features and activations."""
    from tfft.transfer.cache import activation_directory

    return activation_directory()


def cache_entries() -> "list[Listed]":
    """Returns what lies in the cache, those entries first that were used last."""
    from tfft.transfer.cache_room import list_entries

    return list_entries(cache_path())


def clean_cache(
    *, max_gb: float | None = None, older_than_s: float | None = None
) -> "list[Listed]":
    """Removes entries of the cache that are not in use, and what killed runs left half written.

    Args:
        max_gb: what may stay; those go first that were not used for longest.
        older_than_s: seconds since the last use after which an entry goes.

    Returns:
        The entries that were removed.
    """
    from tfft.transfer.cache_room import remove_entries, remove_incomplete

    remove_incomplete(cache_path())
    unbounded = float("inf")
    return remove_entries(
        cache_path(),
        max_bytes=unbounded if max_gb is None else max_gb * 1e9,
        older_than_s=unbounded if older_than_s is None else older_than_s,
    )


def rank(
    backbones: Sequence[str],
    *,
    recipe: str | Path = "classifier",
    data: str | Path | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "Ranking":
    """Ranks backbones on images by a quick linear probe, with LogME and the H-score beside it.

    Args:
        backbones: names (``EfficientNetLite0``, ``MobileNet:alpha=0.25,weights=FILE``), run
            directories, ``keras_hub:PRESET``, or recipes, whose backbone is taken.
        recipe: whose images and pixels are used.
        data: as of `train`; overrides: likewise.
        progress: where the work is reported.

    Raises:
        BackboneError: A name stands for no backbone, or its weights are not to be had.
        DataError: The images are not what the recipe says.
    """
    from tfft.config.backbone_text import parse_backbones
    from tfft.config.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides, data=_path(data))
    named = parse_backbones(backbones, _path(data))
    from tfft.transfer.rank import rank as ranking

    return ranking(loaded, named, progress)


def describe_backbone(
    name_or_handle: str,
    *,
    size_px: int | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "BackboneDescription":
    """Builds a backbone and says what it is.

    Args:
        name_or_handle: a name of the catalog, or the path or address of a SavedModel.
        size_px: height and width of its images; default: its own.
        overrides: of the recipe's ``backbone`` section: ``{"backbone.output": "features"}``.
        progress: told of a download.

    Raises:
        BackboneError: There is no such backbone, or it is not to be trusted.
    """
    from tfft.config.backbone import backbone_config

    config = backbone_config(name_or_handle, overrides)
    from tfft.backbones.build import build_backbone
    from tfft.backbones.describe import describe

    return describe(build_backbone(config, size_px, progress=progress))


def check_backbone(
    name_or_handle: str,
    *,
    size_px: int | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "tuple[Finding, ...]":
    """Tries out a backbone: a forward pass, training steps, saving, loading and exports.

    Arguments and errors as of `describe_backbone`.
    """
    from tfft.config.backbone import backbone_config

    config = backbone_config(name_or_handle, overrides)
    from tfft.backbones.build import build_backbone
    from tfft.export.backbone_check import check_backbone as check

    return check(build_backbone(config, size_px, progress=progress), progress)


def _recipe(recipe: str | Path, data: str | Path | None, overrides: Overrides) -> "Recipe":
    from tfft.config.load import load_recipe

    path = Path(recipe)
    if data is None and (path.is_dir() or path.suffix == ".csv"):
        return load_recipe("classifier", overrides=overrides, data=path)
    return load_recipe(recipe, overrides=overrides, data=_path(data))


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
