"""`tfft backbones`: what there is to transfer from."""

from typing import Any

import click
from rich import box
from rich.table import Table

from tfft.backbones.availability import BackboneListing, list_backbones
from tfft.cli.options import json_option, quiet_option
from tfft.cli.output import print_json, print_rich, results_stream
from tfft.errors import UsageError, nearest


@click.command()
@click.argument("name_part", metavar="[FILTER]", default="")
@click.option(
    "--on-this-machine", is_flag=True, help="Only those whose ImageNet weights need no download."
)
@json_option
@quiet_option
def command(name_part: str, on_this_machine: bool, as_json: bool, quiet: bool) -> None:
    """List the pretrained backbones.

    FILTER is a part of their names. Parameters and features are without classifier. A recipe takes
    one as `backbone: {kind: KIND, name: NAME}`.

    \b
    Example:
      tfft backbones mobile
      tfft backbones --on-this-machine
    """
    everything = list_backbones()
    listings = [b for b in everything if name_part.lower() in b.spec.name.lower()]
    if not listings:
        raise UsageError(
            "no backbone has this in its name."
            f"{nearest(name_part, (b.spec.name for b in everything))} Received: {name_part}"
        )
    if on_this_machine:
        listings = [backbone for backbone in listings if backbone.weights]
    with results_stream() as results:
        if as_json:
            print_json(results, [_to_json(backbone) for backbone in listings])
        elif listings:
            print_rich(results, _table(listings))
        elif not quiet:
            click.echo("none of them has ImageNet weights on this machine.", err=True)


def _to_json(backbone: BackboneListing) -> dict[str, Any]:
    spec = backbone.spec
    return {
        "name": spec.name,
        "kind": spec.kind,
        "default_size_px": spec.default_size_px,
        "min_size_px": spec.min_size_px,
        "parameters": spec.parameters,
        "feature_size": spec.feature_size,
        "blocks": [block.name for block in spec.blocks],
        "imagenet_top1": spec.imagenet_top1,
        "licence": spec.licence,
        "source": spec.source,
        "available": backbone.available,
        "weights": [str(path) for path in backbone.weights],
        "obtain": backbone.obtain,
    }


def _table(listings: list[BackboneListing]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("name", no_wrap=True)
    table.add_column("kind")
    for name in ("size px", "parameters", "features", "blocks"):
        table.add_column(name, justify="right")
    table.add_column("licence of the weights")
    table.add_column("weights here")
    for backbone in listings:
        spec = backbone.spec
        table.add_row(
            spec.name,
            spec.kind,
            str(spec.default_size_px),
            f"{spec.parameters / 1e6:.1f} M",
            f"{spec.feature_size:,}",
            str(len(spec.blocks)),
            spec.licence.split(" (")[0],
            _here(backbone),
        )
    return table


def _here(backbone: BackboneListing) -> str:
    if backbone.available:
        return "yes"
    return "other size or arguments" if backbone.weights else ""
