"""`tfft data show`: a sheet of pictures before training."""

from pathlib import Path

import click

import tfft
from tfft.cli.options import (
    PathType,
    data_option,
    json_option,
    labels_option,
    quiet_option,
    set_option,
)
from tfft.cli.output import print_result, results_stream
from tfft.cli.progress import shown_progress


@click.command()
@click.argument("source", metavar="RECIPE|DIR")
@click.option(
    "--output",
    type=PathType(),
    metavar="FILE",
    default=Path("sheet.html"),
    show_default=True,
    help="Sheet to write, .html or .png. One that is there is replaced.",
)
@click.option(
    "--pictures",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="Number of images.",
)
@click.option(
    "--views",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Number of augmented views of each image.",
)
@click.option(
    "--augment",
    metavar="NAME",
    help="Augmentation to look at: none, flip, random_crop, random_crop_color or rand_augment.  "
    "[default: what the phases of the recipe train with]",
)
@data_option
@labels_option
@set_option
@json_option
@quiet_option
def show(
    source: str,
    output: Path,
    pictures: int,
    views: int,
    augment: str | None,
    data: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Look at training images as a model would see them, and as augmentation changes them.

    The sheet has some images of as many classes as there is room for: what an evaluation sees of
    each, and what the first epochs of a training would see. Nothing is trained.

    \b
    Example:
      tfft data show photos/
      tfft data show photos/ --augment rand_augment --output sheet.png
      tfft data show stanford_dogs --set image.size_px=160
    """
    from tfft.reports.sheet import require_sheet_file

    require_sheet_file(output)
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            sheet = tfft.show_data(
                source,
                data=data,
                overrides=overrides,
                pictures=pictures,
                views=views,
                augmentation=augment,
                progress=progress,
            )
            sheet.write(output)
        value = sheet.to_json() | {"sheet": str(output)}
        print_result(results, as_json, value, "\n".join(sheet.lines()), str(output))
