"""`tfft advise`: which strategy to start with."""

from pathlib import Path

import click
from rich.text import Text

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
from tfft.cli.probe import probe_table
from tfft.cli.progress import shown_progress
from tfft.errors import UsageError
from tfft.system.readable import command_text


@click.command()
@click.argument("recipe", metavar="[RECIPE]", default="classifier")
@data_option
@labels_option
@set_option
@click.option(
    "--output",
    type=PathType(dir_okay=False),
    default="advised.yaml",
    show_default=True,
    metavar="FILE",
    help="File for the recipe.",
)
@json_option
@quiet_option
def command(
    recipe: str,
    data: Path | None,
    overrides: tuple[str, ...],
    output: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Recommend a strategy for images, and write the recipe that follows it.

    A linear head is solved on the features of the backbone, pretrained and with random weights: the
    gain of the former says how near the source is to the images. Another head, on the output of
    each block, says how much of the backbone carries over. RECIPE decides the backbone and the
    image size; its schedule does not matter.

    \b
    Example:
      tfft advise --data photos/
      tfft train advised.yaml
    """
    if output.exists():
        raise UsageError(f"{output} exists already and is not replaced. Choose another --output")
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            advice = tfft.advise(recipe, data=data, overrides=overrides, progress=progress)
        advice.write(output)
        words = Text(f"{advice.strategy}: {advice.reason}")
        following = (
            f"recipe: {output}\n"
            f"next: {command_text('train', output)}\n"
            f"was it worth it: {command_text('compare', 'scratch', output, '--recipe', output)}"
        )
        value = {**advice.to_json(), "recipe": str(output)}
        print_result(results, as_json, value, probe_table(advice.depth), words, following)
