"""The Python interface to backbones: what they are and what they know.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfft.errors import UsageError
from tfft.interface.common import Overrides, optional_path, recipe_or_images
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.backbones.describe import BackboneDescription
    from tfft.studies.backbone_check import CheckResult
    from tfft.transfer.probes.probe import Probe
    from tfft.transfer.probes.rank import Ranking


def probe(
    source: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Overrides = (),
    head: str | None = None,
    plot: str | Path | None = None,
    progress: Progress = SILENT,
) -> "Probe":
    """Measures a linear classifier at the end of each block of a backbone.

    Args:
        source: a recipe, probed with the weights that it starts from, or a run directory, probed
            with those that it was trained to; a run takes no data and overrides.
        data: as of `train`; overrides: likewise.
        head: whose classes; default: the first one that classifies.
        plot: file to write a picture to, ``.png``, ``.svg`` or ``.pdf``.
        progress: where the work is reported.

    Raises:
        UsageError: There is no such head, or the picture cannot be made.
        DataError: There are no validation images.
        RecipeError, BackboneError, ModelFileError: As `train` and `resume`.
    """
    is_run = (Path(source) / "run.json").is_file()
    if is_run and (data is not None or overrides):
        raise UsageError("a run is probed on its own data: it takes no --data and no --set.")
    recipe = None if is_run else recipe_or_images(source, data, overrides)
    from tfft.system.pictures import require_picture
    from tfft.transfer.probes.probe import probe_recipe, probe_run
    from tfft.transfer.probes.probe_plot import write_plot

    if plot is not None:
        require_picture(Path(plot))
    if recipe is None:
        found = probe_run(Path(source), head, progress)
    else:
        found = probe_recipe(recipe, head, progress)
    if plot is not None:
        write_plot(found, Path(plot))
    return found


def rank(
    backbones: Sequence[str],
    *,
    recipe: str | Path = "classifier",
    data: str | Path | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "Ranking":
    """Ranks backbones on images by a quick linear probe, with LogME and the H-score beside it.

    Args:
        backbones: Names (``EfficientNetLite0``, ``MobileNet:alpha=0.25,weights=FILE``), run
            directories, ``.keras`` files, SavedModels (directory, archive or address),
            ``keras_hub:PRESET``, or recipes, whose backbone is taken.
        recipe: whose images and pixels are used.
        data: as of `train`; overrides: likewise.
        progress: where the work is reported.

    Raises:
        BackboneError: A name stands for no backbone, or its weights are not to be had.
        DataError: The images are not what the recipe says.
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
    size_px: int | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "BackboneDescription":
    """Builds a backbone and says what it is.

    Args:
        name_or_handle: What `rank` takes too; a name of the catalog has random weights unless its
            text says otherwise.
        size_px: height and width of its images; default: its own.
        overrides: of the recipe's ``backbone`` section: ``{"backbone.output": "features"}``.
        progress: told of a download.

    Raises:
        BackboneError: There is no such backbone, or it is not to be trusted.
    """
    from tfft.config.loading.named_backbone import parse_backbone

    config = parse_backbone(name_or_handle, weights="random", overrides=overrides).config
    from tfft.backbones.build import build_backbone
    from tfft.backbones.describe import describe

    return describe(build_backbone(config, size_px, progress=progress))


def check_backbone(
    name_or_handle: str,
    *,
    size_px: int | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> "tuple[CheckResult, ...]":
    """Tries out a backbone: a forward pass, training steps, saving, loading and exports.

    Arguments and errors as of `describe_backbone`.
    """
    from tfft.config.loading.named_backbone import parse_backbone

    config = parse_backbone(name_or_handle, weights="random", overrides=overrides).config
    from tfft.backbones.build import build_backbone
    from tfft.studies.backbone_check import check_backbone as check

    return check(build_backbone(config, size_px, progress=progress), progress)
