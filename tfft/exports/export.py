"""Exports a run: each file is checked against the Keras model before it is put in place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfft.config.loading.load import load_recipe
from tfft.config.loading.overrides import Overrides, parse_overrides
from tfft.config.recipe import ExportConfig, Recipe, TfliteConfig
from tfft.data.index import ImageIndex
from tfft.errors import GateError, ModelFileError, UsageError, nearest
from tfft.evaluation.calibrate import calibrate
from tfft.evaluation.data import recorded_data, targets_of_model
from tfft.exports.parity import (
    SAVED_MODEL_TOLERANCE,
    ParityCheck,
    Reference,
    require_figures,
    spread_over_classes,
)
from tfft.exports.saved_model import read_labels, write_saved_model
from tfft.exports.serving.bundle import write_bundle
from tfft.exports.serving.warm_up import write_warm_up
from tfft.exports.tflite.family import TfliteFamily, export_tflite
from tfft.exports.versions import next_version, saved_versions
from tfft.runs.exports import record_export
from tfft.runtime.info import ModelInfo
from tfft.runtime.keras_predictor import KerasPredictor
from tfft.runtime.load import load_predictor, read_saved_model_info
from tfft.runtime.local_info import keep_local_info
from tfft.runtime.saved_model_predictor import SavedModelPredictor
from tfft.system.files import atomic_directory, require_writable, write_json
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted

FORMATS = ("savedmodel", "tflite")


@dataclass(frozen=True, repr=False)
class Export(Readable):
    """What was written.

    Attributes:
        savedmodel: the version's directory, or None.
        tflite: files by precision.
        checks: figures against the Keras model, by file and signature.
        refused: TFLite files that are not in place, by precision, and why.
    """

    savedmodel: Path | None
    tflite: dict[str, Path]
    checks: dict[str, dict[str, Any]]
    refused: dict[str, str]

    def lines(self) -> list[str]:
        files = {"SavedModel": self.savedmodel} if self.savedmodel else {}
        files |= {f"TFLite {precision}": path for precision, path in self.tflite.items()}
        refused = f", {counted(len(self.refused), 'file')} refused" if self.refused else ""
        return [
            f"{', '.join(files) or 'nothing in place'}{refused}",
            *(f"{name}: {path}" for name, path in files.items()),
            *(f"refused: {reason.splitlines()[0]}" for reason in self.refused.values()),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft export --json`` prints."""
        return {
            "savedmodel": str(self.savedmodel) if self.savedmodel else None,
            "tflite": {precision: str(path) for precision, path in self.tflite.items()},
            "checks": self.checks,
            "refused": self.refused,
        }


def export(
    run: Path,
    *,
    formats: Sequence[str] | None = None,
    output: Path = Path("saved_models"),
    name: str | None = None,
    calibrated: bool | None = None,
    tflite: Mapping[str, Any] | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> Export:
    """Exports a run as SavedModel and TFLite.

    A version's directory is filled beside its place, checked, and renamed: what is under `output`
    is always whole and has passed.

    Args:
        run: a run directory.
        formats: of ``savedmodel`` and ``tflite``; default: the recipe's.
        output: holds ``<name>/<version>/``, ``<name>/serving/`` and ``<name>/tflite/<version>/``.
        name: of this export; default: the recipe's.
        calibrated: probabilities at the run's temperature, fitted where it is not yet; the files
            are then compared with the calibrated Keras model. Default: the recipe's.
        tflite: values in place of those of the recipe's ``export.tflite``.
        overrides: of the recipe's export section, ``{"export.check_images": 2000}`` or
            ``["export.check_images=2000"]``; the rest of a recipe is in the model already.
        progress: where the work is reported.

    Raises:
        GateError: A file does not answer as the Keras model does; it is not put in place. Its
            `result` is an `Export` of what is, unless the SavedModel failed.
        ModelFileError: `run` is no run with a model.
        UsageError: There is no such format, or an override is not of the export section.
        TfftError: The disk is full, or `output` cannot be written to.
    """
    require_writable(Path(output))
    keras, recipe = _opened(Path(run), overrides)
    if recipe.export.calibrated if calibrated is None else calibrated:
        keras.info = keras.info.at_temperatures(calibrate(keras, progress).temperatures)
    wanted = _known(formats or recipe.export.formats)
    config = _tflite_config(recipe, tflite or {})
    name = str(name or recipe.export.name or recipe.name)
    keras.info = replace(keras.info, name=name)
    reference, training = _reference(keras, recipe.export.check_images, progress)
    saved_models, tflite_files = Path(output) / name, Path(output) / name / "tflite"
    version = str(next_version([saved_models, tflite_files]))
    checks: dict[str, dict[str, Any]] = {}
    if "savedmodel" in wanted:
        saved_model = _export_saved_model(
            reference,
            saved_models / version,
            recipe.export,
            config.max_accuracy_drop,
            progress,
        )
        _note(Path(run), saved_models, version, keras.info, {"savedmodel": saved_models / version})
        write_bundle(saved_models / "serving", keras.info, saved_versions(saved_models))
        checks |= {what: check.to_json() for what, check in saved_model.items()}
    family = TfliteFamily()
    if "tflite" in wanted:
        family = export_tflite(
            keras, reference, training, tflite_files / version, name, config, progress
        )
        if family.files:
            _note(Path(run), saved_models, version, keras.info, family.files)
    result = Export(
        savedmodel=saved_models / version if "savedmodel" in wanted else None,
        tflite=family.files,
        checks=checks | family.checks,
        refused=family.refused,
    )
    if family.refused:
        raise GateError("\n".join(family.refused.values()), result)
    return result


def _known(formats: Sequence[str]) -> tuple[str, ...]:
    for unknown in set(formats) - set(FORMATS):
        raise UsageError(
            f"no format {unknown!r}; there are {', '.join(FORMATS)}."
            f"{nearest(unknown, FORMATS)} Received: {unknown}"
        )
    return tuple(formats)


def _note(
    run: Path, saved_models: Path, version: str, info: ModelInfo, files: Mapping[str, Path]
) -> None:
    """Notes where files that are in place lie, in the run, and its images, beside the files."""
    keep_local_info(saved_models, version, info)
    record_export(run, files, beside=saved_models / version)


def _tflite_config(recipe: Recipe, values: Mapping[str, Any]) -> TfliteConfig:
    try:
        return TfliteConfig.model_validate({**recipe.export.tflite.model_dump(), **values})
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise UsageError(f"export.tflite: {faults}. Received: {dict(values)}") from error


def _opened(run: Path, overrides: Overrides) -> tuple[KerasPredictor, Recipe]:
    for override in parse_overrides(overrides):
        if override.path[0] != "export":
            raise UsageError(
                f"{override.place}: the model is trained; only values of the export section can "
                "be set, such as export.check_images=2000"
            )
    if not (run / "recipe.yaml").is_file():
        raise ModelFileError(
            f"{run} is no run. Give the directory that `tfft train` made, such as runs/NAME."
        )
    keras = load_predictor(run)
    if not isinstance(keras, KerasPredictor):
        raise ModelFileError(f"{run} is no run: it has no model.keras")
    return keras, load_recipe(run / "recipe.yaml", overrides=overrides)


def _reference(
    keras: KerasPredictor, count: int, progress: Progress
) -> tuple[Reference, ImageIndex]:
    """Returns images to compare on, spread over the classes, and the training images.

    Compared is on the test images; on the validation images where there are none.
    """
    data = recorded_data(keras.info, progress)
    split = next(name for name in ("test", "validation", "train") if name in data.splits)
    index = data.splits[split]
    index = index.take(spread_over_classes(index.targets["label"], count))
    reference = Reference(keras, index, targets_of_model(keras.info, index, data.class_names))
    return reference, data.splits["train"]


def _export_saved_model(
    reference: Reference,
    directory: Path,
    config: ExportConfig,
    max_accuracy_drop: float,
    progress: Progress,
) -> dict[str, ParityCheck]:
    keras, info = reference.keras, reference.keras.info
    task = progress.start("SavedModel", 4, "steps")
    checks = {}
    try:
        with atomic_directory(directory) as temporary:
            write_saved_model(keras.model, info, temporary, config.savedmodel_weights)
            write_warm_up(temporary / "assets.extra", info, config.warm_up)
            loaded = SavedModelPredictor(temporary, read_saved_model_info(temporary))
            _require_names(loaded, temporary, info)
            task.advance(1)
            for signature, options in {
                "serving_default": {},
                "serve_uint8": {"rounded": True},
                "serve_bytes": {"from_bytes": True},
            }.items():
                what = f"SavedModel {signature}"
                tolerance = SAVED_MODEL_TOLERANCE[config.savedmodel_weights]
                checks[what] = reference.compare(
                    loaded.answering_by(signature), what, tolerance, **options
                )
                if config.savedmodel_weights != "float32":
                    require_figures(checks[what], what, max_accuracy_drop)
                task.advance(1)
            _write_checks(temporary / "assets.extra" / "checks.json", checks)
    finally:
        task.close()
    return checks


def _require_names(loaded: SavedModelPredictor, directory: Path, info: ModelInfo) -> None:
    """Raises a GateError if clients would be told other classes than the model has."""
    for name, head in info.heads.items():
        if head.class_names and read_labels(directory, name) != head.class_names:
            raise GateError(
                f"SavedModel: the label file of head {name} does not have the class names of the "
                "model, in their order; not put in place"
            )
    if loaded.described().heads != info.heads:
        raise GateError(
            "SavedModel: its signature describe does not answer with the model's heads; not put in "
            "place"
        )


def _write_checks(path: Path, checks: dict[str, ParityCheck]) -> None:
    write_json(path, {what: check.to_json() for what, check in checks.items()})
