"""Loads a file of weights into a backbone, strictly: every weight from the file, none left over."""

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras

import h5py
import numpy as np

from tfft.errors import BackboneError

# How Keras's message of what it could not load spells each layer.
_LAYER_IN_MESSAGE = re.compile(r"<\w+ name=([^,>]+), built=")

Normalization = tuple[tuple[float, ...], tuple[float, ...]]


def load_weights_file(
    model: keras.Model, path: Path, normalization: Normalization | None = None
) -> None:
    """Sets every weight of `model` from an HDF5 file or a `.npz` archive.

    Two layouts of HDF5 are read: the one of Keras 2, in which keras.applications publishes its
    weights (layers in order, by whatever names), and Keras 3's `.weights.h5`. A `.npz` archive has
    an array for each weight, by the name of its layer and its own: `conv1/kernel`.

    Args:
        model: Whose weights are set.
        path: The file.
        normalization: Mean and variance that a normalisation layer in the file must hold, where
            the file has such a layer and the model does not.

    Raises:
        BackboneError: The file is missing, of another format, empty, or does not fit the model;
            the message says which layers.
    """
    if not path.is_file():
        raise BackboneError(f"there is no weights file {path}")
    if path.suffix == ".npz":
        _load_npz(model, path)
        return
    try:
        with h5py.File(path, "r") as file:
            group: Any = file.get("model_weights", file)
            if "layer_names" in group.attrs or "layer_names0" in group.attrs:
                _load_by_order(model, _read_layers(group), path, normalization)
                return
            count = _count_variables(file)
    except OSError as error:
        raise BackboneError(f"{path} is no HDF5 file that can be read: {error}") from error
    _load_keras3(model, path, count)


def _read_layers(group: Any) -> list[tuple[str, list[np.ndarray]]]:
    """Returns name and weights of each layer that has weights, in the file's order."""
    layers = []
    for name in _names(group.attrs, "layer_names"):
        weight_names = _names(group[name].attrs, "weight_names")
        if weight_names:
            layers.append((name, [np.asarray(group[name][weight]) for weight in weight_names]))
    return layers


def _names(attributes: Any, key: str) -> list[str]:
    """Reads a list of names, which Keras divides into numbered attributes when it is long."""
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


def _load_by_order(
    model: keras.Model,
    layers: list[tuple[str, list[np.ndarray]]],
    path: Path,
    normalization: Normalization | None,
) -> None:
    if normalization is not None:
        layers = _without_normalization(layers, path, normalization)
    targets = [(layer.name, _ordered_weights(layer)) for layer in model.layers if layer.weights]
    faults = _misfits(targets, layers)
    if faults:
        raise BackboneError(
            f"{path} does not fit {model.name} ({len(layers)} layers with weights in the file, "
            f"{len(targets)} in the model):\n{_lines(faults)}"
        )
    for (_, variables), (_, values) in zip(targets, layers, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _ordered_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Returns a layer's weights in the order of Keras 2's files: trainable ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _misfits(
    targets: list[tuple[str, list[keras.Variable]]], layers: list[tuple[str, list[np.ndarray]]]
) -> list[str]:
    """Compares layer by layer, in order; names may differ, as automatic ones do."""
    faults = []
    for i in range(max(len(targets), len(layers))):
        if i >= len(layers):
            faults.append(f"{targets[i][0]}: not in the file")
        elif i >= len(targets):
            faults.append(f"{layers[i][0]}: in the file, not in the model")
        else:
            wanted = [tuple(variable.shape) for variable in targets[i][1]]
            found = [value.shape for value in layers[i][1]]
            if wanted != found:
                faults.append(f"{targets[i][0]}: shapes {wanted}; {layers[i][0]} has {found}")
    return faults


def _without_normalization(
    layers: list[tuple[str, list[np.ndarray]]], path: Path, normalization: Normalization
) -> list[tuple[str, list[np.ndarray]]]:
    """Takes the normalisation layer out of the file's layers, if it holds what it should."""
    kept = []
    for name, values in layers:
        if not name.startswith("normalization"):
            kept.append((name, values))
        elif not all(
            np.allclose(value.ravel(), expected, rtol=1e-3)
            for value, expected in zip(values, normalization, strict=False)
        ):
            found = [value.ravel().tolist() for value in values[:2]]
            raise BackboneError(
                f"{path} normalises pixels by mean and variance {found}, not by "
                f"{[list(part) for part in normalization]}, which its preprocessing is made for"
            )
    return kept


def _count_variables(file: h5py.File) -> int:
    """Counts the variables of a Keras 3 file: the data sets in groups called `vars`."""
    count = 0

    def visit(name: str, item: Any) -> None:
        nonlocal count
        path = f"/{name}"
        # The state of a dropout layer's random numbers is saved too, but is no weight.
        if isinstance(item, h5py.Dataset) and "/vars/" in path and "seed_generator" not in path:
            count += 1

    file.visititems(visit)
    return count


def _load_keras3(model: keras.Model, path: Path, count: int) -> None:
    if not path.name.endswith(".weights.h5"):
        raise BackboneError(
            f"{path} holds no weights in Keras 2's layout; a file in Keras 3's must be called "
            f"NAME.weights.h5"
        )
    if count == 0:
        raise BackboneError(f"{path} holds no weights at all")
    try:
        with warnings.catch_warnings():
            # Keras 3.15.1 looks for a model's internal lists in the file too, which it never saves.
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            model.load_weights(path)
    except (ValueError, KeyError) as error:
        raise BackboneError(f"{path} does not fit {model.name}: {_keras3_misfit(error)}") from error
    expected = len(model.weights)
    if count != expected:
        raise BackboneError(
            f"{path} does not fit {model.name}: it has {count} weights, the model {expected}"
        )


def _load_npz(model: keras.Model, path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name.removesuffix(":0"): archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise BackboneError(
            f"{path} is no .npz archive of plain arrays, as numpy.savez writes it: {error}"
        ) from error
    variables = {variable.path: variable for variable in model.weights}
    faults = [f"{name}: not in the file" for name in variables if name not in arrays]
    faults += [f"{name}: in the file, not in the model" for name in arrays if name not in variables]
    faults += [
        f"{name}: shape {tuple(variable.shape)}; the file has {arrays[name].shape}"
        for name, variable in variables.items()
        if name in arrays and tuple(variable.shape) != arrays[name].shape
    ]
    if faults:
        raise BackboneError(f"{path} does not fit {model.name}:\n{_lines(faults)}")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _lines(faults: list[str]) -> str:
    shown = "\n".join(f"  {fault}" for fault in faults[:10])
    return f"{shown}\n  … and {len(faults) - 10} more" if len(faults) > 10 else shown


def _keras3_misfit(error: Exception) -> str:
    """Says which layers could not be loaded, without the arrays that Keras's message shows."""
    layers = list(dict.fromkeys(_LAYER_IN_MESSAGE.findall(str(error))))
    if not layers:
        return str(error).partition("\n")[0]
    return f"it has no weights of the right shapes for {len(layers)} layers: {_some(layers)}"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
