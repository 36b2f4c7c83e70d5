"""`tfft lr-find`: a learning-rate range test."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

import tfft
from tfft.cli.options import (
    Number,
    PathType,
    data_option,
    json_option,
    labels_option,
    quiet_option,
    recipe_argument,
    set_option,
)
from tfft.cli.output import print_result, results_stream
from tfft.cli.progress import shown_progress

if TYPE_CHECKING:
    from tfft.transfer.lr_range import RangeTest


@click.command()
@recipe_argument
@data_option
@labels_option
@set_option
@click.option(
    "--phase",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of the phase, 1 for the first. Default: the first one with a learning rate.",
)
@click.option(
    "--lowest",
    type=Number(min=0.0, min_open=True),
    default=1e-6,
    show_default=True,
    metavar="X",
    help="Rate to start with.",
)
@click.option(
    "--highest",
    type=Number(min=0.0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="X",
    help="Rate to end with.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=10),
    default=100,
    show_default=True,
    metavar="N",
    help="Largest number of batches, 10 or more.",
)
@click.option(
    "--plot",
    type=PathType(dir_okay=False),
    metavar="FILE",
    help="Draw the loss against the rate: .png, .svg or .pdf (extra `plots`).",
)
@json_option
@quiet_option
def command(
    recipe: str,
    data: Path | None,
    overrides: tuple[str, ...],
    phase: int | None,
    lowest: float,
    highest: float,
    steps: int,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find a learning rate: raise it from batch to batch and watch the loss (Smith 2017).

    The suggestion is the rate at which the loss falls fastest; if it hardly falls, the rate at
    which it grows is shown instead. Phases before the tested one are trained first; only the
    picture is kept.

    \b
    Example:
      tfft lr-find quickstart --plot rates.png
      tfft lr-find classifier --data photos/ --set train.strategy=progressive --phase 3
    """
    if plot is not None:
        from tfft.system.pictures import require_picture

        require_picture(plot)
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            found = tfft.find_learning_rate(
                recipe,
                data=data,
                overrides=overrides,
                phase=phase,
                lowest=lowest,
                highest=highest,
                steps=steps,
                progress=progress,
            )
        if plot is not None:
            from tfft.studies.curves import draw_range_test

            draw_range_test(found.learning_rates, found.losses, found.suggestion, plot)
        print_result(results, as_json, found.to_json(), *_parts(found, plot))


def _parts(found: "RangeTest", plot: Path | None) -> list[Text | str]:
    """Returns what was found in words, then lines to copy."""
    tried = f"{found.learning_rates[0]:.2g} to {found.learning_rates[-1]:.2g}"
    suggested = found.suggestion
    words = [f"phase {found.phase}, {len(found.losses)} steps from {tried}"]
    if found.diverged is not None and suggested is None:
        suggested = found.diverged / 10
        words.append(
            "no suggestion: the loss falls no more than batches differ, as when a phase starts "
            f"near its lowest loss. At {found.diverged:.2g} it has grown fourfold; stay at a tenth "
            "of that or below"
        )
    elif suggested is None:
        words.append(
            "no suggestion: the loss falls no more than batches differ at any of these rates. "
            "Try a higher --highest, or more --steps"
        )
    words.append(f"the recipe has {found.configured:.2g}")
    lines = [f"picture: {plot}"] if plot else []
    if suggested is not None:
        of = "suggestion" if found.suggestion is not None else "at most"
        where = f"train.phases.{found.phase - 1}.learning_rate"
        lines.insert(0, f"{of}: --set {where}={suggested:.2g}")
    return [Text("\n".join(words)), *(["\n".join(lines)] if lines else [])]
