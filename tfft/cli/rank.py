"""`tfft rank`: which backbone to start from."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

import tfft
from tfft.catalog.image_size import sides_text
from tfft.cli.options import data_option, json_option, labels_option, quiet_option, set_option
from tfft.cli.output import new_table, print_result, results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import TfftError

if TYPE_CHECKING:
    from tfft.transfer.probes.rank import Ranking

_HINT = (
    "LogME and the H-score are hints; the probe (top-1 of a linear head on {validation:,} "
    "validation images, with its 95 % interval) is the evidence. Fine-tuning may change the order."
)


@click.command()
@click.argument("recipe", metavar="[RECIPE]", default="classifier")
@click.option(
    "--backbones",
    multiple=True,
    required=True,
    metavar="A,B,C",
    help="Names as `tfft backbones` lists them, with arguments as in "
    "MobileNet:alpha=0.25,weights=FILE; runs and .keras files; SavedModels (directory, archive, "
    "address); keras_hub:PRESET; recipes. Can be repeated.",
)
@data_option
@labels_option
@set_option
@json_option
@quiet_option
def command(
    recipe: str,
    backbones: tuple[str, ...],
    data: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Rank backbones on images, before anything is trained.

    The features of each backbone are computed once and kept, so that training a head on the chosen
    one starts immediately. RECIPE (default: classifier) decides the images and how they are
    prepared; its own backbone is not ranked, and the test images are not read. A backbone that
    cannot be built or that fails is left out; the others are ranked, and the exit code is 1.

    \b
    Example:
      tfft rank --data photos/ --backbones EfficientNetLite0,ResNet50
      tfft rank --data photos/ --backbones EfficientNetLite0:weights=random,runs/dogs --json
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            ranking = tfft.rank(
                backbones, recipe=recipe, data=data, overrides=overrides, progress=progress
            )
        doubt = f"The best probe, {ranking.doubt}.\n" if ranking.doubt else ""
        hint = Text(doubt + _HINT.format(validation=ranking.images["validation"]))
        print_result(results, as_json, ranking.to_json(), _table(ranking), hint)
    if ranking.failed:
        raise TfftError("\n".join(f"{name} failed: {why}" for name, why in ranking.failed.items()))


def _table(ranking: "Ranking") -> Table:
    title = f"{ranking.data}: {ranking.images['train']:,} images, {ranking.classes} classes"
    names = ["probe top-1", "LogME", "H-score", "px", "parameters", "multiply-adds", "features"]
    table = new_table(["backbone"], [*names, "features s", "scores s", "probe s"], title)
    for backbone in ranking.backbones:
        low, high = backbone.probe_interval
        table.add_row(
            backbone.name,
            f"{backbone.probe_top1:.3f} ({low:.3f} to {high:.3f})",
            f"{backbone.logme:.3f}",
            f"{backbone.h_score:.2f}",
            sides_text(backbone.size_px),
            f"{backbone.parameters / 1e6:.2f} M",
            f"{backbone.multiply_adds / 1e9:.2f} G" if backbone.multiply_adds else "",
            f"{backbone.features:,}",
            f"{backbone.feature_seconds:.1f}",
            f"{backbone.score_seconds:.1f}",
            f"{backbone.probe_seconds:.1f}",
        )
    for name in ranking.failed:
        table.add_row(name, "failed", *[""] * (len(table.columns) - 2))
    return table
