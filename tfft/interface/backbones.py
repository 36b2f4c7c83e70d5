"""The Python interface to backbones: what they are and what they know.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfft.errors import UsageError
from tfft.interface.common import optional_path, recipe_or_images
from tfft.system.notebook import NOTEBOOK
from tfft.system.paths import expanded
from tfft.system.progress import Progress

if TYPE_CHECKING:
    from tfft.backbones.describe import BackboneDescription
    from tfft.catalog.image_size import ImageSize
    from tfft.config.loading.overrides import Overrides
    from tfft.studies.backbone_check import CheckResult
    from tfft.transfer.probes.probe import Probe
    from tfft.transfer.probes.rank import Ranking


def probe(
    source: str | Path,
    *,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    head: str | None = None,
    plot: str | Path | None = None,
    progress: Progress = NOTEBOOK,
) -> "Probe":
    """Measures a linear classifier at the end of each block of a backbone.

    It says up to which block a backbone carries over to the images.

    Args:
        source: A recipe (name, path, or the directory or manifest of its images), probed with the
            weights that it starts from; or a run directory, probed with those that it was trained
            to.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; none for a run.
        overrides: Values in place of the recipe's, as `train` takes them; none for a run.
        head: Name of the head whose classes are probed; default: the first one that classifies.
        plot: File for a plot, ``.png``, ``.svg`` or ``.pdf`` (extra `plots`); default: none is
            made.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Validation top-1 of each block, with its 95 % interval.

    Raises:
        UsageError: There is no such head, the plot cannot be made, or a run was given data or
            overrides.
        DataError: There are no validation images.
        RecipeError: The recipe is wrong; the message names every fault.
        BackboneError: The backbone or its weights cannot be found.
        ModelFileError: The run has no model.

    Source: Alain and Bengio 2016, "Understanding intermediate layers using linear classifier
    probes".

    Example:
        >>> import tfft
        >>> probe = tfft.probe("runs/classifier")
        >>> [block.block for block in probe.blocks]
        ['edges', 'shapes']
        >>> probe.best.top1
        1.0
    """
    source, plot = expanded(source), optional_path(plot)
    is_run = (source / "run.json").is_file()
    if is_run and (data is not None or overrides):
        raise UsageError("a run is probed on its own data: it takes no --data, --labels or --set.")
    recipe = None if is_run else recipe_or_images(source, data, overrides)
    from tfft.system.pictures import require_picture
    from tfft.transfer.probes.probe import probe_recipe, probe_run
    from tfft.transfer.probes.probe_plot import write_plot

    if plot is not None:
        require_picture(plot)
    if recipe is None:
        found = probe_run(source, head, progress)
    else:
        found = probe_recipe(recipe, head, progress)
    if plot is not None:
        write_plot(found, plot)
    return found


def rank(
    backbones: Sequence[str],
    *,
    recipe: str | Path = "classifier",
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    progress: Progress = NOTEBOOK,
) -> "Ranking":
    """Ranks backbones on images by a quick linear probe, with LogME and the H-score beside it.

    Features are computed once and cached; nothing is trained, and test images are not read.

    Args:
        backbones: Names (``EfficientNetLite0``, ``MobileNet:alpha=0.25,weights=FILE``), run
            directories, ``.keras`` files, SavedModels (directory, archive or address),
            ``keras_hub:PRESET``, or recipes, whose backbone is taken.
        recipe: Recipe whose images, pixels and seed are used: name or path; default:
            ``classifier``.
        data: A directory with one folder a class, or a CSV manifest, in place of the images that
            the recipe names; default: the recipe's.
        overrides: Values in place of the recipe's: ``{"train.batch_size": 64}`` by dotted key, or
            ``["train.batch_size=64"]`` as `--set` takes them; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The backbones, the best probe first, and in `failed` why others have no place: those whose
        weights cannot be found, for example.

    Raises:
        BackboneError: A text stands for no backbone, or none of them can be ranked; the message
            names every such text.
        RecipeError: The recipe is wrong; the message names every fault.
        DataError: The images are not what the recipe says, or none are for validation.

    Example:
        >>> import tfft
        >>> ranking = tfft.rank(["classifier", "runs/classifier"], data="photos/")
        >>> sorted(backbone.name for backbone in ranking.backbones)
        ['classifier', 'runs/classifier']
        >>> ranking.images
        {'train': 46, 'validation': 3}
    """
    from tfft.config.loading.load import load_recipe
    from tfft.config.loading.named_backbone import parse_backbones

    loaded = load_recipe(recipe, overrides=overrides, data=optional_path(data))
    named = parse_backbones(backbones)
    from tfft.transfer.probes.rank import rank as ranking

    return ranking(loaded, named, progress)


def describe_backbone(
    name_or_handle: str,
    *,
    size_px: "ImageSize | None" = None,
    overrides: "Overrides" = (),
    progress: Progress = NOTEBOOK,
) -> "BackboneDescription":
    """Builds a backbone and says what it is.

    Args:
        name_or_handle: A text as `rank` takes it. A name of the catalog stands for random weights
            unless its text says otherwise.
        size_px: Height and width of its images in pixels, one number or ``(height, width)``;
            default: its own.
        overrides: Values in place of those of a recipe's `backbone` section: ``{"backbone.output":
            "features"}``; default: none.
        progress: Where a download is reported; default: in a notebook, if in one.

    Returns:
        Its size, parameters, blocks, source and licence.

    Raises:
        BackboneError: There is no such backbone, or it holds what is not loaded.
        RecipeError: A value is wrong; the message names every fault.

    Example:
        >>> import tfft
        >>> backbone = tfft.describe_backbone("EfficientNetLite0")
        >>> backbone
        <BackboneDescription EfficientNetLite0 at 224 px: 3,413,024 parameters, 18 blocks>
        >>> backbone.licence, [block.name for block in backbone.blocks[:3]]
        ('Apache-2.0', ['stem', 'block1a', 'block2a'])
    """
    from tfft.config.loading.named_backbone import parse_backbone

    config = parse_backbone(name_or_handle, weights="random", overrides=overrides).config
    from tfft.backbones.build import build_backbone
    from tfft.backbones.describe import describe

    return describe(build_backbone(config, size_px, progress=progress))


def check_backbone(
    name_or_handle: str,
    *,
    size_px: "ImageSize | None" = None,
    overrides: "Overrides" = (),
    progress: Progress = NOTEBOOK,
) -> "tuple[CheckResult, ...]":
    """Tries out a backbone: a forward pass, training steps, saving, loading and exports.

    It takes a minute and no data: what is tried is the mechanism, on random images.

    Args:
        name_or_handle: A text as `rank` takes it. A name of the catalog stands for random weights
            unless its text says otherwise.
        size_px: Height and width of its images in pixels, one number or ``(height, width)``;
            default: its own.
        overrides: Values in place of those of a recipe's `backbone` section: ``{"backbone.output":
            "features"}``; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        What was tried, whether it passed, and what was measured.

    Raises:
        BackboneError: There is no such backbone, or it holds what is not loaded.
        RecipeError: A value is wrong; the message names every fault.

    Example:
        >>> import tfft
        >>> pixels = {"backbone.input_range": [-1, 1]}
        >>> tried = tfft.check_backbone("models/own.keras", overrides=pixels)
        >>> tried[0].what, all(finding.passed for finding in tried)
        ('forward', True)
    """
    from tfft.config.loading.named_backbone import parse_backbone

    config = parse_backbone(name_or_handle, weights="random", overrides=overrides).config
    from tfft.backbones.build import build_backbone
    from tfft.studies.backbone_check import check_backbone as check

    return check(build_backbone(config, size_px, progress=progress), progress)
