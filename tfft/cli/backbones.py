"""`tfft backbones`: what there is to transfer from."""

from typing import Any

import click

from tfft.backbones.keras_cache import cached_path
from tfft.backbones.lite_package import find_lite0_file
from tfft.catalog.backbones import backbone_specs
from tfft.catalog.spec import BackboneSpec
from tfft.cli.options import json_option, quiet_option
from tfft.cli.output import print_json, print_rich, results_stream
from tfft.errors import UsageError, nearest


@click.command()
@click.argument("filter_text", metavar="[FILTER]", default="")
@click.option(
    "--on-this-machine", is_flag=True, help="Only those whose ImageNet weights need no download."
)
@json_option
@quiet_option
def command(filter_text: str, on_this_machine: bool, as_json: bool, quiet: bool) -> None:
    """List the pretrained backbones.

    FILTER is a part of their names. Parameters and features are without classifier. A recipe takes
    one as `backbone: {kind: KIND, name: NAME}`.

    \b
    Example:
      tfft backbones mobile
      tfft backbones --on-this-machine
    """
    specs = [spec for spec in backbone_specs() if filter_text.lower() in spec.name.lower()]
    if not specs:
        names = [spec.name for spec in backbone_specs()]
        raise UsageError(
            f"no backbone has this in its name.{nearest(filter_text, names)} "
            f"Received: {filter_text}"
        )
    if on_this_machine:
        specs = [spec for spec in specs if weights_are_here(spec)]
    with results_stream() as results:
        if as_json:
            print_json(results, [_to_json(spec) for spec in specs])
        elif specs:
            _print_table(results, specs)
        else:
            click.echo("no ImageNet weights are on this machine.", err=True)


def weights_are_here(spec: BackboneSpec) -> bool:
    """Returns whether ImageNet weights of the backbone need no download."""
    if spec.kind == "lite":
        return find_lite0_file() is not None
    return any(cached_path(file).is_file() for file in spec.weights)


def _to_json(spec: BackboneSpec) -> dict[str, Any]:
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
        "weights_here": weights_are_here(spec),
    }


def _print_table(results: Any, specs: list[BackboneSpec]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("name", no_wrap=True)
    table.add_column("kind")
    for name in ("size px", "parameters", "features", "blocks"):
        table.add_column(name, justify="right")
    table.add_column("licence")
    table.add_column("weights here")
    for spec in specs:
        table.add_row(
            spec.name,
            spec.kind,
            str(spec.default_size_px),
            f"{spec.parameters / 1e6:.1f} M",
            str(spec.feature_size),
            str(len(spec.blocks)),
            spec.licence,
            "yes" if weights_are_here(spec) else "",
        )
    print_rich(results, table)
