"""The Python interface to models: evaluation, calibration, exports, prediction.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.interface.common import optional_path
from tfft.system.notebook import NOTEBOOK
from tfft.system.paths import expanded
from tfft.system.progress import Progress
from tfft.untrusted.operations import also_allowing

if TYPE_CHECKING:
    from tfft.config.loading.overrides import Overrides
    from tfft.evaluation.calibrate import Calibration
    from tfft.evaluation.evaluate import Evaluation
    from tfft.exports.export import Export
    from tfft.reports.report import Report
    from tfft.runtime.predictor import Predictor
    from tfft.runtime.timing import Timing


def evaluate(
    model: "str | Path | Predictor",
    *,
    split: str | None = None,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    classes: Sequence[str] = (),
    unlike: Sequence[str | Path] = (),
    batch_size: int = 32,
    csv: str | Path | None = None,
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "Evaluation":
    """Evaluates a MODEL on a split of the data that it was trained on, or on other data.

    The images are decoded by the model's own client. The metrics of a run on its own data are also
    written to its ``evaluation/<split>.json``.

    Args:
        model: A run directory, a ``.keras`` file, a SavedModel directory, a ``.tflite`` file, the
            URL of a served model, or a predictor.
        split: ``train``, ``validation``, ``test``, or ``all`` of them; default: ``test``, and all
            of other data that have no splits.
        data: A directory with one folder a class, or a CSV manifest; default: the recorded data.
        overrides: Values of the `data` section by which `data` are read:
            ``{"data.on_bad_image": "skip"}``; without `data`, ``data.labels`` alone; default: none.
        classes: Classes or labels whose ``curves`` over all thresholds are wanted; default: none.
        unlike: Folders of images that are none of what the model knows; default: none.
        batch_size: Number of images at a time; default: 32.
        csv: A CSV file for what is said of each image, which is replaced; default: none.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The metrics of each head, with 95 % intervals, and what it changes that the model is unsure.

    Raises:
        ModelFileError: `model` is none of these.
        DataError: The images are not there, or have no such split, or classes that are not known.
        RecipeError: An override is not of the `data` section, or its value is wrong.
        UsageError: An argument does not go with the model or the data, or names no class.
        ServerError: The server does not answer.

    Example:
        >>> import tfft
        >>> evaluation = tfft.evaluate("runs/classifier")
        >>> evaluation
        <Evaluation runs/classifier on test, 11 images: label top1 1.000>
        >>> evaluation.metrics["label"]["top1"]
        1.0
    """
    from tfft.evaluation import evaluate as evaluation

    with also_allowing(allow_ops):
        return evaluation.evaluate(
            model,
            split=split,
            data=optional_path(data),
            overrides=overrides,
            classes=classes,
            unlike=[expanded(folder) for folder in unlike],
            batch_size=batch_size,
            csv=optional_path(csv),
            progress=progress,
        )


def calibrate(
    run: str | Path,
    *,
    at_precision: float | None = None,
    at_recall: float | None = None,
    label: str | None = None,
    head: str | None = None,
    remove_point: bool = False,
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "Calibration":
    """Fits the temperature of each classification head of a run on its validation images.

    Kept in the run's ``calibration.json``; `export` uses it with ``calibrated=True``. The class
    that the model names does not change, only how sure it is.

    With `at_precision` or `at_recall` it also chooses an operating point: the threshold of a class
    that matters. The model's description and every export carry it from then on, `evaluate` says
    what it gives on other images, and `predict` answers by it.

    Args:
        run: A run directory.
        at_precision: Choose the threshold of `label` with the highest recall among those with at
            least this precision on the validation images; default: none is chosen.
        at_recall: Choose the one with the highest precision among those with at least this recall;
            default: none is chosen.
        label: Class or label that has the operating point.
        head: Head that it is of; default: the only one with such a class.
        remove_point: Take back the operating point of `label`, or without it all of them.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The temperature of each head, with loss and calibration error before and after, and the
        operating points.

    Raises:
        GateError: No threshold reaches what was asked for; nothing was changed.
        ModelFileError: `run` is not a run with a head for classes or labels.
        TfftError: There are no validation images that the model was not trained on.
        UsageError: There is no such class, or the arguments contradict each other.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".

    Example:
        >>> import tfft
        >>> calibration = tfft.calibrate("runs/classifier")
        >>> calibration.examples, list(calibration.temperatures)
        (3, ['label'])
    """
    from tfft.evaluation.calibrate import calibrate as fit
    from tfft.evaluation.operating_points import asked_point

    asked = asked_point(at_precision, at_recall, label, remove=remove_point)
    with also_allowing(allow_ops):
        return fit(
            expanded(run),
            progress,
            asked=asked,
            head=head,
            remove=(label or "") if remove_point else None,
        )


def export(
    run: str | Path,
    *,
    formats: Sequence[str] | None = None,
    output: str | Path = "saved_models",
    name: str | None = None,
    calibrated: bool | None = None,
    tflite: Mapping[str, Any] | None = None,
    overrides: "Overrides" = (),
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "Export":
    """Exports a run as SavedModel and TFLite files, each compared with the Keras model.

    A file that does not agree with the Keras model is not put in place.

    Args:
        run: A run directory.
        formats: ``savedmodel``, ``tflite`` or both; default: the recipe's.
        output: Directory of all exports; default: ``saved_models``. It gets ``<name>/<version>/``
            and ``<name>/tflite/<version>/``.
        name: Name of the export; default: the recipe's.
        calibrated: Give probabilities at the temperature fitted on validation images; default: the
            recipe's `export.calibrated`.
        tflite: Values in place of the recipe's `export.tflite`: ``{"precisions": ("float32",
            "int8")}``; default: none.
        overrides: Values in place of the recipe's `export`: ``{"export.check_images": 2000}``;
            default: none.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Where the files lie, and how each compares with the Keras model.

    Raises:
        GateError: A file does not agree with the Keras model. The error's `result` is the `Export`
            of what is in place, or None.
        ModelFileError: `run` is not a run with a model.
        UsageError: There is no such format or key.
        TfftError: The disk is full, or `output` cannot be written to.

    Example:
        >>> import tfft
        >>> export = tfft.export("runs/classifier")
        >>> print(export)
        SavedModel, TFLite float32
          SavedModel: saved_models/classifier/1
          TFLite float32: saved_models/classifier/tflite/1/classifier_float32.tflite
    """
    from tfft.exports import export as exporting

    with also_allowing(allow_ops):
        return exporting.export(
            expanded(run),
            formats=formats,
            output=expanded(output),
            name=name,
            calibrated=calibrated,
            tflite=tflite,
            overrides=overrides,
            progress=progress,
        )


def report(
    run: str | Path,
    *,
    output: str | Path | None = None,
    split: str | None = None,
    png: str | Path | None = None,
    classes: Sequence[str] = (),
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "Report":
    """Writes the report of a run: one HTML file that needs no other file and no network.

    The page holds photos of the data.

    Args:
        run: A run directory.
        output: The HTML file to write; default: ``report.html`` in the run.
        split: ``test`` or ``validation``; default: ``test``, or ``validation`` without test images.
        png: Directory for the page's plots as PNG files (extra `plots`); default: none are written.
        classes: Classes or labels that matter, whose precision-recall and ROC curves are drawn;
            default: those with an operating point, or else the one with the lowest average
            precision.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Where the page lies, its size, and the seconds that it took.

    Raises:
        ModelFileError: `run` is not a run with a model.
        DataError: The images are not there any more.
        UsageError: There is no such split or class, or what draws PNG files is not installed.
        TfftError: `output` or `png` cannot be written to.

    Example:
        >>> import tfft
        >>> report = tfft.report("runs/classifier")
        >>> str(report.path), report.split
        ('runs/classifier/report.html', 'test')
    """
    from tfft.reports import report as reporting

    with also_allowing(allow_ops):
        return reporting.make_report(
            expanded(run),
            output=optional_path(output),
            split=split,
            png=optional_path(png),
            classes=classes,
            progress=progress,
        )


def load_predictor(
    model: str | Path,
    *,
    signature: str | None = None,
    info: str | Path | None = None,
    timeout_s: float | None = None,
    allow_ops: Sequence[str] = (),
    engine: str | None = None,
) -> "Predictor":
    """Loads a MODEL for prediction; without TensorFlow, unless it is a SavedModel or not converted.

    A run or a ``.keras`` file answers through the TFLite file that it was converted to, which is
    kept in the cache, if its answers agree with those of Keras within 1e-4. It is converted at the
    end of its training, or when it is loaded for the first time.

    A SavedModel is a program: before it is loaded, alone or within a ``.keras`` file, its graph is
    looked through, and refused if it has operations that tfft does not know as harmless.

    Args:
        model: A run directory, a ``.keras`` file, a SavedModel directory, a ``.tflite`` file, the
            URL of a served model.
        signature: Signature of a SavedModel that answers; default: ``serve_bytes``, which takes
            image files.
        info: A run, an export or a ``tfft.json`` that describes a served model, where the server
            does not, or for the place of its images; default: what the server says.
        timeout_s: Seconds that one request to a server may take; default: 60.
        allow_ops: Names of operations that a SavedModel may have all the same, as its refusal names
            them (``("ReadFile",)``); default: none.
        engine: What answers for a run or a ``.keras`` file: ``auto``, or ``keras`` for Keras
            itself; default: the environment variable ``TFFT_ENGINE``, or else ``auto``.

    Returns:
        A predictor; the methods of `Predictor` are the same for every kind of model.

    Raises:
        ModelFileError: `model` is none of these, cannot be loaded, or has operations that are not
            allowed.
        UsageError: An argument does not go with this kind of model, or there is no such engine.
        ServerError: The server does not answer.

    Example:
        >>> from pathlib import Path
        >>> import tfft
        >>> predictor = tfft.load_predictor("runs/classifier")
        >>> photo = Path("photos/red/5.png").read_bytes()
        >>> probabilities = predictor.answers_from_bytes([photo])["label"]  # float32 [1, 3]
        >>> predictor.info.heads["label"].class_names[probabilities[0].argmax()]
        'red'
    """
    from tfft.runtime.load import load_predictor as load

    with also_allowing(allow_ops):
        return load(
            model,
            signature=signature,
            info=optional_path(info),
            timeout_s=timeout_s,
            engine=engine,
        )


def benchmark(
    models: Sequence[str | Path],
    *,
    batch_sizes: Sequence[int] = (1,),
    threads: Sequence[int] | None = None,
    seconds: float = 2.0,
    signature: str | None = None,
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "list[Timing]":
    """Measures how fast models answer, in a process of its own for each number of threads.

    The images are random pixels; decoding is not measured.

    Args:
        models: MODELs, as `load_predictor` takes them. One on a server is asked over the network
            and computes with the server's threads.
        batch_sizes: Numbers of images in a call; default: 1.
        threads: Numbers of threads; default: 1, and as many as there are processors.
        seconds: Seconds of warm calls for each batch size; default: 2.
        signature: Signature of a SavedModel that takes pixels; default: ``serving_default``.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        A measurement for each model and number of threads, times in seconds and milliseconds.

    Raises:
        UsageError: A model cannot be loaded, or the signature takes no pixels.
        TfftError: A measuring process ended without an answer.

    Example:
        >>> import tfft
        >>> model = "saved_models/classifier/tflite/1/classifier_float32.tflite"
        >>> timing = tfft.benchmark([model], threads=[1], seconds=0.1)[0]
        >>> timing.batches[0].p50_ms > 0
        True
    """
    from tfft.runtime.load import read_model_info
    from tfft.runtime.served.address import is_address
    from tfft.runtime.timing import time_model
    from tfft.system.machine import processors

    for model in models:  # before minutes are spent on others
        if not is_address(str(model)):
            read_model_info(expanded(model))
    here: Sequence[int | None] = sorted(set(threads or (1, processors())))
    wanted = [(m, n) for m in models for n in ([None] if is_address(str(m)) else here)]
    task = progress.start("benchmark", len(wanted), "processes")
    timings = []
    try:
        for model, number in wanted:
            with also_allowing(allow_ops):
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
