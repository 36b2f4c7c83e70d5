"""`tfft compare`: did transfer help, and is the difference real?"""

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
from rich.text import Text

import tfft
from tfft.cli.options import (
    Number,
    data_option,
    json_option,
    labels_option,
    quiet_option,
    set_option,
)
from tfft.cli.output import new_table, print_json, print_rich, results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import TfftError, UsageError

if TYPE_CHECKING:
    from tfft.studies.report import StudyReport


def _fractions(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise UsageError(
            f"--fractions takes comma-separated numbers, such as 0.05,0.25,1. Received: {value}"
        ) from None


@click.command()
@click.argument("arms", metavar="ARM…", nargs=-1, required=True)
@click.option(
    "--recipe",
    default="classifier",
    show_default=True,
    metavar="RECIPE",
    help="Recipe that strategies are applied to.",
)
@data_option
@labels_option
@set_option
@click.option(
    "--seeds", default=3, show_default=True, metavar="N", help="Runs of each arm and fraction."
)
@click.option(
    "--fractions",
    default="1",
    show_default=True,
    metavar="X,…",
    callback=_fractions,
    help="Shares of the training images.",
)
@click.option(
    "--scratch-epochs",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    metavar="N",
    help="Epochs of the arm scratch on all of the data.",
)
@click.option(
    "--target",
    type=Number(0.0, 1.0),
    metavar="X",
    help="Validation top-1 whose time to reach is measured. Default: what every arm reaches.",
)
@click.option("--name", metavar="NAME", help="Name of the directory in studies/.")
@json_option
@quiet_option
def command(
    arms: tuple[str, ...],
    recipe: str,
    data: Path | None,
    overrides: tuple[str, ...],
    seeds: int,
    fractions: tuple[float, ...],
    scratch_epochs: int,
    target: float | None,
    name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare ways of training on the same data: did transfer help, is the difference real?

    An ARM is a strategy (scratch, feature_extraction, head_only, full, partial, progressive, lp_ft)
    applied to --recipe, a recipe, or the directory of a finished run. On a part of the data
    strategies train for up to 5 times as many epochs, so that there are enough steps; recipes do
    not.

    Ctrl-C stops a comparison. The same command continues it, also with more seeds or fractions.

    \b
    Example:
      tfft compare scratch feature_extraction progressive --data photos/
      tfft compare scratch progressive --recipe quickstart --fractions 0.05,0.25,1
      tfft compare runs/small runs/large
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            report = tfft.compare(
                *arms,
                recipe=recipe,
                data=data,
                overrides=overrides,
                seeds=seeds,
                fractions=fractions,
                scratch_epochs=scratch_epochs,
                target=target,
                name=name,
                progress=progress,
            )
        if as_json:
            print_json(results, report.to_json())
        else:
            _show(results, report)
    failed = report.study.failed
    if failed:
        raise TfftError("\n".join(f"{run} failed: {why}" for run, why in failed.items()))


def _show(stream: TextIO, report: "StudyReport") -> None:
    from tfft.studies.pages import tables

    shown = []
    for title, (columns, rows) in tables(report.results).items():
        table = new_table(columns[:1], columns[1:], title)
        for row in rows:
            table.add_row(*row)
        shown.append(table)
    words = "\n".join(verdict.text for verdict in report.verdicts)
    page = f"page: {report.study.path / 'comparison.html'}"
    print_rich(stream, *shown, Text(words), page)
