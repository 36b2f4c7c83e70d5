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

    A head is solved on a sample of the images, on the features as they are; where it leaves
    something to gain, everything is trained from there, briefly, to see whether fine-tuning pays.
    RECIPE decides the backbone and the image size; its schedule does not matter.

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
        other = "full" if advice.strategy == "head_only" else "head_only"
        following = (
            f"recipe: {output}\n"
            f"next: {command_text('train', output)}\n"
            f"is it better: {command_text('compare', other, output, '--recipe', output)}"
        )
        value = {**advice.to_json(), "recipe": str(output)}
        print_result(results, as_json, value, words, following)
