"""`tfft probe`: how much of a backbone carries over, by depth."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
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
from tfft.cli.output import new_table, print_result, results_stream
from tfft.cli.progress import shown_progress

if TYPE_CHECKING:
    from tfft.transfer.probes.probe import Probe


@click.command()
@click.argument("source", metavar="RUN|RECIPE")
@data_option
@labels_option
@set_option
@click.option(
    "--head",
    metavar="NAME",
    help="Head whose classes are probed. Default: the first that classifies.",
)
@click.option(
    "--plot",
    type=PathType(),
    metavar="FILE",
    help="Also draw a picture: .png, .svg or .pdf (extra `plots`).",
)
@json_option
@quiet_option
def command(
    source: str,
    data: Path | None,
    overrides: tuple[str, ...],
    head: str | None,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how much of a backbone carries over to the data, by depth.

    A linear classifier is solved on the averaged activations at the end of each block, and measured
    on validation images. The blocks up to where its top-1 stops rising carry over as they are; a
    freeze schedule may cut there. A RECIPE is probed with the weights that it starts from, a RUN
    with its trained weights.

    \b
    Example:
      tfft probe quickstart
      tfft probe classifier --data photos/ --plot probe.png
      tfft probe runs/quickstart
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            found = tfft.probe(
                source, data=data, overrides=overrides, head=head, plot=plot, progress=progress
            )
        print_result(
            results, as_json, found.to_json(), probe_table(found), *_conclusion(found, plot)
        )


def probe_table(probe: "Probe") -> Table:
    """Returns a row for each block: its cost, and the top-1 of a probe on its output."""
    images = f"{probe.validation_images:,} validation images"
    table = new_table(
        ["block"],
        ["features", "compute", "top-1", "95 % interval"],
        f"{probe.backbone}, head {probe.head}, {images}",
    )
    for block in probe.blocks:
        low, high = block.interval
        table.add_row(
            block.block,
            f"{block.features:,}",
            f"{block.share_of_compute:.0%}",
            f"{block.top1:.3f}",
            f"{low:.3f} to {high:.3f}",
        )
    return table


def _conclusion(probe: "Probe", plot: Path | None) -> list[Text | str]:
    lines = [
        f"best: {probe.best.block}; the first that is not shown to be worse: "
        f"{probe.sufficient.block}"
    ]
    if probe.doubt:
        lines.append(f"the best top-1, {probe.doubt}")
    if probe.blocks_above:
        lines.append(f"to train those above it: unfreeze: {{last_blocks: {probe.blocks_above}}}")
    return [Text("\n".join(lines)), *([f"picture: {plot}"] if plot else [])]
