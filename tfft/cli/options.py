"""Options that several commands share, each defined once."""

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tfft.errors import UsageError
from tfft.system.paths import expanded


class PathType(click.Path):
    """A path, with ``~`` for the home directory: shells leave that alone in ``--option=~/path``."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(expanded(value), param, ctx)


class Number(click.FloatRange):
    """A finite number within bounds: ``nan`` passes every comparison, ``inf`` is never reached."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


recipe_argument = click.argument("recipe", metavar="RECIPE")

set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a value of the recipe, such as train.phases.0.epochs=5. Can be repeated.",
)

data_set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set how the images of --data are read, such as data.on_bad_image=skip. Can be repeated.",
)

data_option = click.option(
    "--data",
    type=PathType(),
    metavar="DIR",
    help="Photos, one folder a class, or a CSV file with the columns path and label.",
)

_labels = click.option(
    "--labels",
    type=PathType(),
    metavar="FILE",
    help="CSV file with the columns path and label, whose labels hold in place of those of the "
    "folders or the manifest. An empty one removes an image.",
)


def labels_option(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command, which has `--set`, the option `--labels`: it sets `data.labels`."""

    @_labels
    @functools.wraps(command)
    def with_labels(
        *arguments: Any, overrides: tuple[str, ...], labels: Path | None, **options: Any
    ) -> None:
        if labels is not None:
            if any(text.partition("=")[0].strip() == "data.labels" for text in overrides):
                raise UsageError("--labels sets data.labels; leave out one of the two")
            value = json.dumps(str(labels.absolute()), ensure_ascii=False)
            overrides = (*overrides, f"data.labels={value}")
        command(*arguments, overrides=overrides, **options)

    return with_labels


def split_option(of: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns the option `--split` of commands whose images may be other data.

    Args:
        of: What its help begins with: whose option it is, where the command has others.
    """
    text = "train, validation, test or all.  [default: test; all of other data without splits]"
    return click.option("--split", help=f"{of}{text}")


info_option = click.option(
    "--info",
    type=PathType(),
    metavar="MODEL",
    help="Run, export or tfft.json of a served model. Needed to find the images that it was "
    "trained on, or if the server does not describe the model.",
)

timeout_option = click.option(
    "--timeout",
    type=Number(min=0.0, min_open=True),
    metavar="SECONDS",
    help="Time a server may take for one request, with its repetitions.  [default: 60]",
)

allow_op_option = click.option(
    "--allow-op",
    "allow_ops",
    multiple=True,
    metavar="NAME",
    help="An operation that a SavedModel may have though it does more than compute. Can be "
    "repeated.",
)

engine_option = click.option(
    "--engine",
    type=click.Choice(["auto", "keras"]),
    help="What answers for a run or a .keras file: its converted model where that agrees with "
    "Keras (auto), or Keras itself.  [default: auto, or $TFFT_ENGINE]",
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document (docs/json.md)."
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
