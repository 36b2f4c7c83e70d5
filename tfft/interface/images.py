"""The Python interface to images: preparing and checking them.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tfft.errors import UsageError
from tfft.interface.common import optional_path, recipe_or_images
from tfft.system.notebook import NOTEBOOK
from tfft.system.paths import expanded
from tfft.system.progress import Progress

if TYPE_CHECKING:
    from tfft.audit.result import Audit
    from tfft.config.data import ImageFolderData
    from tfft.config.loading.overrides import Overrides
    from tfft.data.applied_labels import AppliedLabels
    from tfft.data.dataset import ImageData
    from tfft.data.load import DataReport
    from tfft.data.split_list import SplitList


def prepare_data(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    progress: Progress = NOTEBOOK,
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
        progress: Where the work is reported; default: in a notebook, if in one.

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
    progress: Progress = NOTEBOOK,
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
        progress: Where the work is reported; default: in a notebook, if in one.

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
        raise UsageError(
            f"{source} is a run: its data are its own, and take no --data, --labels or --set"
        )
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
    progress: Progress = NOTEBOOK,
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
        progress: Where the work is reported; default: in a notebook, if in one.

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


def audit_data(
    source: str | Path,
    *,
    data: str | Path | None = None,
    model: str | Path | None = None,
    overrides: "Overrides" = (),
    head: str | None = None,
    folds: int = 5,
    progress: Progress = NOTEBOOK,
) -> "Audit":
    """Looks through all images of a recipe, or of a run, for what a person should look at.

    Found are likely wrong labels, copies within and across classes and splits, images unlike all
    others, images that are dark, blurred, tiny or nearly uniform, and classes that can't be told
    apart. Every image is answered by a head that was solved without it, its copies and its group.

    Features come from the cache where a training has left them there, and what is measured of an
    image is kept. The backbone has the weights that the recipe starts from: weights that were
    trained on labels would remember the wrong ones.

    Args:
        source: Name of a bundled recipe, path of a recipe file, the directory or manifest of the
            images themselves, for the recipe `classifier`, or the directory of a run.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        model: A run whose recipe (backbone, pixels) and splits are taken for the images at
            `source`, which are then a directory or a manifest; default: none.
        overrides: Values in place of the recipe's: ``{"backbone.name": "EfficientNetLite2"}`` by
            dotted key, or ``["backbone.name=EfficientNetLite2"]`` as `--set` takes them; default:
            none.
        head: Name of the head whose labels are audited; default: the first one that classifies.
        folds: Number of folds, 2 or more.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        `findings`, each with the `path`, `label`, `suggested` class, `probability` and `reason`, in
        the order in which they are worth looking at; `probabilities`, the out-of-fold answers about
        every image; the accuracy by cross-validation with its interval. `write_csv` keeps the list.

    Raises:
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: The images are not what the recipe says, or too few to be compared.
        UsageError: There is no such head, none that classifies, or a run is given with other data.
        ModelFileError: `model` is not a run.
        BackboneError: The backbone or its weights cannot be found.

    Source: Northcutt, Jiang, Chuang 2021, "Confident learning: estimating uncertainty in dataset
    labels".

    Example:
        >>> import tfft
        >>> audit = tfft.audit_data("photos/")
        >>> [finding.path for finding in audit.findings if finding.kind == "wrong_label"]
        []
        >>> audit.probabilities.shape
        (60, 3)
    """
    from tfft.config.loading.load import load_recipe
    from tfft.config.loading.overrides import parse_overrides
    from tfft.runs.run import Run, open_run

    if folds < 2:
        raise UsageError(f"an audit needs two folds or more. Received: {folds}")
    path, kept = expanded(source), None
    if model is not None:
        run, _ = open_run(expanded(model))
        if not (path.is_dir() or path.suffix.lower() == ".csv") or data is not None:
            raise UsageError(
                "with a model, the images are a directory or a manifest, and there is no other "
                f"data. Received: {source}"
            )
        loaded = load_recipe(run.recipe_file, overrides=overrides, data=path)
        is_asked = any(one.path == ("data", "split_like") for one in parse_overrides(overrides))
        if not is_asked and run.splits_file.is_file():
            like = loaded.data.model_copy(update={"split_like": run.path})
            loaded = loaded.model_copy(update={"data": like})
    elif Run(path).record_file.is_file():
        if data is not None or overrides:
            raise UsageError(
                f"{source} is a run: its data are its own, and take no --data, --labels or --set"
            )
        run, loaded = open_run(path)
        kept = run.kept_splits()
    else:
        loaded = recipe_or_images(source, data, overrides)
    from tfft.audit.audit import audit

    return audit(loaded, head=head, folds=folds, kept=kept, progress=progress)


def apply_labels(
    directory: str | Path,
    labels: str | Path,
    *,
    overrides: "Overrides" = (),
    removed_to: str | Path | None = None,
    dry_run: bool = False,
    progress: Progress = NOTEBOOK,
) -> "AppliedLabels":
    """Moves photos into the folders of the classes that a labels file gives them.

    No file is ever replaced: where a name is taken, the file gets another one. The moves are listed
    in the folder (`.labels-applied.json`) before the first, so that an application that was
    interrupted is gone on with by calling this again, and any is taken back by `undo_labels`. The
    paths in the labels file become those that the photos have now, so that it holds further on.

    Args:
        directory: A directory with one folder a class, or with splits of such.
        labels: A CSV file with the columns path and label, as `data.labels` takes it.
        overrides: How the directory is read: ``{"data.folders": "classes"}``; default: none.
        removed_to: A directory for photos that are removed, on the same disk and not within
            `directory`; default: ``<directory>-removed`` beside it.
        dry_run: Move nothing; default: no.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Which files were moved and where to, or would be.

    Raises:
        DataError: There is no such directory or labels file, a label cannot be applied, or a file
            is in the way.
        UsageError: `removed_to` is not fit, or what was applied before is being undone.
        TfftError: A file cannot be moved.

    Example:
        >>> import shutil
        >>> from pathlib import Path
        >>> import tfft
        >>> photos = shutil.copytree("photos", "mended")
        >>> _ = Path("fixes.csv").write_text("path,label\\nred/1.png,blue\\nred/2.png,\\n")
        >>> print(tfft.apply_labels("mended", "fixes.csv"))
        mended: 2 files moved, 1 of them removed
          red/1.png to blue/1-2.png
          red/2.png to ../mended-removed/red/2.png
          fixes.csv: 1 image relabelled, 1 removed
          2 paths in fixes.csv changed likewise
        >>> tfft.undo_labels("mended")
        <AppliedLabels mended: 2 files moved back>
    """
    from tfft.data.applied_labels import apply_labels as apply

    return apply(
        _folder(directory, overrides, labels),
        removed_to=optional_path(removed_to),
        dry_run=dry_run,
        progress=progress,
    )


def undo_labels(
    directory: str | Path,
    *,
    dry_run: bool = False,
    progress: Progress = NOTEBOOK,
) -> "AppliedLabels":
    """Moves photos back to where they were before `apply_labels` was called the last time.

    Args:
        directory: The directory that labels were applied to.
        dry_run: Move nothing; default: no.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Which files were moved and where to, or would be.

    Raises:
        DataError: There is no such directory, or a file is in the way.
        UsageError: No labels were applied to it.
        TfftError: A file cannot be moved.

    Example:
        >>> import tfft
        >>> tfft.undo_labels("photos")
        Traceback (most recent call last):
        tfft.errors.UsageError: no labels have been applied to ...
    """
    from tfft.data.applied_labels import undo_labels as undo

    return undo(_folder(directory, ()), dry_run=dry_run, progress=progress)


def _folder(
    directory: str | Path, overrides: "Overrides", labels: str | Path | None = None
) -> "ImageFolderData":
    """Returns the section of a recipe that a directory of images stands for."""
    from tfft.config.data import ImageFolderData
    from tfft.config.loading.load import load_recipe

    config = load_recipe("classifier", data=expanded(directory), overrides=overrides).data
    if not isinstance(config, ImageFolderData):
        raise UsageError(
            "labels are applied to a folder; in a manifest, change the column label. "
            f"Received: {directory}"
        )
    return config.model_copy(update={"labels": labels and expanded(labels).absolute()})
