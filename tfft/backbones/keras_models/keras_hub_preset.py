"""Builds an image backbone of KerasHub from a preset directory or a handle."""

import os
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras

import h5py
from keras import layers

from tfft.backbones.backbone import Backbone, find_blocks, weights_digest
from tfft.backbones.keras_models.discover import find_block_specs, image_features
from tfft.backbones.keras_models.flatten import flattened
from tfft.backbones.keras_models.keras_file import (
    import_keras_hub,
    reason,
    refuse_code,
    require_finite,
)
from tfft.backbones.keras_models.own_model import built, spec_of_model
from tfft.catalog.image_size import ImageSize, image_size
from tfft.catalog.spec import INPUT_RANGES, PREPROCESSING_OF_RANGE
from tfft.config.model import KerasHubBackbone
from tfft.errors import BackboneError, nearest
from tfft.system.damage import reading
from tfft.system.files import read_json
from tfft.system.paths import expanded
from tfft.system.progress import Progress
from tfft.untrusted.hdf5 import check_hdf5

# The size where a backbone takes any size and its image converter names none.
_DEFAULT_SIZE_PX = 224
_CONNECTION_SECONDS = 3.0


def build_keras_hub(
    config: KerasHubBackbone, size_px: ImageSize | None, seed: int, progress: Progress
) -> Backbone:
    """Builds a KerasHub backbone as a flat Functional model in blocks.

    Args:
        config: The `backbone` section of a recipe: the preset, and the output used as features.
        size_px: Height and width of its images in pixels; None: as the preset states, or 224.
        seed: Seed of random weights.
        progress: Receives a message before a download.

    Raises:
        BackboneError: The preset is not available, is not an image backbone, or cannot take images
            of this size.
        ModelFileError: KerasHub is not installed, or a directory holds code, or weights that lie in
            other files or are not finite.
    """
    directory = expanded(config.preset)
    source = str(directory) if directory.is_dir() else config.preset
    if directory.is_dir() and not (directory / "config.json").is_file():
        raise BackboneError(
            f"{directory} is not a KerasHub preset: it has no config.json. "
            "`backbone.save_to_preset` of KerasHub writes such a directory."
        )
    if not directory.is_dir():
        progress.message(f"KerasHub preset {config.preset}: from its cache, or by download")
    else:
        refuse_code(read_json(directory / "config.json"), directory)
        for path in sorted(directory.rglob("*.h5")):
            with reading(path, "an HDF5 file", error=BackboneError), h5py.File(path, "r") as file:
                check_hdf5(file, str(path))
    keras_hub = _import_for(config.preset)
    preset = _loaded(lambda: keras_hub.models.Backbone.from_preset(source), config.preset)
    require_finite(preset.weights, Path(source))
    converter = _image_converter(keras_hub, source, directory)
    if size_px is None:
        shape = preset.inputs[0].shape
        wanted = getattr(converter, "image_size", None) or (_DEFAULT_SIZE_PX, _DEFAULT_SIZE_PX)
        has_size = len(shape) == 4 and shape[1] and shape[2]
        size_px = image_size(*(int(side) for side in (shape[1:3] if has_size else wanted)))
    features, last = _features(preset, config)
    entrance = None if config.input_range else _entrance(converter, config.preset)

    def build() -> keras.Model:
        chosen = keras.Model(preset.inputs, [features, last], name=preset.name)
        return flattened(chosen, size_px, weights=config.weights == "pretrained", entrance=entrance)

    flat = built(build, size_px, seed, config.preset)
    # Blocks are those on the path to the last activations, whichever levels become features.
    specs = find_block_specs(keras.Model(flat.inputs, flat.outputs[1]))
    model = keras.Model(flat.inputs, image_features(flat.outputs[0]), name=preset.name)
    preprocessing = PREPROCESSING_OF_RANGE[config.input_range] if config.input_range else "none"
    name = directory.name if directory.is_dir() else config.preset
    spec = spec_of_model(model, name, "keras_hub", preprocessing, source, specs)
    return Backbone(spec, model, find_blocks(model, spec.blocks), weights_digest(model))


def _import_for(preset: str) -> Any:
    """Imports KerasHub; without a network, Hugging Face's client is told not to wait for it."""
    # Whether a host can be reached through a proxy, only the client itself can find out.
    proxies = [os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")]
    if preset.startswith("hf://") and "HF_HUB_OFFLINE" not in os.environ and not any(proxies):
        from huggingface_hub import constants

        host = constants.ENDPOINT.partition("://")[2].partition("/")[0]
        try:
            socket.create_connection((host, 443), _CONNECTION_SECONDS).close()
        except OSError:
            constants.HF_HUB_OFFLINE = True
    return import_keras_hub("backbone.kind is keras_hub")


def _loaded(load: Callable[[], Any], preset: str) -> Any:
    """Returns what `load` returns; the errors of all libraries involved become one of tfft's."""
    from kagglehub.exceptions import UnauthenticatedError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load()
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ImportError,
        UnauthenticatedError,
    ) as error:
        raise BackboneError(
            f"cannot load the KerasHub preset {preset}: {reason(error)[:300]}\n"
            "A handle needs the network the first time. Without a network, give a preset "
            "directory that was written where there is one: keras_hub.models.Backbone."
            "from_preset(HANDLE).save_to_preset(DIRECTORY), and the same for its "
            "keras_hub.layers.ImageConverter."
        ) from error


def _image_converter(keras_hub: Any, source: str, directory: Path) -> Any:
    """Returns the preset's image converter; None if it has none."""
    names = ("image_converter.json", "preprocessor.json")
    if directory.is_dir() and not any((directory / name).is_file() for name in names):
        return None
    try:
        return keras_hub.layers.ImageConverter.from_preset(source)
    except (ValueError, OSError):  # KerasHub's way to say that there is none
        return None


def _entrance(converter: Any, preset: str) -> Callable[[Any], Any]:
    """Returns the layer from pixels in 0..255 to the range that the backbone takes."""
    if converter is None:
        raise BackboneError(
            f"the KerasHub preset {preset} has no image converter, which would state the range of "
            f"its pixels. Set backbone.input_range: {INPUT_RANGES}"
        )
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    rescaling: Any = layers.Rescaling(scale, offset, dtype="float32", name="image_converter")
    return rescaling


def _features(preset: Any, config: KerasHubBackbone) -> tuple[Any, Any]:
    """Returns the tensor that becomes features, and the last activations."""
    if len(preset.inputs) != 1 or len(preset.inputs[0].shape) != 4:
        raise BackboneError(
            f"{config.preset} is not an image backbone: it takes "
            f"{', '.join(tensor.name for tensor in preset.inputs)}"
        )
    levels = getattr(preset, "pyramid_outputs", None) or preset.output
    levels = levels if isinstance(levels, dict) else {}
    if len(preset.outputs) == 1:
        last = preset.outputs[0]
    elif levels:
        last = list(levels.values())[-1]
    else:
        raise BackboneError(f"{config.preset} has several outputs, and no feature pyramid")
    if isinstance(config.features, tuple):
        return _pooled_levels(config.features, levels, config.preset), last
    return _tokens(preset, last, config), last


def _pooled_levels(names: tuple[str, ...], levels: dict[str, Any], preset: str) -> Any:
    """Returns the mean of each level over its positions, concatenated."""
    unknown = [name for name in names if name not in levels]
    if unknown:
        raise BackboneError(
            f"{preset} has no level {', '.join(unknown)} in its feature pyramid. Levels: "
            f"{', '.join(levels) or 'none'}.{nearest(unknown[0], levels)}"
        )
    kinds = {3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D}
    means = []
    for name in names:
        pooling: Any = kinds[len(levels[name].shape)](name=f"mean_of_{name}")
        means.append(pooling(levels[name]))
    return means[0] if len(means) == 1 else layers.Concatenate(name="levels")(means)


def _tokens(preset: Any, last: Any, config: KerasHubBackbone) -> Any:
    """Returns the features: activations unchanged, the class token, or the image's tokens."""
    wanted = config.features
    if len(last.shape) != 3:
        if wanted in ("class_token", "token_mean"):
            raise BackboneError(
                f"{config.preset} has activations {last.shape}, not tokens. Set "
                f"backbone.features: last. Received: {wanted}"
            )
        return last
    extra = _extra_tokens(preset, last)
    if wanted == "class_token" and not extra:
        raise BackboneError(
            f"{config.preset} has no class token. Set backbone.features: token_mean"
        )
    if wanted == "class_token" or (wanted is None and extra):
        first: Any = layers.Cropping1D((0, last.shape[1] - 1), name="first_token")
        alone: Any = layers.Flatten(name="class_token")
        return alone(first(last))
    if not extra or wanted == "last":
        return last
    crop: Any = layers.Cropping1D((extra, 0), name="image_tokens")
    return crop(last)


def _extra_tokens(preset: Any, tokens: Any) -> int:
    """Returns the number of tokens before those of the image: a class token, then others."""
    patch = getattr(preset, "patch_size", None)
    if patch is None:
        return 0
    height, width = patch if isinstance(patch, tuple | list) else (patch, patch)
    _, rows, columns, _ = preset.inputs[0].shape
    return max(tokens.shape[1] - (rows // height) * (columns // width), 0)
