"""What a recipe and its images say of the model, without the model or TensorFlow."""

from datetime import UTC, datetime

from tfft.config.model import targets_of
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.examples import Images
from tfft.data.kept_splits import KeptSplits
from tfft.data.load import load_data
from tfft.errors import DataError, RecipeError, UsageError, nearest
from tfft.images.spec import PixelSpec
from tfft.model.head_size import HeadSize, number_size
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.system.progress import Progress
from tfft.transfer.frozen.engine import declared_engine
from tfft.version import __version__


def load_of_recipe(recipe: Recipe, progress: Progress, kept: KeptSplits | None = None) -> ImageData:
    """Loads the data of a recipe, in their splits or in those that a run keeps.

    Raises:
        DataError: The images are not what the recipe says, or none are for training.
        RecipeError: A head weighs a class that the data do not have.
        UsageError: The recipe names an engine that is not installed.
    """
    declared_engine(recipe.train.cache)  # before the minutes that images may take
    data = load_data(recipe.data, progress, targets_of(recipe.heads), kept)
    if "train" not in data.splits:
        raise DataError(f"{data.name} has no training images, only {', '.join(data.splits)}")
    faults = [
        f"heads.{name}.class_weights: {weighed!r} is not a class of {data.name}."
        f"{nearest(weighed, data.class_names[head.target])}"
        for name, head in recipe.heads.items()
        if head.kind == "classification" and not isinstance(head.class_weights, str)
        for weighed in head.class_weights
        if weighed not in data.class_names[head.target]
    ]
    if faults:
        raise RecipeError("\n".join(faults))
    return data


def classifying_head(recipe: Recipe, head: str | None, what: str) -> str:
    """Returns the name of a head that classifies; of several the first, unless one is named.

    Args:
        recipe: The recipe.
        head: Name of a head, or None.
        what: What needs the head, for the message, such as "an audit".

    Raises:
        UsageError: There is no such head, or none that classifies.
    """
    names = [name for name, config in recipe.heads.items() if config.kind == "classification"]
    if head is None and names:
        return names[0]
    if head is None or head not in names:
        raise UsageError(
            f"{what} needs a head that classifies: {', '.join(names) or 'the recipe has none'}. "
            f"Received: {head}"
        )
    return head


def examples_of(data: ImageData, split: str, pixels: PixelSpec) -> Images:
    """Returns the images of a split as the model takes them; there may be none."""
    nothing = data.splits["train"].take([])
    return Images(data.splits.get(split, nothing), pixels)


def head_sizes(recipe: Recipe, data: ImageData) -> dict[str, HeadSize]:
    """Returns the size of each head, by name."""
    sizes = {}
    for name, head in recipe.heads.items():
        if head.kind == "box":
            sizes[name] = HeadSize(4)
        elif head.kind == "regression":
            sizes[name] = number_size(data.splits["train"].targets[head.target])
        else:
            names = data.class_names[head.target]
            sizes[name] = HeadSize(len(names), class_names=names)
    return sizes


def model_info(
    recipe: Recipe, data: ImageData, pixels: PixelSpec, backbone: str, licence: str | None
) -> ModelInfo:
    """Returns what the trained model says of itself.

    Args:
        recipe: The recipe, resolved.
        data: Its images.
        pixels: Pixels that the model takes.
        backbone: Name of the backbone.
        licence: Licence of its weights.
    """
    return ModelInfo(
        name=recipe.export.name or recipe.name,
        input=pixels,
        heads={
            name: HeadInfo(head.kind, tuple(data.class_names.get(head.target, ())), head.target)
            for name, head in recipe.heads.items()
        },
        backbone=backbone,
        licence=licence,
        data=recipe.data.model_dump(mode="json"),
        tfft_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
