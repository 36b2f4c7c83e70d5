"""`tfft data`: preparing and checking images without training on them."""

from collections.abc import Sequence
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
from tfft.cli.output import new_table, print_result, print_rich, results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import DataError
from tfft.system.readable import counted

if TYPE_CHECKING:
    from tfft.data.dataset import DataReport

_CLASSES = 20
_DUPLICATES = 20
_source_argument = click.argument("source", metavar="RECIPE|DIR")


@click.group()
def command() -> None:
    """Prepare the data of a recipe, check them, or keep how they are split."""


@command.command()
@_source_argument
@data_option
@labels_option
@set_option
@quiet_option
def prepare(source: str, data: Path | None, overrides: tuple[str, ...], quiet: bool) -> None:
    """Download, unpack and scan the images of a recipe.

    `tfft train` does the same before it trains. The second time there is nothing left to do.

    \b
    Example:
      tfft data prepare stanford_dogs
      tfft data prepare stanford_dogs --set data.archives=archives/
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            prepared = tfft.prepare_data(source, data=data, overrides=overrides, progress=progress)
        counts = {split: len(index) for split, index in prepared.splits.items()}
        title = f"{prepared.name}, {len(prepared.class_names['label'])} classes"
        skipped = (f"skipped {image.path}: {image.reason}" for image in prepared.skipped)
        print_rich(results, _splits_table(title, counts), *_unwrapped(list(skipped)))


@command.command()
@_source_argument
@data_option
@labels_option
@set_option
@json_option
@quiet_option
def check(
    source: str, data: Path | None, overrides: tuple[str, ...], as_json: bool, quiet: bool
) -> None:
    """Read every image and name those that cannot be used.

    The exit code is 2 if a file cannot be used, even if the recipe would skip it. Also shown are
    images that occur more than once, how unequal the classes are, and which classes have no test
    image.

    \b
    Example:
      tfft data check photos/
      tfft data check classifier --data photos/
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            report = tfft.check_data(source, data=data, overrides=overrides, progress=progress)
        unusable = (*report.conflicts, *report.bad)
        counts = {split: sum(classes.values()) for split, classes in report.counts.items()}
        formats = ", ".join(f"{count:,} {name}" for name, count in report.formats.items())
        remarks = "\n".join([*report.size_lines(), *report.notes])
        copies = report.duplicate_lines()
        if len(copies) > _DUPLICATES:
            more = f"and {len(copies) - _DUPLICATES:,} more, see --json"
            copies = [*copies[:_DUPLICATES], more]
        print_result(
            results,
            as_json,
            report.to_json(),
            _splits_table(f"{report.name}: {formats}", counts),
            _classes_table(report),
            *([Text(remarks)] if remarks else []),
            *_unwrapped(copies),
            *_unwrapped([f"{image.path}: {image.reason}" for image in unusable]),
        )
    if report.bad:
        raise DataError(f"{counted(len(report.bad), 'file')} of {report.name} cannot be used.")


@command.command()
@click.argument("source", metavar="RECIPE|DIR|RUN")
@click.option(
    "--output",
    type=PathType(),
    metavar="FILE",
    required=True,
    help="CSV file to write. It must not exist.",
)
@data_option
@labels_option
@set_option
@json_option
@quiet_option
def split(
    source: str,
    output: Path,
    data: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Write which image is in which split, as a CSV file to keep.

    It is a manifest that --data takes, with paths relative to its directory, and
    data.split_like takes over its splits. The images of a RUN are split as it was trained.

    \b
    Example:
      tfft data split photos/ --output split.csv
      tfft data split runs/classifier --output split.csv
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            written = tfft.split_data(
                source, output=output, data=data, overrides=overrides, progress=progress
            )
        table = _splits_table(f"{written.name}, in {written.path}", written.counts)
        print_result(results, as_json, written.to_json(), table, written.use)


def _splits_table(title: str, counts: dict[str, int]) -> Table:
    table = new_table(["split"], ["images"], title)
    for split, count in counts.items():
        table.add_row(split, f"{count:,}")
    return table


def _classes_table(report: "DataReport") -> Table:
    """Usable images by class and split: only the smallest classes, if there are many."""
    table = new_table(["class"], list(report.counts))
    rows = {
        name: [classes[name] for classes in report.counts.values()]
        for name in next(iter(report.counts.values()))
    }
    smallest = sorted(rows, key=lambda name: rows[name][0])[:_CLASSES]
    for name in rows if len(rows) <= _CLASSES else smallest:
        table.add_row(name, *(f"{count:,}" for count in rows[name]))
    if len(rows) > _CLASSES:
        table.caption = f"the {_CLASSES} smallest of {len(rows)} classes"
        table.caption_justify = "left"
    return table


def _unwrapped(lines: Sequence[str]) -> list[str]:
    """Returns lines with paths in them, which can be copied, as a part to print; none of none."""
    return ["\n".join(lines)] if lines else []
