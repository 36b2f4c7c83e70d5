"""Loads a weights file into a backbone, strictly: the file has every weight and no others."""

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras

import h5py
import numpy as np

from tfft.errors import BackboneError

# How Keras spells each layer in its message about layers that could not be loaded.
_LAYER_IN_MESSAGE = re.compile(r"<\w+ name=([^,>]+), built=")

Normalization = tuple[tuple[float, ...], tuple[float, ...]]


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
                _load_by_order(model, group, path, normalization)
                return
            count = _count_variables(file)
    except OSError as error:
        raise BackboneError(f"{path} is not a readable HDF5 file: {error}") from error
    _load_keras3(model, path, count)


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


def _load_by_order(
    model: keras.Model, group: Any, path: Path, normalization: Normalization | None
) -> None:
    """Loads a file in the layout of Keras 2: its n-th layer into the n-th layer of the model."""
    layers = []
    for name in _names(group.attrs, "layer_names"):
        weight_names = _names(group[name].attrs, "weight_names")
        if weight_names:
            layers.append((name, [np.asarray(group[name][weight]) for weight in weight_names]))
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
    for (_, variables), (_, values) in zip(targets, layers, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _misfits(
    targets: list[tuple[str, list[keras.Variable]]], layers: list[tuple[str, list[np.ndarray]]]
) -> list[str]:
    """Compares shapes layer by layer, in order; the names may differ, as automatic names do."""
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
    """Returns the layers without the normalisation layer, after checking what that layer holds."""
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
                f"{path} normalises pixels by mean and variance {found}, while the backbone's "
                f"preprocessing uses {[list(part) for part in normalization]}"
            )
    return kept


def _count_variables(file: h5py.File) -> int:
    """Counts the weights in a Keras 3 file: the data sets in groups called `vars`."""
    count = 0

    def visit(name: str, item: Any) -> None:
        nonlocal count
        path = f"/{name}"
        # The state of a dropout layer's random generator is saved too, but is not a weight.
        if isinstance(item, h5py.Dataset) and "/vars/" in path and "seed_generator" not in path:
            count += 1

    file.visititems(visit)
    return count


def _load_keras3(model: keras.Model, path: Path, count: int) -> None:
    if not path.name.endswith(".weights.h5"):
        raise BackboneError(
            f"{path} holds no weights in the layout of Keras 2; a file in that of Keras 3 must be "
            "called NAME.weights.h5"
        )
    if count == 0:
        raise BackboneError(f"{path} holds no weights at all")
    try:
        with warnings.catch_warnings():
            # Keras 3.15.1 also looks for a model's internal lists, which it never saves.
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
            f"{path} is not a .npz archive of plain arrays, as numpy.savez writes it: {error}"
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
    """Names the layers that could not be loaded, without the arrays that Keras's message shows."""
    layers = list(dict.fromkeys(_LAYER_IN_MESSAGE.findall(str(error))))
    if not layers:
        return str(error).partition("\n")[0]
    more = f" and {len(layers) - 10} more" if len(layers) > 10 else ""
    return (
        f"it has no weights of the right shapes for {len(layers)} layers: "
        f"{', '.join(layers[:10])}{more}"
    )
