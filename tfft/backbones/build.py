"""Builds the backbone that a recipe names, with the weights that it names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.backbones.backbone import Backbone, find_blocks, weights_digest
from tfft.backbones.construction import build_model, reproducible_construction
from tfft.backbones.hub.backbone import build_hub_backbone
from tfft.backbones.keras_cache import fetch
from tfft.backbones.keras_models.keras_hub_preset import build_keras_hub
from tfft.backbones.keras_models.own_model import build_own_model
from tfft.backbones.lite.efficientnet_lite import load_lite0_imagenet
from tfft.backbones.weights_loading import load_weights_file
from tfft.catalog.backbones import backbone_spec, resolve_arguments, weights_file
from tfft.catalog.image_size import ImageSize, sides, sides_text
from tfft.catalog.spec import BackboneSpec
from tfft.config.model import (
    ApplicationBackbone,
    BackboneConfig,
    HubBackbone,
    KerasBackbone,
    KerasHubBackbone,
    LiteBackbone,
)
from tfft.errors import BackboneError
from tfft.system.paths import expanded
from tfft.system.progress import SILENT, Progress


def build_backbone(
    config: BackboneConfig,
    size_px: ImageSize | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Backbone:
    """Builds a backbone for images of one size.

    Args:
        config: The `backbone` section of a recipe: name, weights, builder arguments.
        size_px: Height and width of its input in pixels; None: the backbone's default size.
        seed: Seed of random weights: the same seed gives the same weights. No global random state
            is changed.
        progress: Receives the progress of a download.

    Raises:
        BackboneError: The name, an argument or the size is not allowed, or the weights are not
            available or do not fit.
        ModelFileError: A model file cannot be loaded, or could run code.
    """
    if isinstance(config, HubBackbone):
        return build_hub_backbone(config, size_px, progress)
    if isinstance(config, KerasBackbone):
        return build_own_model(config, size_px, seed)
    if isinstance(config, KerasHubBackbone):
        return build_keras_hub(config, size_px, seed, progress)
    return _build_from_catalog(config, size_px, seed, progress)


def _build_from_catalog(
    config: ApplicationBackbone | LiteBackbone,
    size_px: ImageSize | None,
    seed: int,
    progress: Progress,
) -> Backbone:
    spec = backbone_spec(config.kind, config.name)
    given = config.arguments if isinstance(config, ApplicationBackbone) else {}
    arguments = resolve_arguments(spec, given)
    size_px = size_px or spec.default_size_px
    if min(sides(size_px)) < spec.min_size_px:
        raise BackboneError(
            f"{spec.name} needs images of at least {spec.min_size_px} px. "
            f"Received: {sides_text(size_px)}"
        )
    weights = _find_weights(spec, config.weights, arguments, size_px, progress)
    with reproducible_construction(seed):
        model = build_model(spec, arguments, size_px)
    if weights is not None:
        load_weights_file(model, weights, spec.normalization_in_file)
    elif config.weights == "imagenet":
        load_lite0_imagenet(model)
    blocks = find_blocks(model, spec.blocks)
    return Backbone(spec, model, blocks, weights_digest(model), arguments)


def _find_weights(
    spec: BackboneSpec,
    weights: str,
    arguments: Mapping[str, Any],
    size_px: ImageSize,
    progress: Progress,
) -> Path | None:
    """Returns the weights file to load, before anything is built; None if there is no file."""
    if weights == "random":
        return None
    if weights != "imagenet":
        path = expanded(weights)
        if not path.is_file():
            raise BackboneError(
                "weights must be imagenet, random or the path of a file, and there is no file at "
                f"this path. Received: {weights!r}"
            )
        return path
    if spec.kind == "lite":
        return None
    file = weights_file(spec, arguments, size_px)
    if file is None:
        published = dict.fromkeys(
            ", ".join(f"{name}: {value}" for name, value in file.arguments.items())
            for file in spec.weights
        )
        raise BackboneError(
            f"no ImageNet weights of {spec.name} are published for these arguments. Published for: "
            f"{'; '.join(published)}. Use one of these, or `weights: random`. Received: "
            f"{dict(arguments)}"
        )
    return fetch(file, progress)
