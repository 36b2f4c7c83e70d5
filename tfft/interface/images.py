"""The Python interface to images: preparing and checking them.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import recipe_or_images
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.config.loading.overrides import Overrides
    from tfft.data.dataset import ImageData
    from tfft.data.load import DataReport


def prepare_data(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    progress: Progress = SILENT,
) -> "ImageData":
    """Downloads or lists, scans and splits the images of a recipe.

    What was found is kept: a second call on unchanged files does next to nothing.

    Args:
        recipe: Name of a bundled recipe, path of a recipe file, or the directory or manifest of the
            images themselves, for the recipe `classifier`.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        progress: Where the work is reported; default: nowhere.

    Returns:
        The images in their splits; bytes are read when they are needed.

    Raises:
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: The images are not what the recipe says; the message names every bad file.

    Example:
        >>> import tfft
        >>> data = tfft.prepare_data("photos/")
        >>> data
        <ImageData photos: 60 images, 3 classes>
        >>> data.counts
        {'validation': 5, 'train': 43, 'test': 12}
    """
    from tfft.config.model import targets_of
    from tfft.data.load import load_data

    loaded = recipe_or_images(recipe, data, overrides)
    return load_data(loaded.data, progress, targets_of(loaded.heads))


def check_data(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    progress: Progress = SILENT,
) -> "DataReport":
    """Scans the images of a recipe and reports counts, bad files and contradictions.

    Unlike `prepare_data` it does not stop at a bad file.

    Args:
        recipe: Name of a bundled recipe, path of a recipe file, or the directory or manifest of the
            images themselves, for the recipe `classifier`.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        progress: Where the work is reported; default: nowhere.

    Returns:
        Number of images by split and class, every bad file, and images that lie under two labels.

    Raises:
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: There are no images, or not the targets that the heads need.

    Example:
        >>> import tfft
        >>> found = tfft.check_data("photos/")
        >>> found
        <DataReport photos: 60 images, 0 bad files, 0 under two labels>
        >>> found.counts["train"]
        {'blue': 14, 'green': 15, 'red': 14}
    """
    from tfft.config.model import targets_of
    from tfft.data.load import check_data as check

    loaded = recipe_or_images(recipe, data, overrides)
    return check(loaded.data, progress, targets_of(loaded.heads))
