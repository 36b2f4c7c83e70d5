"""What the functions of the Python interface share."""

from pathlib import Path
from typing import TYPE_CHECKING

from tfft.errors import UsageError
from tfft.system.paths import expanded

if TYPE_CHECKING:
    from tfft.config.loading.overrides import Overrides
    from tfft.config.recipe import Recipe


def recipe_or_images(
    recipe: str | Path, data: str | Path | None, overrides: "Overrides"
) -> "Recipe":
    """Loads a recipe, or the recipe `classifier` on a directory or manifest of images.

    Raises:
        UsageError: `recipe` is a path of several parts at which there is nothing.
    """
    from tfft.config.loading.load import load_recipe

    path = expanded(recipe)
    if data is None and len(path.parts) > 1 and not path.exists():
        raise UsageError(f"there is no folder, manifest or recipe of this path. Received: {recipe}")
    if data is None and (path.is_dir() or path.suffix.lower() == ".csv"):
        return load_recipe("classifier", overrides=overrides, data=path)
    return load_recipe(recipe, overrides=overrides, data=optional_path(data))


def optional_path(path: str | Path | None) -> Path | None:
    """Returns what a user gave for a path as one."""
    return None if path is None else expanded(path)
