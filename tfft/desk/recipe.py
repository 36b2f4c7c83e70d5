"""By which recipe a desk reads its photos and trains on them."""

from pathlib import Path

from tfft.config.loading.load import load_recipe
from tfft.config.recipe import Recipe
from tfft.errors import UsageError
from tfft.runs.run import open_run

# The recipe of photos that no model was trained on yet: heads only, seconds when it is repeated.
_FIRST = "classifier"
_SUFFIX = ".labels.csv"


def recipe_of_desk(data: Path, run: Path | None, labels: Path | None) -> Recipe:
    """Returns the recipe of a run on other photos or labels, or `classifier` without a run.

    Each photo stays in the split that it was in, if the run keeps that.

    Args:
        data: A directory with one folder a class, or a CSV manifest.
        run: The run whose recipe is repeated, or None.
        labels: Labels file that holds; None: the labels of the folders or the manifest.

    Raises:
        UsageError: The model has no head that says which class an image is.
        RecipeError: The recipe does not go with these photos.
    """
    overrides = {"data.labels": None if labels is None else str(labels.absolute())}
    if run is None:
        return load_recipe(_FIRST, data=data, overrides=overrides)
    opened, before = open_run(run)
    if [(head.kind, head.target) for head in before.heads.values()] != [
        ("classification", "label")
    ]:
        raise UsageError(
            f"the desk is for models with one head, which says which class an image is. "
            f"{run} has {', '.join(f'{n} ({h.kind})' for n, h in before.heads.items())}."
        )
    if opened.splits_file.is_file():  # runs of format 1 and older keep none
        overrides["data.split_like"] = str(opened.path.absolute())
    is_same = getattr(before.data, "path", None) == data.absolute()
    return load_recipe(opened.recipe_file, data=None if is_same else data, overrides=overrides)


def labels_file_of(data: Path, run: Path | None) -> Path:
    """Returns where decisions are kept unless `--labels` says.

    It is the labels file that the run was trained with, or ``photos.labels.csv`` beside ``photos``.
    """
    if run is not None:
        config = open_run(run)[1].data
        used = getattr(config, "labels", None)
        if used is not None and getattr(config, "path", None) == data.absolute():
            return used
    place = data.resolve() if data.name in ("", "..") else data
    return place.with_name(f"{place.stem if place.suffix == '.csv' else place.name}{_SUFFIX}")
