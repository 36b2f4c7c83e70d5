"""The exports of a run: their agreement with the Keras model, their size and their latency."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfft.errors import TfftError
from tfft.runs.exports import recorded_exports
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Predictor
from tfft.system.formats import CHECKS
from tfft.system.progress import Progress

_WARM_UP, _CALLS = 3, 25


@dataclass(frozen=True)
class ExportRow:
    """One export.

    Attributes:
        form: ``SavedModel``, or ``TFLite`` and its precision.
        path: Path of the file or directory.
        megabytes: Size of all its files.
        calibrated: Whether its probabilities are at a temperature.
        images: Number of images that it was compared with the Keras model on; None if not known.
        largest_difference: Largest difference from the Keras model; None if not known.
        metric: Its accuracy, or its head's metric, on those images; None if not known.
        keras: The same metric of the Keras model; None if not known.
        latency_ms: Median latency of one image, from pixels to answer, on this machine.
    """

    form: str
    path: Path
    megabytes: float
    calibrated: bool
    images: int | None
    largest_difference: float | None
    metric: float | None
    keras: float | None
    latency_ms: float


def export_rows(run: Path, progress: Progress) -> list[ExportRow]:
    """Returns the newest export of a run in each form that is still there, with its latency."""
    newest: dict[str, Path] = {}
    for entry in recorded_exports(run):
        newest = {**entry, **newest}
    if not newest:
        return []
    task = progress.start("measuring exports", len(newest), "files")
    rows = []
    try:
        for form, path in sorted(newest.items()):
            try:
                rows.append(_row(form, path))
            except TfftError as error:
                progress.message(f"left out of the report: {error}")
            task.advance(1)
    finally:
        task.close()
    return rows


def _row(form: str, path: Path) -> ExportRow:
    name = "SavedModel" if form == "savedmodel" else f"TFLite {form}"
    signature = "serving_default" if form == "savedmodel" else None
    predictor = load_predictor(path, signature=signature)
    beside = path / "assets.extra" if path.is_dir() else path.parent
    checks = CHECKS.read_if_there(beside / "checks.json")
    check = checks.get(f"{name} {signature}" if signature else name, {})
    metrics = next(iter(check["heads"].values()), {}) if "heads" in check else check
    of_keras = next((key for key in metrics if key.startswith("keras_")), "keras_")
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return ExportRow(
        name,
        path,
        sum(file.stat().st_size for file in files) / 1e6,
        any(head.temperature != 1.0 for head in predictor.info.heads.values()),
        check.get("images"),
        check.get("largest_difference"),
        metrics.get(of_keras.removeprefix("keras_")),
        metrics.get(of_keras),
        _latency_ms(predictor),
    )


def _latency_ms(predictor: Predictor) -> float:
    pixels = predictor.info.pixels
    image = np.full((1, pixels.height, pixels.width, pixels.channels), 127.0, np.float32)
    seconds = []
    for _ in range(_WARM_UP + _CALLS):
        started = time.perf_counter()
        predictor.answers(image)
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds[_WARM_UP:]))
