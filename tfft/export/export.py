"""Exports a run: each file is checked against the Keras model before it is put in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.config.load import load_recipe
from tfft.config.recipe import Recipe
from tfft.errors import ModelFileError, UsageError, nearest
from tfft.evaluate.calibrate import calibrate
from tfft.evaluate.data import recorded_data, targets_of_model
from tfft.export.parity import (
    FLOAT_ROUNDING,
    OTHER_DECODER,
    ParityCheck,
    Reference,
    spread_over_classes,
)
from tfft.export.record import record_export
from tfft.export.saved_model import write_saved_model
from tfft.export.tflite import write_tflite
from tfft.export.versions import next_version
from tfft.runtime.keras_predictor import KerasPredictor
from tfft.runtime.load import load_predictor, read_saved_model_info, read_tflite_info
from tfft.runtime.saved_model_predictor import SavedModelPredictor
from tfft.runtime.tflite_predictor import TflitePredictor
from tfft.system.files import atomic_directory, write_json
from tfft.system.progress import SILENT, Progress

FORMATS = ("savedmodel", "tflite")


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        savedmodel: the version's directory, or None.
        tflite: files by precision.
        checks: figures against the Keras model, by file and signature.
    """

    savedmodel: Path | None
    tflite: dict[str, Path]
    checks: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft export --json`` prints."""
        return {
            "savedmodel": str(self.savedmodel) if self.savedmodel else None,
            "tflite": {precision: str(path) for precision, path in self.tflite.items()},
            "checks": self.checks,
        }


def export(
    run: Path,
    *,
    formats: Sequence[str] | None = None,
    output: Path = Path("saved_models"),
    name: str | None = None,
    calibrated: bool | None = None,
    progress: Progress = SILENT,
) -> Export:
    """Exports a run as SavedModel and TFLite.

    A version's directory is filled beside its place, checked, and renamed: what is under `output`
    is always whole and has passed.

    Args:
        run: a run directory.
        formats: of ``savedmodel`` and ``tflite``; default: the recipe's.
        output: holds ``<name>/<version>/`` and ``<name>/tflite/<version>/``.
        name: of this export; default: the recipe's.
        calibrated: probabilities at the run's temperature, fitted where it is not yet; the files
            are then compared with the calibrated Keras model. Default: the recipe's.
        progress: where the work is reported.

    Raises:
        GateError: A file does not answer as the Keras model does; it is not put in place.
        ModelFileError: `run` is no run with a model.
        UsageError: There is no such format.
        TfftError: The disk is full, or `output` cannot be written to.
    """
    keras, recipe = _opened(Path(run))
    if recipe.export.calibrated if calibrated is None else calibrated:
        keras.info = keras.info.at_temperatures(calibrate(keras, progress).temperatures)
    wanted = tuple(formats or recipe.export.formats)
    for unknown in set(wanted) - set(FORMATS):
        raise UsageError(
            f"no format {unknown!r}; there are {', '.join(FORMATS)}."
            f"{nearest(unknown, FORMATS)} Received: {unknown}"
        )
    name = str(name or recipe.export.name or recipe.name)
    reference = _reference(keras, recipe.export.check_images, progress)
    saved_models, tflite = Path(output) / name, Path(output) / name / "tflite"
    version = str(next_version([saved_models, tflite]))
    checks: dict[str, ParityCheck] = {}
    written: dict[str, Path] = {}
    if "savedmodel" in wanted:
        written["savedmodel"] = saved_models / version
        checks |= _export_saved_model(reference, saved_models / version, progress)
    if "tflite" in wanted:
        file = f"{name}_float32.tflite"
        written["tflite"] = tflite / version / file
        checks |= _export_tflite(reference, tflite / version, file, progress)
    export = Export(
        savedmodel=written.get("savedmodel"),
        tflite={"float32": written["tflite"]} if "tflite" in written else {},
        checks={what: check.to_json() for what, check in checks.items()},
    )
    record_export(Path(run), {"savedmodel": export.savedmodel, **export.tflite})
    return export


def _opened(run: Path) -> tuple[KerasPredictor, Recipe]:
    if not (run / "recipe.yaml").is_file():
        raise ModelFileError(
            f"{run} is no run. Give the directory that `tfft train` made, such as runs/NAME."
        )
    keras = load_predictor(run)
    if not isinstance(keras, KerasPredictor):
        raise ModelFileError(f"{run} is no run: it has no model.keras")
    return keras, load_recipe(run / "recipe.yaml")


def _reference(keras: KerasPredictor, count: int, progress: Progress) -> Reference:
    """The test images, spread over the classes; the validation images where there are none."""
    data = recorded_data(keras.info, progress)
    split = next(name for name in ("test", "validation", "train") if name in data.splits)
    index = data.splits[split]
    index = index.take(spread_over_classes(index.targets["label"], count))
    return Reference(keras, index, targets_of_model(keras.info, index, data.class_names))


def _export_saved_model(
    reference: Reference, directory: Path, progress: Progress
) -> dict[str, ParityCheck]:
    keras = reference.keras
    task = progress.start("SavedModel", 4, "steps")
    checks = {}
    try:
        with atomic_directory(directory) as temporary:
            write_saved_model(keras.model, keras.info, temporary)
            task.advance(1)
            for signature, options in {
                "serving_default": {},
                "serve_uint8": {"rounded": True},
                "serve_bytes": {"from_bytes": True},
            }.items():
                what = f"SavedModel {signature}"
                predictor = SavedModelPredictor(
                    temporary, read_saved_model_info(temporary), signature
                )
                checks[what] = reference.compare(predictor, what, FLOAT_ROUNDING, **options)
                task.advance(1)
            _write_checks(temporary / "assets.extra" / "checks.json", checks)
    finally:
        task.close()
    return checks


def _export_tflite(
    reference: Reference, directory: Path, file: str, progress: Progress
) -> dict[str, ParityCheck]:
    keras = reference.keras
    task = progress.start("TFLite float32", 2, "steps")
    try:
        with atomic_directory(directory) as temporary:
            path = temporary / file
            write_tflite(keras.model, keras.info, path)
            task.advance(1)
            predictor = TflitePredictor(path, read_tflite_info(path))
            checks = {
                "TFLite float32": reference.compare(predictor, "TFLite float32", OTHER_DECODER)
            }
            _write_checks(temporary / "checks.json", checks)
            task.advance(1)
    finally:
        task.close()
    return checks


def _write_checks(path: Path, checks: dict[str, ParityCheck]) -> None:
    write_json(path, {what: check.to_json() for what, check in checks.items()})
