"""The Python interface to models: evaluation, calibration, exports, prediction.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.interface.common import Overrides, optional_path
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.evaluation.calibrate import Calibration
    from tfft.evaluation.evaluate import Evaluation
    from tfft.exports.export import Export
    from tfft.reports.report import Report
    from tfft.runtime.predictor import Predictor
    from tfft.runtime.timing import Timing


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
    from tfft.evaluation import evaluate as evaluation

    return evaluation.evaluate(
        model, split=split, data=optional_path(data), batch_size=batch_size, progress=progress
    )


def calibrate(run: str | Path, *, progress: Progress = SILENT) -> "Calibration":
    """Fits the temperature of each classification head of a run on its validation images.

    Raises:
        ModelFileError: `run` is not a run with a head that classifies.
        TfftError: It has no validation images that the model was not trained on.
    """
    from tfft.evaluation.calibrate import calibrate as fit

    return fit(Path(run), progress)


def export(
    run: str | Path,
    *,
    formats: Sequence[str] | None = None,
    output: str | Path = "saved_models",
    name: str | None = None,
    calibrated: bool | None = None,
    tflite: Mapping[str, Any] | None = None,
    overrides: Overrides = (),
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
        overrides: values of the recipe's export section, such as ``{"export.check_images": 2000}``.
        progress: where the work is reported.

    Raises:
        GateError: A file does not agree with the Keras model; it is not put in place. What is in
            place is the error's `result`.
        ModelFileError: `run` is not a run with a model.
    """
    from tfft.exports import export as exporting

    return exporting.export(
        Path(run),
        formats=formats,
        output=Path(output),
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
        ModelFileError: `run` is not a run with a model.
        DataError: Its images are not there any more.
        UsageError: There is no such split, or what draws PNG files is not installed.
        TfftError: `output` or `png` cannot be written to.
    """
    from tfft.reports import report as reporting

    return reporting.make_report(
        Path(run),
        output=optional_path(output),
        split=split,
        png=optional_path(png),
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
        info: of a served model, its run, export or ``tfft.json``: for the place of the images that
            it was trained on, or if it does not say what it is.
        timeout_s: how long one request to a server may take; default: 60.

    Raises:
        ModelFileError: `model` is none of these.
        ServerError: The server does not answer.
    """
    from tfft.runtime.load import load_predictor as load

    return load(model, signature=signature, info=optional_path(info), timeout_s=timeout_s)


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
    from tfft.runtime.timing import time_model
    from tfft.system.machine import processors

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
