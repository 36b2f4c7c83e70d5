"""`tfft backbones`: the backbones to transfer from, what they consist of, whether they work."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

import tfft
from tfft.backbones.availability import BackboneListing, list_backbones
from tfft.catalog.image_size import ImageSize, image_size, sides_text
from tfft.cli.options import json_option, quiet_option
from tfft.cli.output import (
    aligned,
    new_table,
    print_json,
    print_result,
    print_rich,
    results_stream,
    say,
)
from tfft.cli.progress import shown_progress
from tfft.errors import GateError, UsageError, nearest

if TYPE_CHECKING:
    from tfft.backbones.describe import BackboneDescription


class _ListByDefault(click.Group):
    """A group whose command is `list` if none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = args and args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["list", *args])


class _Size(click.ParamType):
    """An image size: a side in pixels, or HEIGHTxWIDTH."""

    name = "PX|HEIGHTxWIDTH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ImageSize:
        if not re.fullmatch("[1-9][0-9]{0,5}(x[1-9][0-9]{0,5})?", value):
            self.fail(
                f"{value!r} is not a number of pixels, such as 224, or HEIGHTxWIDTH, such as "
                "192x256.",
                param,
                ctx,
            )
        first, _, second = value.partition("x")
        return image_size(int(first), int(second or first))


def _of_one_backbone(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the argument and the options that the commands about one backbone share."""
    for decorate in (
        quiet_option,
        json_option,
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set a value of a recipe's `backbone:`, such as 'backbone.input_range=[-1, 1]'. "
            "Can be repeated.",
        ),
        click.option(
            "--size-px",
            type=_Size(),
            help="Image size, such as 224 or 192x256 (height and width). Default: the backbone's "
            "own.",
        ),
        click.argument("backbone", metavar="BACKBONE"),
    ):
        function = decorate(function)
    return function


@click.group(cls=_ListByDefault)
def command() -> None:
    """List the pretrained backbones, describe one, or check one.

    Without a command: `tfft backbones [FILTER]` is `tfft backbones list [FILTER]`.

    \b
    Example:
      tfft backbones mobile
      tfft backbones describe feature_vector.tar.gz
    """


@command.command("list")
@click.argument("name_part", metavar="[FILTER]", default="")
@click.option(
    "--on-this-machine", is_flag=True, help="Only those whose ImageNet weights need no download."
)
@json_option
@quiet_option
def list_command(name_part: str, on_this_machine: bool, as_json: bool, quiet: bool) -> None:
    """List the pretrained backbones.

    FILTER is a part of their names. Parameters and features do not include a classifier. A recipe
    names one as `backbone: {kind: KIND, name: NAME}`.

    \b
    Example:
      tfft backbones list mobile
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
            say("none of them has ImageNet weights on this machine.")


@command.command()
@_of_one_backbone
def describe(
    backbone: str,
    size_px: ImageSize | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Describe the images, features and blocks of a backbone.

    BACKBONE is a name that `tfft backbones` lists, with arguments as in MobileNet:alpha=0.25
    (weights: random unless said otherwise); a run or a .keras file; a SavedModel: a directory, an
    archive, or the address of a module of TF Hub; keras_hub:PRESET; or a recipe. The blocks are
    what a recipe's `unfreeze` counts and names.

    \b
    Example:
      tfft backbones describe MobileNetV2
      tfft backbones describe feature_vector.tar.gz --set 'backbone.input_range=[-1, 1]'
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            found = tfft.describe_backbone(
                backbone, size_px=size_px, overrides=overrides, progress=progress
            )
        blocks = new_table(["block"], ["parameters", "BatchNorms", "parts"])
        for block in found.blocks:
            counts = (block.parameters, block.batch_norms, len(block.parts))
            blocks.add_row(block.name, *(f"{count:,}" for count in counts))
        print_result(results, as_json, found.to_json(), aligned(_about(found)), blocks)


@command.command()
@_of_one_backbone
def check(
    backbone: str,
    size_px: ImageSize | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Check that a backbone can be trained, saved and exported.

    No data are needed: it sees noise. BACKBONE is as in `tfft backbones describe`. The exit code is
    3 if a check fails.

    \b
    Example:
      tfft backbones check feature_vector/
      tfft backbones check MobileNetV2 --size-px 96
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            checks = tfft.check_backbone(
                backbone, size_px=size_px, overrides=overrides, progress=progress
            )
        table = new_table(["check", ""], ["seconds"])
        table.add_column("")
        for tried in checks:
            passed = "passed" if tried.passed else "FAILED"
            table.add_row(tried.what, passed, f"{tried.seconds:.1f}", Text(tried.measured))
        print_result(results, as_json, [tried.to_json() for tried in checks], table)
    failed = [check.what for check in checks if not check.passed]
    if failed:
        raise GateError(f"{backbone} did not pass: {', '.join(failed)}")


def _about(found: "BackboneDescription") -> dict[str, str]:
    whole = "one function that runs whole" if found.runs_whole else "can be cut after every block"
    lines = {
        "name": found.name,
        "kind": found.kind,
        "images": f"{sides_text(found.size_px)} px, pixels {found.input_range}",
        "output": " x ".join(str(size) for size in found.output_shape),
        "parameters": f"{found.parameters:,}, {found.trainable:,} of them trained by gradients",
        "structure": whole,
        "source": found.source,
        "licence": found.licence,
        "sha256": found.sha256 or "",
    }
    return {name: value for name, value in lines.items() if value}


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
    table = new_table(["name", "kind"], ["px", "params (M)", "features"])
    table.add_column("licence")
    table.add_column("weights here")
    for backbone in listings:
        spec = backbone.spec
        here = "other size or arguments" if backbone.weights else ""
        table.add_row(
            spec.name,
            spec.kind,
            str(spec.default_size_px),
            f"{spec.parameters / 1e6:.1f}",
            f"{spec.feature_size:,}",
            spec.licence.split(" (")[0],
            "yes" if backbone.available else here,
        )
    return table
