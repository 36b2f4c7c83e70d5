"""Loads the predictor of a MODEL, as commands take it, and reads its description."""

import hashlib
import io
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfft.data.kept_splits import FILE_NAME as SPLITS_FILE
from tfft.data.kept_splits import kept_list
from tfft.errors import ModelFileError, TfftError, UsageError
from tfft.runs.hold import holder
from tfft.runtime.info import DIGEST_KEY, FILE_NAME, ModelInfo
from tfft.runtime.local_info import with_local_info
from tfft.runtime.predictor import Predictor
from tfft.runtime.served.address import is_address
from tfft.runtime.served.transport import TIMEOUT_S
from tfft.system.damage import reading
from tfft.system.digests import file_sha256
from tfft.system.files import json_value, read_json
from tfft.system.paths import expanded
from tfft.system.readable import command_text
from tfft.untrusted.zip_members import check_member

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
    engine: str | None = None,
) -> Predictor:
    """Loads a MODEL; without importing TensorFlow, unless it is a SavedModel or not converted yet.

    A run or a ``.keras`` file answers through the TFLite file that it was converted to, if that
    agrees with Keras; it is converted when it is loaded for the first time.

    Args:
        model: A run directory, a ``.keras`` file, a SavedModel directory or the directory of its
            versions (the newest is used), a ``.tflite`` file, or the URL of a served model.
        signature: Signature of a SavedModel that answers; default: ``serve_bytes``.
        info: For a served model, the same model as another MODEL, or its ``tfft.json``. It
            describes a model whose server does not, and says where the images are that the model
            was trained on, which no server does.
        timeout_s: Time in seconds that one request to a server may take, with its repetitions.
        threads: Number of threads of TFLite; default: one for each processor. What TensorFlow
            computes uses its threads.
        engine: What answers for a run or a ``.keras`` file: ``auto``, or ``keras`` for Keras
            itself; default: the variable ``TFFT_ENGINE``, or else ``auto``.

    Raises:
        ModelFileError: `model` is none of these, or cannot be loaded.
        UsageError: An argument does not apply to this kind of model, or `timeout_s` is not a
            number above 0.
        ServerError: The server does not answer.
    """
    if timeout_s is not None and not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise UsageError(f"a time-out is a number of seconds above 0. Received: {timeout_s}")
    if is_address(str(model)):
        from tfft.runtime.served.predictor import ServedPredictor

        described = None if info is None else read_model_info(info)
        return ServedPredictor(str(model), described, signature, timeout_s or TIMEOUT_S)
    if info is not None or timeout_s is not None:
        raise UsageError(f"--info and --timeout are for the URLs of served models, not for {model}")
    path = expanded(model)
    if not path.exists():
        raise ModelFileError(f"no model: {path} does not exist. A MODEL is {_ALLOWED}.")
    saved_model = find_saved_model(path)
    if saved_model is not None:
        from tfft.runtime.saved_model_predictor import SavedModelPredictor

        return SavedModelPredictor(saved_model, read_saved_model_info(saved_model), signature)
    if signature is not None:
        raise UsageError(f"--signature is for SavedModels. Received: {path}")
    if path.suffix == ".tflite" and path.is_file():
        from tfft.runtime.tflite.predictor import TflitePredictor

        return TflitePredictor(path, read_tflite_info(path), threads)
    keras_file = path / "model.keras" if path.is_dir() else path
    if keras_file.suffix == ".keras" and keras_file.is_file():
        return _of_keras_file(
            keras_file, _info(keras_file.with_name("model.json")), engine, threads
        )
    if (path / "run.json").is_file():
        raise ModelFileError(_no_model_yet(path))
    raise ModelFileError(f"{path} is not a model. A MODEL is {_ALLOWED}.")


def is_model(word: str) -> bool:
    """Says whether a word names a MODEL: the URL of one, a run, an export, or a file of one."""
    if is_address(word):
        return True
    path = expanded(word)
    if path.is_dir():
        named = ("run.json", "model.keras")
        return find_saved_model(path) is not None or any((path / n).is_file() for n in named)
    return path.suffix in (".tflite", ".keras") and path.is_file()


def _of_keras_file(
    path: Path, info: ModelInfo, engine: str | None, threads: int | None
) -> Predictor:
    """Returns the predictor of a `.keras` file, which is converted if that was not tried before."""
    from tfft.cache.converted import discard_conversion, kept_conversion
    from tfft.runtime.converted_predictor import ConvertedPredictor, key_of_file, may_convert

    is_wanted = may_convert(engine)
    key = key_of_file(path) if is_wanted else ""
    conversion = kept_conversion(key) if is_wanted else None
    if conversion is not None and conversion.content is not None:
        try:
            return ConvertedPredictor(path, info, conversion, threads)
        except ModelFileError:  # what is kept is not believed; Keras says what is wrong
            discard_conversion(key)
            conversion = None
    from tfft.runtime.keras_predictor import KerasPredictor

    original = KerasPredictor(path, info)
    if is_wanted and conversion is None:
        from tfft.runtime.convert_model import convert_model

        conversion = convert_model(original.model, path, info)
        if conversion is not None and conversion.content is not None:
            return ConvertedPredictor(path, info, conversion, threads)
    return original


def _no_model_yet(run: Path) -> str:
    if other := holder(run):
        return f"the run {run} has no model yet: it is trained by {other}."
    return (
        f"the run {run} has no model yet. Continue it: "
        f"{command_text('train', '--resume', run)}; or make a model of its best weights so far: "
        f"{command_text('train', '--resume', run, '--finish')}"
    )


def read_model_info(path: Path) -> ModelInfo:
    """Reads the description of a MODEL without loading it, or that in a ``tfft.json``.

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
    """Returns the directory of a SavedModel.

    Args:
        path: Directory of a SavedModel, or the directory of its versions.

    Returns:
        The directory itself, or that of the newest version; None if there is no SavedModel.
    """
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
    """Reads the description of a SavedModel from its extra assets.

    Raises:
        ModelFileError: It has no description, or is damaged.
    """
    file, graph = directory / "assets.extra" / FILE_NAME, directory / "saved_model.pb"
    info = _info(file)
    # TensorFlow compares the checksums of variables, and none of the graph.
    if read_json(file).get(DIGEST_KEY) not in (None, file_sha256(graph)):
        raise ModelFileError(
            f"{graph} is damaged: it is not the one that was exported. Put back a copy, or export "
            "the run again"
        )
    place = directory.absolute()
    return with_local_info(info, place.parent, place.name)


def read_tflite_info(path: Path) -> ModelInfo:
    """Reads the description of a `.tflite` file from the zip archive at its end.

    Raises:
        ModelFileError: The file has no description, or is damaged.
    """
    values, model = _described_and_model(path)
    info = ModelInfo.from_json(values, str(path))
    # Damage in a model may end the process that runs it, or change what it answers.
    if values.get(DIGEST_KEY) not in (None, hashlib.sha256(model).hexdigest()):
        raise ModelFileError(
            f"{path} is damaged: its model is not the one that was exported. Put back a copy, or "
            "export the run again"
        )
    version = path.absolute().parent
    return with_local_info(info, version.parent.parent, version.name)


def _described_and_model(path: Path) -> tuple[Any, bytes]:
    """Returns the description in a `.tflite` file, and the file without the archive at its end."""
    missing = ModelFileError(
        f"{path} has no description by tfft ({FILE_NAME}), so its labels and input are unknown: it "
        f"was cut off, or tfft did not write it. A MODEL is {_ALLOWED}."
    )
    with reading(path, "a .tflite file that tfft wrote", error=ModelFileError):
        content = path.read_bytes()
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise missing
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if FILE_NAME not in archive.namelist():
                raise missing
            check_member(archive, archive.getinfo(FILE_NAME))
            start = min(member.header_offset for member in archive.infolist())
            return json_value(archive.read(FILE_NAME)), content[:start]


def _info(path: Path) -> ModelInfo:
    try:
        values = read_json(path)
    except TfftError as error:
        raise ModelFileError(f"the model has no description by tfft: {error}") from error
    described = ModelInfo.from_json(values, str(path))
    return replace(described, splits=kept_list(path.with_name(SPLITS_FILE)))
