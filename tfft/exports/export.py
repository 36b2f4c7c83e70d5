"""Exports a run: each file is compared with the Keras model before it is put in place."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfft.config.loading.load import load_recipe
from tfft.config.loading.overrides import Overrides, parse_overrides
from tfft.config.recipe import ExportConfig, Recipe, TfliteConfig
from tfft.data.index import ImageIndex
from tfft.errors import GateError, TfftError, TfftWarning, UsageError, nearest
from tfft.evaluation.answers import load_run
from tfft.evaluation.calibrate import calibrate
from tfft.evaluation.data import recorded_data, targets_of_model
from tfft.exports.card import Facts
from tfft.exports.documents import gather_facts, saved_model_use, write_documents
from tfft.exports.identity import identified
from tfft.exports.parity import (
    SAVED_MODEL_TOLERANCE,
    ParityCheck,
    Reference,
    require_metrics,
    spread_over_classes,
)
from tfft.exports.saved_model import read_labels, write_saved_model
from tfft.exports.serving.bundle import write_bundle
from tfft.exports.serving.warm_up import write_warm_up
from tfft.exports.tflite.family import TfliteFamily, export_tflite
from tfft.exports.versions import claimed_version, saved_versions
from tfft.runs.exports import record_export
from tfft.runtime.info import ModelInfo
from tfft.runtime.keras_predictor import KerasPredictor
from tfft.runtime.load import read_saved_model_info
from tfft.runtime.local_info import keep_local_info
from tfft.runtime.saved_model_predictor import SavedModelPredictor
from tfft.runtime.signatures import FLOAT32, SIGNATURES, name_in_model, taken_by
from tfft.system.files import atomic_directory, locked, require_writable
from tfft.system.formats import CHECKS
from tfft.system.names import require_name
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted

FORMATS = ("savedmodel", "tflite")


@dataclass(frozen=True, repr=False)
class Export(Readable):
    """What was written.

    Attributes:
        savedmodel: Directory of the SavedModel's version; None if none was asked for.
        tflite: TFLite files by precision.
        checks: Comparison with the Keras model, by file and signature.
        refused: Why a TFLite file was not put in place, by precision.
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
    is always whole and has passed. Exports that run at once get versions of their own.

    Args:
        run: Run directory.
        formats: Any of ``savedmodel`` and ``tflite``; default: the recipe's.
        output: Directory for ``<name>/<version>/``, ``<name>/serving/`` and
            ``<name>/tflite/<version>/``.
        name: Name of this export; default: the recipe's.
        calibrated: Whether probabilities are at the run's temperature, which is fitted if it is not
            known yet; the files are then compared with the calibrated Keras model. Default: the
            recipe's.
        tflite: Values that replace those of the recipe's ``export.tflite``.
        overrides: Values for the recipe's export section, ``{"export.check_images": 2000}`` or
            ``["export.check_images=2000"]``; the rest of a recipe is in the model already.
        progress: Where progress is reported.

    Raises:
        GateError: A file does not answer as the Keras model does and is not put in place. The
            error's `result` is an `Export` of the files that are, unless the SavedModel failed.
        ModelFileError: `run` is not a run, or has no model.
        UsageError: There is no such format, `name` is not one, or an override is not of the export
            section.
        TfftError: The disk is full, or `output` cannot be written to.
    """
    if name is not None:
        require_name(name)
    require_writable(Path(output))
    original, recipe = _opened(Path(run), overrides)
    if recipe.export.calibrated if calibrated is None else calibrated:
        original.info = calibrate(original, progress).calibrated(original.info)
    wanted, config = _wanted(recipe.export, formats, tflite or {})
    name = name or recipe.export.name or recipe.name
    asked = recipe.export.default_signature
    info = replace(original.info, name=name, default_signature=None if asked == FLOAT32 else asked)
    original.info = identified(info, Path(run), original.model)
    reference, facts, training = _reference(Path(run), original, recipe, progress)
    saved_models, tflite_files = Path(output) / name, Path(output) / name / "tflite"
    family, checks = TfliteFamily(), {}
    with claimed_version(saved_models, [saved_models, tflite_files]) as number:
        version = str(number)
        info = original.info = replace(original.info, export_version=number)
        facts = replace(facts, info=info)
        if "savedmodel" in wanted:
            saved_model = _export_saved_model(
                reference,
                facts,
                saved_models / version,
                recipe.export,
                config.max_accuracy_drop,
                progress,
            )
            _note(Path(run), saved_models, version, info, {"savedmodel": saved_models / version})
            with locked(saved_models):  # of several exports the last one knows all versions
                write_bundle(saved_models / "serving", info, saved_versions(saved_models))
            checks |= {what: check.to_json() for what, check in saved_model.items()}
        if "tflite" in wanted:
            family = export_tflite(
                original, reference, facts, training, tflite_files / version, name, config, progress
            )
            if family.files:
                _note(Path(run), saved_models, version, info, family.files)
    result = Export(
        savedmodel=saved_models / version if "savedmodel" in wanted else None,
        tflite=family.files,
        checks=checks | family.checks,
        refused=family.refused,
    )
    if family.refused:
        raise GateError("\n".join(family.refused.values()), result)
    return result


def _wanted(
    config: ExportConfig, formats: Sequence[str] | None, tflite: Mapping[str, Any]
) -> tuple[Sequence[str], TfliteConfig]:
    """Returns the formats and the TFLite files to export: the recipe's, unless others are given."""
    formats = formats or config.formats
    for unknown in set(formats) - set(FORMATS):
        raise UsageError(
            f"a format is one of {', '.join(FORMATS)}."
            f"{nearest(unknown, FORMATS)} Received: {unknown}"
        )
    try:
        return formats, TfliteConfig.model_validate({**config.tflite.model_dump(), **tflite})
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise UsageError(f"export.tflite: {faults}. Received: {dict(tflite)}") from error


def _note(
    run: Path, saved_models: Path, version: str, info: ModelInfo, files: Mapping[str, Path]
) -> None:
    """Notes where the files are, in the run, and where its images are, beside the files."""
    keep_local_info(saved_models, version, info)
    try:
        record_export(run, files, beside=saved_models / version)
    except TfftError as error:  # such as a run that may only be read
        places = ", ".join(str(path) for path in files.values())
        warnings.warn(
            f"{places}: in place, but not recorded in the run. {error}", TfftWarning, stacklevel=2
        )


def _opened(run: Path, overrides: Overrides) -> tuple[KerasPredictor, Recipe]:
    for override in parse_overrides(overrides):
        if override.path[0] != "export":
            raise UsageError(
                f"{override.place}: the model is trained; only values of the export section can "
                "be set, such as export.check_images=2000"
            )
    return load_run(run), load_recipe(run / "recipe.yaml", overrides=overrides)


def _reference(
    run: Path, original: KerasPredictor, recipe: Recipe, progress: Progress
) -> tuple[Reference, Facts, ImageIndex]:
    """Returns images to compare on, spread over the classes, the facts, and the training images.

    Files are compared on test images; on validation images where there are no test images.
    """
    data = recorded_data(original.info, progress)
    split = next(name for name in ("test", "validation", "train") if name in data.splits)
    index = data.splits[split]
    index = index.take(spread_over_classes(index.targets["label"], recipe.export.check_images))
    targets = targets_of_model(original.info, index, data.class_names)
    reference = Reference(original, index, targets)
    return reference, gather_facts(run, recipe, data, split, reference), data.splits["train"]


def _export_saved_model(
    reference: Reference,
    facts: Facts,
    directory: Path,
    config: ExportConfig,
    max_accuracy_drop: float,
    progress: Progress,
) -> dict[str, ParityCheck]:
    original, info = reference.original, reference.original.info
    task = progress.start("SavedModel", 4, "steps")
    checks = {}
    try:
        with atomic_directory(directory) as temporary:
            write_saved_model(original.model, info, temporary, config.savedmodel_weights)
            write_warm_up(temporary / "assets.extra", info, config.warm_up)
            loaded = SavedModelPredictor(temporary, read_saved_model_info(temporary))
            _require_names(loaded, temporary, info)
            task.advance(1)
            for signature in dict.fromkeys((*SIGNATURES, name_in_model(FLOAT32, info))):
                takes = taken_by(signature, info)
                what = f"SavedModel {signature}"
                tolerance = SAVED_MODEL_TOLERANCE[config.savedmodel_weights]
                checks[what] = reference.compare(
                    loaded.answering_by(signature),
                    what,
                    tolerance,
                    rounded=takes == "serve_uint8",
                    from_bytes=takes == "serve_bytes",
                )
                if config.savedmodel_weights != "float32":
                    require_metrics(checks[what], what, max_accuracy_drop)
                task.advance(1)
            said = {what: check.to_json() for what, check in checks.items()}
            CHECKS.write(temporary / "assets.extra" / "checks.json", said)
            write_documents(temporary, facts, said, saved_model_use(info))
    finally:
        task.close()
    return checks


def _require_names(loaded: SavedModelPredictor, directory: Path, info: ModelInfo) -> None:
    """Raises a GateError if clients would read other heads or classes than the model has."""
    for name, head in info.heads.items():
        if head.class_names and read_labels(directory, name) != head.class_names:
            raise GateError(
                f"SavedModel: the label file of head {name} does not have the class names of the "
                "model, in their order; not put in place"
            )
    described = loaded.described()
    if (described.heads, described.unsure) != (info.heads, info.unsure):
        raise GateError(
            "SavedModel: its signature `describe` does not answer with the model's heads and its "
            "threshold; not put in place"
        )
