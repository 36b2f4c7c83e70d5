"""Runs and `.keras` files of one's own as backbones, cut before their classifier."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras

from tfft.backbones.backbone import Backbone, Origin, find_blocks
from tfft.backbones.builders import build_model
from tfft.backbones.construction import reproducible_construction
from tfft.backbones.digest import weights_digest
from tfft.backbones.keras_models.discover import find_block_specs, find_cut, image_features
from tfft.backbones.keras_models.flatten import flattened
from tfft.backbones.keras_models.keras_file import load_keras_file, reason
from tfft.backbones.keras_models.run_classifier import class_names_of_run
from tfft.backbones.record import FILE_NAME, IN_CATALOG, read_backbone_record
from tfft.catalog.spec import BackboneSpec, BlockSpec, Preprocessing
from tfft.config.model import KerasBackbone
from tfft.errors import BackboneError, ModelFileError
from tfft.system.digests import file_sha256

# By the range of the pixels that a model takes.
PREPROCESSING: Mapping[tuple[float, ...], Preprocessing] = {
    (0, 1): "unit",
    (-1, 1): "tf",
    (0, 255): "none",
}
INPUT_RANGES = "[0, 1], [-1, 1] or [0, 255]"


def build_own_model(config: KerasBackbone, size_px: int | None, seed: int) -> Backbone:
    """Builds the backbone of a run or of a `.keras` file.

    A run gives exactly its backbone: its blocks, its preprocessing, its trained weights. A file
    from elsewhere is cut where its classifier begins and divided into blocks by its graph.

    Args:
        config: which one.
        size_px: of its images; None: those that it was made for.
        seed: of random weights.

    Raises:
        BackboneError: There is none, it is no model of images, or it cannot take this size.
        ModelFileError: The file cannot be loaded, or could run code.
    """
    path = Path(config.path).expanduser()
    file = path / "model.keras" if path.is_dir() else path
    if not file.is_file():
        raise BackboneError(
            "backbone.path must be a run directory with a finished model.keras, or a .keras file. "
            f"Received: {config.path}"
        )
    sha256 = file_sha256(file)
    if config.sha256 is not None and config.sha256.lower() != sha256:
        raise BackboneError(f"{file} has the SHA-256 {sha256}, not {config.sha256}: not loaded")
    if file.with_name(FILE_NAME).is_file():
        return _of_run(config, file, sha256, size_px, seed)
    if path.is_dir():
        raise BackboneError(f"{path} is not a run of `tfft train`: it has no {FILE_NAME}")
    return _of_file(config, file, sha256, size_px, seed)


def _of_run(
    config: KerasBackbone, file: Path, sha256: str, size_px: int | None, seed: int
) -> Backbone:
    for key in ("input_range", "cut"):
        if getattr(config, key) is not None:
            raise BackboneError(
                f"backbone.{key} is for .keras files from elsewhere; the run {file.parent} knows "
                f"its own. Received: {getattr(config, key)!r}"
            )
    spec, arguments, name = read_backbone_record(file.with_name(FILE_NAME))
    if spec.kind == "hub":
        raise BackboneError(
            f"the backbone of {file.parent} is a SavedModel, which only its own recipe can load: "
            f"backbone: {{kind: hub, handle: {spec.source}}}"
        )
    trained = _inner_model(load_keras_file(file), name, file)
    spec = replace(spec, default_size_px=trained.input_shape[1])
    size_px = size_px or spec.default_size_px
    pretrained = config.weights == "pretrained"

    def build() -> keras.Model:
        if spec.kind not in IN_CATALOG:
            return flattened(trained, size_px, weights=pretrained)
        model = build_model(spec, arguments, size_px)
        if pretrained:
            for layer in model.layers:
                layer.set_weights(trained.get_layer(layer.name).get_weights())
        return model

    model = built(build, size_px, seed, file)
    origin = Origin(str(file.parent), sha256, class_names_of_run(file.parent))
    blocks = find_blocks(model, spec.blocks)
    return Backbone(spec, model, blocks, weights_digest(model), arguments, origin)


def _of_file(
    config: KerasBackbone, file: Path, sha256: str, size_px: int | None, seed: int
) -> Backbone:
    if config.input_range is None:
        raise BackboneError(
            f"backbone.input_range is missing: which pixels does {file} take? {INPUT_RANGES}, "
            "the last where the model scales them itself"
        )
    loaded = load_keras_file(file)
    shape = _image_shape(loaded, file)
    size_px = size_px or _own_size(shape, file)

    def build() -> keras.Model:
        flat = flattened(loaded, size_px, weights=config.weights == "pretrained")
        features = image_features(find_cut(flat, config.cut))
        return keras.Model(flat.inputs, features, name=f"{file.stem}_backbone".replace(".", "_"))

    model = built(build, size_px, seed, file)
    preprocessing, blocks = PREPROCESSING[config.input_range], find_block_specs(model)
    spec = describe(model, file.stem, "keras", preprocessing, str(file), blocks)
    origin = Origin(str(file), sha256, {})
    found = find_blocks(model, spec.blocks)
    return Backbone(spec, model, found, weights_digest(model), {}, origin)


def describe(
    model: keras.Model,
    name: str,
    kind: Any,
    preprocessing: Preprocessing,
    source: str,
    blocks: tuple[BlockSpec, ...],
) -> BackboneSpec:
    """Returns the spec of a backbone that is in no catalog, read from the model itself."""
    size_px = model.input_shape[1]
    return BackboneSpec(
        name=name,
        kind=kind,
        builder="",
        default_size_px=size_px,
        min_size_px=1,
        preprocessing=preprocessing,
        blocks=blocks,
        parameters=model.count_params(),
        feature_size=model.output.shape[-1],
        licence="not stated",
        source=source,
    )


def built(
    build: Callable[[], keras.Model], size_px: int, seed: int, source: str | Path
) -> keras.Model:
    """Returns what `build` makes, its random weights drawn from `seed`.

    Raises:
        BackboneError: A layer cannot take this size, or is not to be built again.
    """
    try:
        with reproducible_construction(seed):
            return build()
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise BackboneError(
            f"{source} cannot be made a backbone for images of {size_px} px: {reason(error)}"
        ) from error


def _inner_model(classifier: keras.Model, name: str, file: Path) -> keras.Model:
    """Returns the backbone within the classifier that a run wrote."""
    found = [layer for layer in classifier.layers if layer.name == name]
    if len(found) != 1 or not isinstance(found[0], keras.Model):
        raise ModelFileError(f"{file} has no model {name!r} within it, which {FILE_NAME} names")
    return found[0]


def _image_shape(model: keras.Model, file: Path) -> tuple[int | None, ...]:
    """Returns [batch, height, width, channels] of the one input of a model of colour images."""
    if not hasattr(model, "operations") and not isinstance(model, keras.Sequential):
        raise BackboneError(
            f"{file} is a subclass of keras.Model, whose layers cannot be seen from outside. Save "
            "it as a Functional model: keras.Model(inputs, outputs)"
        )
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3:
        raise BackboneError(
            f"{file} must take one batch of colour images, [batch, height, width, 3]. "
            f"Received: {', '.join(map(str, shapes))}"
        )
    return shapes[0]


def _own_size(shape: tuple[int | None, ...], file: Path) -> int:
    _, height, width, _ = shape
    if height is None or height != width:
        raise BackboneError(
            f"{file} takes images of {height or 'any height'} x {width or 'any width'}: say which "
            "square size is wanted, as image.size_px"
        )
    return height
