"""Loads `.keras` files from anywhere as data: layers that could run code are refused by name."""

import importlib.util
import json
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras

import numpy as np

# Registers the layer of hub modules with Keras: a .keras file may have one.
import tfft.backbones.hub.layer  # noqa: F401
from tfft.errors import ModelFileError, TfftError
from tfft.system.damage import reading
from tfft.system.readable import install_command
from tfft.untrusted.keras_archive import check_keras_archive

# They hold functions, or load files of TensorFlow, PyTorch or JAX from anywhere.
_LAYERS_OF_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
_SHOWN = 10


def load_keras_file(path: Path) -> keras.Model:
    """Loads a `.keras` file in safe mode, uncompiled.

    Raises:
        ModelFileError: The file cannot be read, holds code or more than a model, has weights that
            are not finite, or needs KerasHub, which is not installed.
    """
    with reading(path, "a .keras file", error=ModelFileError), zipfile.ZipFile(path) as archive:
        check_keras_archive(archive, str(path))
        if "config.json" not in archive.namelist():
            raise ValueError("it has no config.json")
        config: Any = json.loads(archive.read("config.json"))
        # Keras reads the parts of its weights file that it needs, which compares no checksum.
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"{damaged} in it has a wrong checksum")
    refuse_code(config, path)
    if any(str(part.get("module")).startswith("keras_hub.") for part in _sections(config)):
        import_keras_hub(f"{path} has layers of KerasHub")
    try:
        with warnings.catch_warnings():
            # Keras 3.15.1 warns so after a layer that did not load, which it reports anyway.
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    except TfftError:
        raise
    except Exception as error:  # of any type: the content is sound, and not what Keras knows
        raise ModelFileError(f"cannot load the Keras model {path}: {reason(error)}") from error
    require_finite(model.weights, path)
    return model


def refuse_code(config: Any, path: Path) -> None:
    """Refuses a model's config with layers that hold code of Python or of other libraries.

    Raises:
        ModelFileError: It has such layers; all are named.
    """
    found: dict[str, str] = {}
    for part in _sections(config):
        kind, own = part.get("class_name"), part.get("config")
        if kind in _LAYERS_OF_CODE:
            name = own.get("name") if isinstance(own, dict) else None
            found[str(name or kind)] = kind
    if found:
        raise ModelFileError(
            f"{path} has {' and '.join(sorted(set(found.values())))} layers, which hold Python "
            f"code or load other programs, and is not loaded: {', '.join([*found][:_SHOWN])}. Use "
            "layers or keras.ops in their place, and save it again."
        )


def require_finite(weights: Iterable[keras.Variable], path: Path) -> None:
    """Requires that all values of weights from a file are finite.

    Raises:
        ModelFileError: One is not; with the name of the weight.
    """
    for weight in weights:
        if not np.isfinite(weight.numpy()).all():
            raise ModelFileError(
                f"{path} has values that are not finite, or too large for {weight.dtype}, in "
                f"{weight.path}"
            )


def import_keras_hub(why: str) -> Any:
    """Returns the package keras_hub, imported without its warnings.

    Args:
        why: Reason why KerasHub is needed, the first clause of the error message.

    Raises:
        ModelFileError: It is not installed.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise ModelFileError(
            f"{why}, and KerasHub is not installed. Install it: {install_command('keras-hub')}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras_hub
    return keras_hub


def reason(error: BaseException) -> str:
    """Returns the first line of a library's message, which may be pages long.

    Where Keras lists all objects that did not load, the first fault is returned.
    """
    paragraphs = str(error).strip().split("\n\n")
    if paragraphs[0].startswith("A total of ") and len(paragraphs) > 1:
        return paragraphs[1].strip()
    return paragraphs[0].splitlines()[0] if paragraphs[0] else repr(error)


def _sections(value: Any) -> Iterator[dict[str, Any]]:
    """Yields every section of a config, at any depth."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
