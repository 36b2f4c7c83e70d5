"""Builds a backbone from a SavedModel: a module of TF Hub, or any other."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from tfft.system.tensorflow import keras, tf

from tfft.backbones.backbone import Backbone, Block, Part, weights_digest
from tfft.backbones.hub.blocks import WHOLE, blocks_of_names, blocks_of_patterns
from tfft.backbones.hub.layer import HubModule
from tfft.backbones.hub.module import Entrance, Module, load_module
from tfft.backbones.hub.source import ARCHIVE_ENDINGS, copy_of, find_module, is_local
from tfft.catalog.image_size import ImageSize, sides, sides_text
from tfft.catalog.spec import PREPROCESSING_OF_RANGE, BackboneSpec, BlockSpec
from tfft.config.model import HubBackbone
from tfft.errors import BackboneError
from tfft.system.progress import SILENT, Progress
from tfft.untrusted.saved_model import scan_saved_model


def build_hub_backbone(
    config: HubBackbone, size_px: ImageSize | None, progress: Progress = SILENT
) -> Backbone:
    """Finds a module, checks its operations, loads it, and makes a backbone of it.

    Args:
        config: The `backbone` section of a recipe: the module, and what it does not state itself.
        size_px: Height and width of the images in pixels; None: as the module states.
        progress: Receives the progress of a download.

    Raises:
        BackboneError: The module is not available, or is not an image backbone.
        ModelFileError: It has operations that are not allowed.
    """
    files = find_module(config.handle, config.sha256, progress)
    name = module_name(config.handle, files.sha256)
    scan_saved_model(files.directory, name, config.allow_ops)
    module = load_module(files.directory, Entrance(config.signature, config.output), name)
    size_px = _size_px(module, size_px, name)
    layer = HubModule(
        output_shape=_output_shape(module, size_px, name),
        signature=config.signature,
        output=config.output,
        name="hub_module",
    )
    layer.adopt(module, copy_of(files.directory))
    images: Any = keras.Input((*sides(size_px), 3))
    model = keras.Model(images, layer(images), name="hub_backbone")
    blocks = _blocks(layer, config.blocks)
    spec = BackboneSpec(
        name=name,
        kind="hub",
        builder="",
        default_size_px=size_px,
        min_size_px=min(sides(size_px)),
        preprocessing=PREPROCESSING_OF_RANGE[config.input_range],
        blocks=tuple(BlockSpec(block.name, "") for block in blocks),
        parameters=sum(math.prod(v.shape) for v in layer.module_variables.values()),
        feature_size=model.output_shape[-1],
        licence="as its source states",
        source=config.handle,
    )
    return Backbone(spec, model, blocks, weights_digest(model), source_sha256=files.sha256)


def module_name(handle: str, sha256: str) -> str:
    """Returns the name of a module: the last part of its path, and the start of its digest."""
    if is_local(handle):
        label = Path(handle).name
        for ending in ARCHIVE_ENDINGS:
            label = label.removesuffix(ending)
    else:
        label = urlparse(handle).path.strip("/")
    return f"{label}@{sha256[:8]}"


def _size_px(module: Module, wanted: ImageSize | None, name: str) -> ImageSize:
    size_px = module.size_px or wanted
    if size_px is None:
        raise BackboneError(f"{name} takes images of any size: set image.size_px")
    if wanted is not None and wanted != size_px:
        as_written = size_px if isinstance(size_px, int) else list(size_px)
        raise BackboneError(
            f"{name} takes images of {sides_text(size_px)} px. Set image.size_px (and "
            "image.resize_px) to null, or have the model enlarge smaller images: "
            f"image.backbone_px: {as_written}. Received: {sides_text(wanted)}"
        )
    return size_px


def _output_shape(module: Module, size_px: ImageSize, name: str) -> tuple[int, ...]:
    """Runs the module once on zeros, and returns the shape of its output without the batch."""
    try:
        output = module.call(tf.zeros([1, *sides(size_px), 3]), False)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise BackboneError(
            f"{name} does not run on images of {sides_text(size_px)} px: {error}"
        ) from error
    if output.shape.rank not in (2, 4) or not output.dtype.is_floating:
        raise BackboneError(
            f"{name} must return features, float [batch, channels], or activations, float [batch, "
            f"height, width, channels]. Received: {output.dtype.name} {output.shape}"
        )
    return tuple(output.numpy().shape[1:])


def _blocks(layer: HubModule, patterns: Mapping[str, tuple[str, ...]]) -> tuple[Block, ...]:
    """Divides the variables into blocks, and each block into a part for each scope."""
    names = list(layer.module_variables)
    if not names:
        return (Block(WHOLE, ()),)
    homes = blocks_of_patterns(names, patterns) if patterns else blocks_of_names(names)
    scopes: dict[str, dict[str, list[keras.Variable]]] = {block: {} for block in homes.values()}
    for name, block in homes.items():
        scope = name.rpartition("/")[0] or name  # a variable without a scope is a part by itself
        scopes[block].setdefault(scope, []).append(layer.module_variables[name])
    return tuple(
        Block(
            block,
            tuple(
                Part((scope,), tuple(v for v in held if v.trainable), layer.batch_norms.get(scope))
                for scope, held in of_block.items()
            ),
        )
        for block, of_block in scopes.items()
    )
