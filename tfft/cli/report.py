"""`tfft report`: one HTML page about a run."""

from pathlib import Path

import click

import tfft
from tfft.cli.options import PathType, allow_op_option, json_option, quiet_option
from tfft.cli.output import print_result, results_stream
from tfft.cli.progress import shown_progress
from tfft.system.readable import size_text


@click.command()
@click.argument("run", metavar="RUN", type=PathType())
@click.option(
    "--output",
    type=PathType(dir_okay=False),
    metavar="FILE",
    help="File to write. Default: report.html in the run.",
)
@click.option("--split", help="test or validation. Default: test, if there are test images.")
@click.option(
    "--png",
    type=PathType(file_okay=False),
    metavar="DIR",
    help="Also write the figures as PNG files (extra `plots`).",
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="NAME",
    help="Class or label that matters: draw its curves over all thresholds. Can be repeated. "
    "Default: those with an operating point, or the one with the lowest average precision.",
)
@allow_op_option
@json_option
@quiet_option
def command(
    run: Path,
    output: Path | None,
    split: str | None,
    png: Path | None,
    classes: tuple[str, ...],
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a page about a run: how it was trained, how good it is, where it is wrong.

    The page is one HTML file that needs no network and prints well. It uses the last evaluation of
    the run if that is up to date. It contains photos of the data: mind their licence when you share
    it.

    \b
    Example:
      tfft report runs/classifier
      tfft report runs/classifier --output report.html --png figures/
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            written = tfft.report(
                run,
                output=output,
                split=split,
                png=png,
                classes=classes,
                allow_ops=allow_ops,
                progress=progress,
            )
        made = f"{size_text(written.bytes)} in {written.seconds:.0f} s"
        lines = (written.path, f"{made}, on {written.split} images", *written.pngs)
        print_result(results, as_json, written.to_json(), "\n".join(map(str, lines)))
