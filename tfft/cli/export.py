"""`tfft export`: from a run to files that other programs run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
@click.option(
    "--calibrated/--not-calibrated",
    default=None,
    help="Probabilities at the temperature fitted on validation images (tfft calibrate). "
    "Default: the recipe's export.calibrated.",
)
@json_option
@quiet_option
def command(
    run: Path,
    formats: tuple[str, ...],
    output: Path,
    name: str | None,
    calibrated: bool | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a run as SavedModel and TFLite.

    Each file is compared with the Keras model on images of the run's data, and put in place only
    if it agrees. Versions never overwrite each other.

    \b
    Example:
      tfft export runs/classifier
      tfft export runs/classifier --format tflite --name flowers
      tfft export runs/classifier --calibrated
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            written = api.export(
                run,
                formats=formats or None,
                output=output,
                name=name,
                calibrated=calibrated,
                progress=progress,
            )
        if as_json:
            print_json(results, written.to_json())
        else:
            print_rich(results, _files_table(written), _checks_table(written.checks))


def _files_table(written: "Export") -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("file")
    table.add_column("where", overflow="fold")
    if written.savedmodel is not None:
        table.add_row("SavedModel", str(written.savedmodel))
    for name, path in written.tflite.items():
        table.add_row(f"TFLite {name}", str(path))
    return table


def _checks_table(checks: Mapping[str, Any]) -> Table:
    """Returns how well each file and signature agrees with the Keras model."""
    table = Table(title="against the Keras model", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("file")
    rows = dict(_check_rows(checks))
    names = list(dict.fromkeys(name for figures in rows.values() for name in figures))
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for checked, figures in rows.items():
        table.add_row(checked, *(_figure(figures.get(name)) for name in names))
    return table


def _check_rows(checks: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields a row for each file, or for each of its heads where there are several."""
    for checked, figures in checks.items():
        if "heads" not in figures:
            yield checked, figures
        for head, of_head in figures.get("heads", {}).items():
            yield f"{checked}, {head}", {"images": figures["images"], **of_head}


def _figure(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
