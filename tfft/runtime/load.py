"""From a MODEL on the command line to its predictor."""

import json
import zipfile
from pathlib import Path
from typing import Any

from tfft.errors import ModelFileError, TfftError, UsageError
from tfft.runtime.info import FILE_NAME, ModelInfo
from tfft.runtime.local_info import with_local_info
from tfft.runtime.predictor import Predictor
from tfft.runtime.served.address import is_address
from tfft.runtime.served.transport import TIMEOUT_S
from tfft.system.files import read_json

_ALLOWED = (
    "a run directory, a .keras file with model.json beside it, a SavedModel directory (or the "
    "directory of its versions), a .tflite file that tfft wrote, or the URL of a served model"
)


def load_predictor(
    model: str | Path,
    *,
    signature: str | None = None,
    info: Path | None = None,
    timeout_s: float | None = None,
    threads: int | None = None,
) -> Predictor:
    """Loads a MODEL; a `.tflite` file, or one served over HTTP, without importing TensorFlow.

    Args:
        model: a run directory, a ``.keras`` file, a SavedModel directory or the directory of its
            versions (the newest is taken), a ``.tflite`` file, or the URL of a served model.
        signature: of a SavedModel, the one that answers; default: ``serve_bytes``.
        info: of a served model, a MODEL that is the same or its ``tfft.json``: for a server that
            does not describe its model, and for the place of the images that it was trained on,
            which a server does not tell.
        timeout_s: how long one request to a server may take.
        threads: that a ``.tflite`` file computes with; default: all processors. The others take
            TensorFlow's.

    Raises:
        ModelFileError: `model` is none of these, or cannot be loaded.
        UsageError: Something is asked that this kind of model has not.
        ServerError: The server does not answer.
    """
    if is_address(str(model)):
        from tfft.runtime.served.predictor import ServedPredictor

        described = None if info is None else read_model_info(info)
        return ServedPredictor(str(model), described, signature, timeout_s or TIMEOUT_S)
    if info is not None or timeout_s is not None:
        raise UsageError(f"--info and --timeout are for the URLs of served models, not for {model}")
    path = Path(model)
    if not path.exists():
        raise ModelFileError(f"no model: {path} does not exist. A MODEL is {_ALLOWED}.")
    saved_model = find_saved_model(path)
    if saved_model is not None:
        from tfft.runtime.saved_model_predictor import SavedModelPredictor

        return SavedModelPredictor(saved_model, read_saved_model_info(saved_model), signature)
    if signature is not None:
        raise UsageError(f"--signature is for SavedModels, and {path} is none")
    if path.suffix == ".tflite" and path.is_file():
        from tfft.runtime.tflite.predictor import TflitePredictor

        return TflitePredictor(path, read_tflite_info(path), threads)
    keras_file = path / "model.keras" if path.is_dir() else path
    if keras_file.suffix == ".keras" and keras_file.is_file():
        from tfft.runtime.keras_predictor import KerasPredictor

        return KerasPredictor(keras_file, _info(keras_file.with_name("model.json")))
    if (path / "run.json").is_file():
        raise ModelFileError(
            f"the run {path} has no model yet. Go on with it: tfft train --resume {path}"
        )
    raise ModelFileError(f"{path} is no model. A MODEL is {_ALLOWED}.")


def read_model_info(path: Path) -> ModelInfo:
    """Reads what a MODEL says of itself, without loading it; also from its ``tfft.json`` alone.

    Raises:
        ModelFileError: There is no such description.
    """
    saved_model = find_saved_model(path)
    if saved_model is not None:
        return read_saved_model_info(saved_model)
    if path.suffix == ".tflite":
        return read_tflite_info(path)
    if path.is_dir():
        return _info(path / "model.json")
    return _info(path.with_name("model.json") if path.suffix == ".keras" else path)


def find_saved_model(path: Path) -> Path | None:
    """Returns a SavedModel's own directory, or the newest below that of its versions, or None."""
    if (path / "saved_model.pb").is_file():
        return path
    if not path.is_dir():
        return None
    versions = [
        child
        for child in path.iterdir()
        if child.name.isdecimal() and (child / "saved_model.pb").is_file()
    ]
    return max(versions, key=lambda version: int(version.name), default=None)


def read_saved_model_info(directory: Path) -> ModelInfo:
    """Reads what a SavedModel says of itself, from its extra assets.

    Raises:
        ModelFileError: It has no such description.
    """
    info = _info(directory / "assets.extra" / FILE_NAME)
    place = directory.absolute()
    return with_local_info(info, place.parent, place.name)


def read_tflite_info(path: Path) -> ModelInfo:
    """Reads what a `.tflite` file says of itself, from the zip archive at its end.

    Raises:
        ModelFileError: The file has no such description.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            values: dict[str, Any] = json.loads(archive.read(FILE_NAME))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ModelFileError(
            f"{path} has no description by tfft ({FILE_NAME}), so its labels and its input are "
            f"not known. A MODEL is {_ALLOWED}."
        ) from error
    version = path.absolute().parent
    info = ModelInfo.from_json(values, str(path))
    return with_local_info(info, version.parent.parent, version.name)


def _info(path: Path) -> ModelInfo:
    try:
        values = read_json(path)
    except TfftError as error:
        raise ModelFileError(f"the model has no description by tfft: {error}") from error
    return ModelInfo.from_json(values, str(path))
