"""The user's own runs and `.keras` files as backbones, cut before their classifier."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tfft.system.tensorflow import keras

from tfft.backbones.backbone import Backbone, Origin, find_blocks, weights_digest
from tfft.backbones.construction import build_model, reproducible_construction
from tfft.backbones.keras_models.discover import find_block_specs, find_cut, image_features
from tfft.backbones.keras_models.flatten import flattened
from tfft.backbones.keras_models.keras_file import load_keras_file, reason
from tfft.backbones.keras_models.run_classifier import class_names_of_run
from tfft.backbones.record import FILE_NAME, IN_CATALOG, read_backbone_record
from tfft.catalog.image_size import ImageSize, image_size, sides_text
from tfft.catalog.spec import (
    INPUT_RANGES,
    PREPROCESSING_OF_RANGE,
    BackboneSpec,
    BlockSpec,
    Kind,
    Preprocessing,
)
from tfft.config.model import KerasBackbone
from tfft.errors import BackboneError, ModelFileError
from tfft.system.digests import file_sha256
from tfft.system.paths import expanded


def build_own_model(config: KerasBackbone, size_px: ImageSize | None, seed: int) -> Backbone:
    """Builds the backbone of a run or of a `.keras` file.

    From a run comes exactly its backbone: blocks, preprocessing and trained weights. A file from
    elsewhere is cut where its classifier begins, and divided into blocks by its graph.

    Args:
        config: The `backbone` section of a recipe: path, weights, and what the file does not
            state.
        size_px: Height and width of its images in pixels; None: as the model was built.
        seed: Seed of random weights.

    Raises:
        BackboneError: There is no such file, it is not a model of images, or it cannot take
            images of this size.
        ModelFileError: The file cannot be loaded, or could run code.
    """
    path = expanded(config.path)
    file = path / "model.keras" if path.is_dir() else path
    if not file.is_file():
        raise BackboneError(
            "backbone.path must be a run directory with a finished model.keras, or a .keras file. "
            f"Received: {config.path}"
        )
    sha256 = file_sha256(file)
    if config.sha256 is not None and config.sha256.lower() != sha256:
        raise BackboneError(
            f"{file} has the SHA-256 {sha256}, and is not loaded: backbone.sha256 pins another. "
            f"Received: {config.sha256}"
        )
    if file.with_name(FILE_NAME).is_file():
        return _of_run(config, file, sha256, size_px, seed)
    if path.is_dir():
        raise BackboneError(f"{path} is not a run of `tfft train`: it has no {FILE_NAME}")
    return _of_file(config, file, sha256, size_px, seed)


def _of_run(
    config: KerasBackbone, file: Path, sha256: str, size_px: ImageSize | None, seed: int
) -> Backbone:
    for key in ("input_range", "cut"):
        if getattr(config, key) is not None:
            raise BackboneError(
                f"backbone.{key} is for .keras files from elsewhere; the run {file.parent} has its "
                f"own. Received: {getattr(config, key)!r}"
            )
    spec, arguments, name = read_backbone_record(file.with_name(FILE_NAME))
    if spec.kind == "hub":
        raise BackboneError(
            f"the backbone of {file.parent} is a SavedModel, which only its own recipe can load: "
            f"backbone: {{kind: hub, handle: {spec.source}}}"
        )
    found = [layer for layer in load_keras_file(file).layers if layer.name == name]
    if len(found) != 1 or not isinstance(found[0], keras.Model):
        raise ModelFileError(f"{file} has no model {name!r} inside it, which {FILE_NAME} names")
    trained = found[0]
    spec = replace(spec, default_size_px=image_size(*trained.input_shape[1:3]))
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
    config: KerasBackbone, file: Path, sha256: str, size_px: ImageSize | None, seed: int
) -> Backbone:
    if config.input_range is None:
        raise BackboneError(
            f"backbone.input_range is missing: the range of the pixels that {file} takes, "
            f"{INPUT_RANGES}, the last where the model scales them itself"
        )
    loaded = load_keras_file(file)
    size_px = _size_px(loaded, file, size_px)

    def build() -> keras.Model:
        flat = flattened(loaded, size_px, weights=config.weights == "pretrained")
        features = image_features(find_cut(flat, config.cut))
        return keras.Model(flat.inputs, features, name=f"{file.stem}_backbone".replace(".", "_"))

    model = built(build, size_px, seed, file)
    preprocessing, blocks = PREPROCESSING_OF_RANGE[config.input_range], find_block_specs(model)
    spec = spec_of_model(model, file.stem, "keras", preprocessing, str(file), blocks)
    origin = Origin(str(file), sha256, {})
    found = find_blocks(model, spec.blocks)
    return Backbone(spec, model, found, weights_digest(model), {}, origin)


def spec_of_model(
    model: keras.Model,
    name: str,
    kind: Kind,
    preprocessing: Preprocessing,
    source: str,
    blocks: tuple[BlockSpec, ...],
) -> BackboneSpec:
    """Returns the spec of a backbone outside the catalog, with the facts read from its model."""
    return BackboneSpec(
        name=name,
        kind=kind,
        builder="",
        default_size_px=image_size(*model.input_shape[1:3]),
        min_size_px=1,
        preprocessing=preprocessing,
        blocks=blocks,
        parameters=model.count_params(),
        feature_size=model.output.shape[-1],
        licence="not stated",
        source=source,
    )


def built(
    build: Callable[[], keras.Model], size_px: ImageSize, seed: int, source: str | Path
) -> keras.Model:
    """Returns the model that `build` builds, with random weights drawn from `seed`.

    Raises:
        BackboneError: A layer cannot take images of this size, or cannot be rebuilt.
    """
    try:
        with reproducible_construction(seed):
            return build()
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise BackboneError(
            f"{source} cannot become a backbone for images of {sides_text(size_px)} px: "
            f"{reason(error)}"
        ) from error


def _size_px(model: keras.Model, file: Path, wanted: ImageSize | None) -> ImageSize:
    """Returns the size that is wanted, or else that of a model of colour images."""
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
    if wanted is not None:
        return wanted
    _, height, width, _ = shapes[0]
    if height is None or width is None:
        raise BackboneError(
            f"{file} takes images of {height or 'any height'} x {width or 'any width'}: set "
            "image.size_px"
        )
    return image_size(height, width)
