"""Builds a backbone from a SavedModel: a module of TF Hub, or anyone's."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from tfft.system.tensorflow import keras, tf

from tfft.backbones.backbone import Backbone, Block, Part
from tfft.backbones.digest import weights_digest
from tfft.backbones.hub.blocks import WHOLE, blocks_of_names, blocks_of_patterns
from tfft.backbones.hub.layer import HubModule
from tfft.backbones.hub.module import Entrance, Module, load_module
from tfft.backbones.hub.scan import scan_saved_model
from tfft.backbones.hub.source import ARCHIVE_ENDINGS, copy_of, find_module, is_local
from tfft.catalog.spec import BackboneSpec, BlockSpec, Preprocessing
from tfft.config.model import HubBackbone
from tfft.errors import BackboneError
from tfft.system.progress import SILENT, Progress

_PREPROCESSING: Mapping[tuple[float, ...], Preprocessing] = {
    (0, 1): "unit",
    (-1, 1): "tf",
    (0, 255): "none",
}


def build_hub_backbone(
    config: HubBackbone, size_px: int | None, progress: Progress = SILENT
) -> Backbone:
    """Finds, looks through and loads a module, and makes a backbone of it.

    Args:
        config: which module, and what it does not say of itself.
        size_px: height and width of the images; None: as the module says.
        progress: told of a download.

    Raises:
        BackboneError: The module is not to be had, not to be trusted, or no backbone.
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
    images: Any = keras.Input((size_px, size_px, 3))
    model = keras.Model(images, layer(images), name="hub_backbone")
    blocks = _blocks(layer, config.blocks)
    spec = BackboneSpec(
        name=name,
        kind="hub",
        builder="",
        default_size_px=size_px,
        min_size_px=size_px,
        preprocessing=_PREPROCESSING[config.input_range],
        blocks=tuple(BlockSpec(block.name, "") for block in blocks),
        parameters=sum(math.prod(v.shape) for v in layer.module_variables.values()),
        feature_size=model.output_shape[-1],
        licence="as its source states",
        source=config.handle,
    )
    return Backbone(spec, model, blocks, weights_digest(model), source_sha256=files.sha256)


def module_name(handle: str, sha256: str) -> str:
    """Returns what a module is called: its place and the start of its digest."""
    if is_local(handle):
        label = Path(handle).name
        for ending in ARCHIVE_ENDINGS:
            label = label.removesuffix(ending)
    else:
        label = urlparse(handle).path.strip("/")
    return f"{label}@{sha256[:8]}"


def _size_px(module: Module, wanted: int | None, name: str) -> int:
    size_px = module.size_px or wanted
    if size_px is None:
        raise BackboneError(f"{name} takes images of any size: set image.size_px")
    if wanted not in (None, size_px):
        raise BackboneError(
            f"{name} takes images of {size_px} px. Set image.size_px (and image.resize_px) to "
            f"null, or have the model enlarge smaller images: image.backbone_px: {size_px}. "
            f"Received: {wanted}"
        )
    return size_px


def _output_shape(module: Module, size_px: int, name: str) -> tuple[int, ...]:
    """The shape of its activations, without batch: computed once, which also shows that it runs."""
    try:
        output = module.call(tf.zeros([1, size_px, size_px, 3]), False)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise BackboneError(f"{name} does not run on images of {size_px} px: {error}") from error
    if output.shape.rank not in (2, 4) or not output.dtype.is_floating:
        raise BackboneError(
            f"{name} gives no features: float [batch, channels], or activations [batch, height, "
            f"width, channels]. Received: {output.dtype.name} {output.shape}"
        )
    return tuple(output.numpy().shape[1:])


def _blocks(layer: HubModule, patterns: Mapping[str, tuple[str, ...]]) -> tuple[Block, ...]:
    names = list(layer.module_variables)
    if not names:
        return (Block(WHOLE, ()),)
    homes = blocks_of_patterns(names, patterns) if patterns else blocks_of_names(names)
    return tuple(
        Block(block, _parts(layer, [name for name in homes if homes[name] == block]))
        for block in dict.fromkeys(homes.values())
    )


def _parts(layer: HubModule, names: list[str]) -> tuple[Part, ...]:
    """One part a scope; a variable without one is a part alone."""
    scopes: dict[str, list[keras.Variable]] = {}
    for name in names:
        scopes.setdefault(name.rpartition("/")[0] or name, []).append(layer.module_variables[name])
    return tuple(
        Part((scope,), tuple(v for v in held if v.trainable), layer.batch_norms.get(scope))
        for scope, held in scopes.items()
    )
