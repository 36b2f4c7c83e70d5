"""The Python interface to a sheet of pictures: a look at images before training.

The function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tfft.errors import UsageError, nearest
from tfft.interface.common import recipe_or_images
from tfft.system.notebook import NOTEBOOK
from tfft.system.progress import Progress

if TYPE_CHECKING:
    from tfft.config.loading.overrides import Overrides
    from tfft.reports.sheet import Sheet


def show_data(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    pictures: int = 12,
    views: int = 4,
    augmentation: str | None = None,
    progress: Progress = NOTEBOOK,
) -> "Sheet":
    """Looks at some training images as a model would see them, and as augmentation changes them.

    A notebook shows the sheet by itself. Nothing is trained, and no weights are loaded.

    Args:
        recipe: Name of a bundled recipe, path of a recipe file, or the directory or manifest of the
            images themselves, for the recipe `classifier`.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        pictures: Number of images, of as many classes as possible; default: 12.
        views: Number of augmented views of each, those of the first epochs; default: 4.
        augmentation: A preset, to look at one that the recipe does not use: ``none``, ``flip``,
            ``random_crop``, ``random_crop_color`` or ``rand_augment``; default: those of the
            recipe's phases.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The images with their pixels; `Sheet.write` makes an HTML page or a PNG picture of them.

    Raises:
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: The images are not what the recipe says, or none are for training.
        BackboneError: The backbone, which says how large its images are, cannot be built.
        UsageError: There is no such preset, or a number is below 1.

    Example:
        >>> import tfft
        >>> sheet = tfft.show_data("photos/", pictures=3, views=2, augmentation="random_crop")
        >>> [picture.label for picture in sheet.pictures]
        ['blue', 'green', 'red']
        >>> sheet.pictures[0].views["random_crop"].shape
        (2, 32, 32, 3)
        >>> sheet.write("sheet.html")
    """
    from tfft.config.data import Augmentation

    presets = get_args(Augmentation)
    if augmentation is not None and augmentation not in presets:
        raise UsageError(
            f"no augmentation {augmentation!r}. Allowed: {', '.join(presets)}."
            f"{nearest(augmentation, presets)} Received: {augmentation}"
        )
    if min(pictures, views) < 1:
        raise UsageError(
            "a sheet has one picture or more, and one view of each or more. "
            f"Received: {pictures} pictures, {views} views"
        )
    loaded = recipe_or_images(recipe, data, overrides)
    from tfft.reports.sheet import make_sheet

    return make_sheet(
        loaded, pictures=pictures, views=views, augmentation=augmentation, progress=progress
    )
