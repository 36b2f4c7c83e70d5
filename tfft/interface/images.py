"""The Python interface to images: preparing and checking them.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tfft.errors import UsageError
from tfft.interface.common import recipe_or_images
from tfft.system.paths import expanded
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.config.loading.overrides import Overrides
    from tfft.data.dataset import ImageData
    from tfft.data.load import DataReport
    from tfft.data.split_list import SplitList


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
        {'validation': 3, 'train': 46, 'test': 11}
    """
    from tfft.config.model import targets_of
    from tfft.data.load import load_data

    loaded = recipe_or_images(recipe, data, overrides)
    return load_data(loaded.data, progress, targets_of(loaded.heads))


def split_data(
    source: str | Path,
    *,
    output: str | Path,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    progress: Progress = SILENT,
) -> "SplitList":
    """Writes the split of each image of a recipe, or of a run, as a CSV file to keep.

    `data.split_like` takes over such a file. Where the images are a folder's or a manifest's, it is
    a manifest itself, with paths relative to its directory.

    Args:
        source: Name of a bundled recipe, path of a recipe file, the directory or manifest of the
            images themselves, or the directory of a run, whose images are split as it was trained.
        output: The file to write, which must not exist.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"data.split_seed": 1}`` by dotted key, or
            ``["data.split_seed=1"]`` as `--set` takes them; default: none.
        progress: Where the work is reported; default: nowhere.

    Returns:
        The file, and the number of images by split.

    Raises:
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: The images are not what the recipe says, or not those of the run.
        UsageError: `output` exists, or a run is given with other data or values.

    Example:
        >>> import tfft
        >>> written = tfft.split_data("photos/", output="split.csv")
        >>> sum(written.counts.values())
        60
        >>> tfft.prepare_data("split.csv").counts == written.counts
        True
    """
    from tfft.config.model import targets_of
    from tfft.data.load import load_data
    from tfft.data.split_list import write_split_list
    from tfft.runs.run import Run, open_run, require_same_data

    path, file = expanded(source), expanded(output)
    if not Run(path).record_file.is_file():
        loaded = recipe_or_images(source, data, overrides)
        images = load_data(loaded.data, progress, targets_of(loaded.heads))
        return write_split_list(file, images, loaded.data)
    if data is not None or overrides:
        raise UsageError(f"{source} is a run: its data are its own, and take no --data or --set")
    run, loaded = open_run(path)
    images = load_data(loaded.data, progress, targets_of(loaded.heads), run.kept_splits())
    if images.changes is None:
        require_same_data(run, images)
    return write_split_list(file, images, loaded.data)


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
        {'blue': 14, 'green': 17, 'red': 15}
    """
    from tfft.config.model import targets_of
    from tfft.data.load import check_data as check

    loaded = recipe_or_images(recipe, data, overrides)
    return check(loaded.data, progress, targets_of(loaded.heads))
