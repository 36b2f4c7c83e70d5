"""`tfft tune`: a search over the values of a recipe."""

from pathlib import Path

import click
from rich.text import Text

import tfft
from tfft.cli.options import (
    data_option,
    json_option,
    labels_option,
    quiet_option,
    recipe_argument,
    set_option,
)
from tfft.cli.output import print_result, results_stream
from tfft.cli.progress import shown_progress
from tfft.system.readable import command_text


@click.command()
@recipe_argument
@data_option
@labels_option
@set_option
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of trials. Default: the recipe's.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Trials to run at the same time, on a machine with cores and memory for them.",
)
@click.option("--name", metavar="NAME", help="Name of the directory in studies/.")
@json_option
@quiet_option
def command(
    recipe: str,
    data: Path | None,
    overrides: tuple[str, ...],
    trials: int | None,
    jobs: int,
    name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Search the values of a recipe on its validation images (extra `tune`).

    The recipe's tune section names the values; without one they are the learning rate, depth, decay
    and augmentation of the last phase that trains blocks. The winner is written as a recipe. Ctrl-C
    stops a search, and the same command continues it.

    \b
    Example:
      tfft tune classifier --data photos/
      tfft tune quickstart --trials 12
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            tuned = tfft.tune(
                recipe,
                data=data,
                overrides=overrides,
                trials=trials,
                jobs=jobs,
                name=name,
                progress=progress,
            )
        values = "\n".join(f"  {path}: {value}" for path, value in tuned.values.items())
        following = f"recipe: {tuned.recipe}\nnext: {command_text('train', tuned.recipe)}"
        parts = (Text(tuned.text), *([values] if values else []), following)
        print_result(results, as_json, tuned.to_json(), *parts)
