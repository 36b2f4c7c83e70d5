"""The Python interface to images: preparing and checking them.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import Overrides, recipe_or_images
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.data.dataset import ImageData
    from tfft.data.load import DataReport


def prepare_data(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "ImageData":
    """Prepares and scans the images of a recipe, or of a directory; instant the second time.

    Raises:
        DataError: The images are not what the recipe says; every bad file is named.
    """
    from tfft.config.model import targets_of
    from tfft.data.load import load_data

    loaded = recipe_or_images(recipe, data, overrides)
    return load_data(loaded.data, progress, targets_of(loaded.heads))


def check_data(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "DataReport":
    """Scans the images of a recipe, or of a directory, and reports counts and every bad file."""
    from tfft.config.model import targets_of
    from tfft.data.load import check_data as check

    loaded = recipe_or_images(recipe, data, overrides)
    return check(loaded.data, progress, targets_of(loaded.heads))
