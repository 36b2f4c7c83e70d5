"""Loads a weights file into a backbone, strictly: the file has every weight and no others.

Shapes and types are compared before a value is read, so that no file can ask for more memory than
the model has.
"""

import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras

import h5py
import numpy as np

from tfft.backbones.keras_models.keras_file import require_finite
from tfft.errors import BackboneError
from tfft.system.damage import reading
from tfft.untrusted.hdf5 import check_hdf5, longest_text
from tfft.untrusted.npz import StoredArray, stored_arrays

# How Keras spells each layer in its message about layers that could not be loaded.
_LAYER_IN_MESSAGE = re.compile(r"<\w+ name=([^,>]+), built=")
_SHOWN = 10
# Of the mean or the variance of a few channels.
_MOST_BYTES = 128

Normalization = tuple[tuple[float, ...], tuple[float, ...]]
# A layer's name in the file, and its weights there, not read yet.
_Layer = tuple[str, list[h5py.Dataset]]


def load_weights_file(
    model: keras.Model, path: Path, normalization: Normalization | None = None
) -> None:
    """Sets every weight of `model` from an HDF5 file or a `.npz` archive.

    Two layouts of HDF5 are read: that of Keras 2, in which keras.applications publishes its
    weights (layers in order, under any names), and that of Keras 3, `.weights.h5`. A `.npz`
    archive has an array for each weight, named after the layer and the weight: `conv1/kernel`.

    Args:
        model: Model whose weights are set.
        path: Path of the file.
        normalization: Mean and variance that a normalisation layer in the file must hold, where
            the file has such a layer and the model does not.

    Raises:
        BackboneError: The file is missing, of another format or empty, or does not fit the model;
            the message names the layers.
        ModelFileError: Its content lies in other files, is not that of a weights file, or has
            values that are not finite.
    """
    if not path.is_file():
        raise BackboneError(f"there is no weights file {path}")
    if path.suffix == ".npz":
        _load_npz(model, path)
        return
    with reading(path, "an HDF5 file", error=BackboneError), h5py.File(path, "r") as file:
        stored = check_hdf5(file, str(path), longest_text(path))
        group: Any = file.get("model_weights", file)
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            _load_by_order(model, _stored_layers(group), path, normalization)
            return
        # The state of a dropout layer's random generator is saved too, but is not a weight.
        weights = {
            place: array
            for place, array in stored.items()
            if "/vars/" in f"/{place}" and "seed_generator" not in place
        }
        _require_keras3_fit(model, weights, path)
    _load_keras3(model, path)


def _names(attributes: Any, key: str) -> list[str]:
    """Reads a list of names, which Keras splits into numbered attributes when it is long."""
    parts = [key] if key in attributes else []
    while not parts or parts[-1] != key:
        if (part := f"{key}{len(parts)}") not in attributes:
            break
        parts.append(part)
    return [
        name.decode("utf-8") if isinstance(name, bytes) else str(name)
        for part in parts
        for name in attributes[part]
    ]


def _stored_layers(group: Any) -> list[_Layer]:
    """Returns the layers with weights of a file in the layout of Keras 2, in their order."""
    layers = []
    for name in _names(group.attrs, "layer_names"):
        weights = [group[name][weight] for weight in _names(group[name].attrs, "weight_names")]
        if not all(isinstance(weight, h5py.Dataset) for weight in weights):
            raise ValueError(f"a weight of {name} is no array")
        if weights:
            layers.append((name, weights))
    return layers


def _load_by_order(
    model: keras.Model, layers: list[_Layer], path: Path, normalization: Normalization | None
) -> None:
    """Loads a file in the layout of Keras 2: its n-th layer into the n-th layer of the model."""
    if normalization is not None:
        layers = _without_normalization(layers, path, normalization)
    # Keras 2 writes a layer's trainable weights first.
    targets = [
        (layer.name, [*layer.trainable_weights, *layer.non_trainable_weights])
        for layer in model.layers
        if layer.weights
    ]
    faults = _misfits(targets, layers)
    if faults:
        raise BackboneError(
            f"{path} does not fit {model.name} ({len(layers)} layers with weights in the file, "
            f"{len(targets)} in the model):\n{_lines(faults)}"
        )
    for (_, variables), (_, weights) in zip(targets, layers, strict=True):
        for variable, weight in zip(variables, weights, strict=True):
            _assign(variable, weight, path)


def _assign(variable: keras.Variable, stored: Any, path: Path) -> None:
    """Sets a variable to an array of its shape, which is read here and must be finite."""
    value = np.asarray(stored)
    if value.dtype.kind == "f":
        with np.errstate(over="ignore"):
            value = value.astype(np.float32)
    variable.assign(value)
    require_finite([variable], path)


def _kind(array: Any) -> str:
    """Returns the kind of an array's numbers, in which that of a variable must agree."""
    kind = np.dtype(array.dtype).kind
    return {"V": "f", "u": "i"}.get(kind, kind)  # V: bfloat16, as its two bytes


def _fits(variable: keras.Variable, stored: Any) -> bool:
    return tuple(variable.shape) == tuple(stored.shape) and _kind(variable) == _kind(stored)


def _misfits(targets: list[tuple[str, list[keras.Variable]]], layers: list[_Layer]) -> list[str]:
    """Compares shapes and types layer by layer, in order; the names may differ."""
    faults = []
    for i in range(max(len(targets), len(layers))):
        if i >= len(layers):
            faults.append(f"{targets[i][0]}: not in the file")
        elif i >= len(targets):
            faults.append(f"{layers[i][0]}: in the file, not in the model")
        else:
            (name, variables), (stored_name, weights) = targets[i], layers[i]
            wanted = [tuple(variable.shape) for variable in variables]
            found = [weight.shape for weight in weights]
            if wanted != found:
                faults.append(f"{name}: shapes {wanted}; {stored_name} has {found}")
            elif not all(map(_fits, variables, weights)):
                faults.append(f"{name}: {stored_name} has numbers of another type")
    return faults


def _without_normalization(
    layers: list[_Layer], path: Path, normalization: Normalization
) -> list[_Layer]:
    """Returns the layers without the normalisation layer, after checking what that layer holds."""
    kept = []
    for name, weights in layers:
        # One that cannot be a normalisation of channels is left in, where it is a misfit.
        if not name.startswith("normalization") or any(w.nbytes > _MOST_BYTES for w in weights):
            kept.append((name, weights))
            continue
        found = [np.asarray(weight).ravel() for weight in weights[:2]]
        if not all(
            np.allclose(value, expected, rtol=1e-3)
            for value, expected in zip(found, normalization, strict=False)
        ):
            raise BackboneError(
                f"{path} normalises pixels by mean and variance "
                f"{[value.tolist() for value in found]}, while the backbone's preprocessing uses "
                f"{[list(part) for part in normalization]}"
            )
    return kept


def _require_keras3_fit(model: keras.Model, stored: Mapping[str, h5py.Dataset], path: Path) -> None:
    """Requires that a Keras 3 file has as many weights of each shape and type as the model.

    Which of them belongs to which layer, only Keras knows.
    """
    if not path.name.endswith(".weights.h5"):
        raise BackboneError(
            f"{path} holds no weights in the layout of Keras 2; a file in that of Keras 3 must be "
            "called NAME.weights.h5"
        )
    if not stored:
        raise BackboneError(f"{path} holds no weights at all")
    there = Counter((tuple(array.shape), _kind(array)) for array in stored.values())
    lacking = []
    for weight in model.weights:
        form = (tuple(weight.shape), _kind(weight))
        there[form] -= 1
        if there[form] < 0:
            lacking.append(weight.path.rpartition("/")[0])
    if lacking:
        raise BackboneError(f"{path} does not fit {model.name}: {_unfilled(lacking)}")
    if len(stored) != len(model.weights):
        raise BackboneError(
            f"{path} does not fit {model.name}: it has {len(stored)} weights, the model "
            f"{len(model.weights)}"
        )


def _load_keras3(model: keras.Model, path: Path) -> None:
    try:
        with warnings.catch_warnings(), np.errstate(over="ignore"):
            # Keras 3.15.1 also looks for a model's internal lists, which it never saves.
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        # Without the arrays that Keras's message shows.
        layers = _LAYER_IN_MESSAGE.findall(str(error))
        why = _unfilled(layers) if layers else str(error).partition("\n")[0]
        raise BackboneError(f"{path} does not fit {model.name}: {why}") from error
    require_finite(model.weights, path)


def _load_npz(model: keras.Model, path: Path) -> None:
    what = "a .npz archive of plain arrays, as numpy.savez writes it"
    with reading(path, what, error=BackboneError), zipfile.ZipFile(path) as archive:
        arrays = {name.removesuffix(":0"): array for name, array in stored_arrays(archive).items()}
        variables = {variable.path: variable for variable in model.weights}
        if faults := _npz_misfits(variables, arrays):
            raise BackboneError(f"{path} does not fit {model.name}:\n{_lines(faults)}")
        for name, variable in variables.items():
            _assign(variable, arrays[name], path)


def _npz_misfits(
    variables: Mapping[str, keras.Variable], arrays: Mapping[str, StoredArray]
) -> list[str]:
    faults = [f"{name}: not in the file" for name in variables if name not in arrays]
    faults += [f"{name}: in the file, not in the model" for name in arrays if name not in variables]
    faults += [
        f"{name}: shape {tuple(variable.shape)}, {variable.dtype}; the file has "
        f"{arrays[name].shape}, {arrays[name].dtype}"
        for name, variable in variables.items()
        if name in arrays and not _fits(variable, arrays[name])
    ]
    return faults


def _lines(faults: Sequence[str]) -> str:
    shown = "\n".join(f"  {fault}" for fault in faults[:_SHOWN])
    return f"{shown}\n  … and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else shown


def _unfilled(layers: Sequence[str]) -> str:
    names = list(dict.fromkeys(layers))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"it has no weights of the right shapes for {len(names)} layers: "
        f"{', '.join(names[:_SHOWN])}{more}"
    )
