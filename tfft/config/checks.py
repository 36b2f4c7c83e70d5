"""Faults that lie between the values of a recipe and need neither model nor data."""

from collections.abc import Iterator

from tfft.catalog.backbones import backbone_spec, resolve_arguments
from tfft.config.data import ImageFolderData, ManifestData
from tfft.config.recipe import Recipe
from tfft.config.source import Path
from tfft.errors import BackboneError


def check_recipe(recipe: Recipe) -> Iterator[tuple[Path, str]]:
    """Yields the path and the sentence of each fault."""
    yield from _data(recipe)
    yield from _image(recipe)
    yield from _backbone(recipe)
    yield from _train(recipe)


def _data(recipe: Recipe) -> Iterator[tuple[Path, str]]:
    if isinstance(recipe.data, ImageFolderData) and recipe.data.path is None:
        yield (
            ("data", "path"),
            "which images? Give --data DIR, a directory with one folder a class, or set data.path",
        )
    if isinstance(recipe.data, ManifestData) and recipe.data.path is None:
        yield ("data", "path"), "which images? Give --data FILE.csv, or set data.path"


def _image(recipe: Recipe) -> Iterator[tuple[Path, str]]:
    image = recipe.image
    if image.resize_px is None:
        return
    if image.fit == "stretch":
        yield (
            ("image", "resize_px"),
            "belongs to fit: crop; with fit: stretch there is only size_px",
        )
    if image.size_px is not None and image.resize_px < image.size_px:
        yield (
            ("image", "resize_px"),
            f"must be at least size_px ({image.size_px}), which is cut from it. "
            f"Received: {image.resize_px}",
        )


def _backbone(recipe: Recipe) -> Iterator[tuple[Path, str]]:
    try:
        spec = backbone_spec(recipe.backbone.kind, recipe.backbone.name)
    except BackboneError as error:
        yield ("backbone", "name"), str(error)
        return
    try:
        resolve_arguments(spec, getattr(recipe.backbone, "arguments", {}))
    except BackboneError as error:
        yield ("backbone", "arguments"), str(error)


def _train(recipe: Recipe) -> Iterator[tuple[Path, str]]:
    for number, phase in enumerate(recipe.train.phases):
        where = ("train", "phases", number)
        if getattr(phase, "weight_decay", 0) and recipe.train.optimizer.name == "adam":
            yield (
                (*where, "weight_decay"),
                "belongs to adamw or sgd, where it is decoupled; set train.optimizer.name: adamw",
            )
        if phase.unfreeze == "none" and getattr(phase, "batch_norm", "frozen") == "adapt":
            yield (
                (*where, "batch_norm"),
                "adapts in trained blocks only, and unfreeze: none trains none",
            )
