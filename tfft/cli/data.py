"""`tfft data`: preparing and checking images without training on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
from rich import box
from rich.table import Table
from rich.text import Text

import tfft
from tfft.cli.options import data_option, json_option, quiet_option, set_option
from tfft.cli.output import print_json, print_rich, results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import DataError

if TYPE_CHECKING:
    from tfft.data.dataset import DataReport, ImageData

_CLASSES = 20
_source_argument = click.argument("source", metavar="RECIPE|DIR")


@click.group()
def command() -> None:
    """Prepare the data of a recipe, or check them."""


@command.command()
@_source_argument
@data_option
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
        _print_data(results, prepared)


@command.command()
@_source_argument
@data_option
@set_option
@json_option
@quiet_option
def check(
    source: str, data: Path | None, overrides: tuple[str, ...], as_json: bool, quiet: bool
) -> None:
    """Read every image and name all that cannot be used.

    The exit code is 2 if there is one, also where the recipe would skip it.

    \b
    Example:
      tfft data check photos/
      tfft data check classifier --data photos/
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            report = tfft.check_data(source, data=data, overrides=overrides, progress=progress)
        if as_json:
            print_json(results, report.to_json())
        else:
            _print_report(results, report)
    if report.bad:
        raise DataError(f"{_counted(len(report.bad), 'file')} of {report.name} cannot be used.")


def _print_data(results: TextIO, data: "ImageData") -> None:
    counts = {split: len(index) for split, index in data.splits.items()}
    classes = len(data.class_names["label"])
    notes = [*data.notes, *(f"skipped {image.path}: {image.reason}" for image in data.skipped)]
    print_rich(results, _splits_table(f"{data.name}, {classes} classes", counts), *_texts(notes))


def _print_report(results: TextIO, report: "DataReport") -> None:
    counts = {split: sum(classes.values()) for split, classes in report.counts.items()}
    formats = ", ".join(f"{count:,} {name}" for name, count in report.formats.items())
    bad = [f"{image.path}: {image.reason}" for image in (*report.conflicts, *report.bad)]
    print_rich(
        results,
        _splits_table(f"{report.name}: {formats}", counts),
        _classes_table(report),
        *_texts(report.notes),
        *_texts(bad),
    )


def _splits_table(title: str, counts: dict[str, int]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("split")
    table.add_column("images", justify="right")
    for split, count in counts.items():
        table.add_row(split, f"{count:,}")
    return table


def _classes_table(report: "DataReport") -> Table:
    """Usable images by class and split: the smallest classes, where there are many."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("class")
    for split in report.counts:
        table.add_column(split, justify="right")
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


def _texts(lines: Sequence[str]) -> list[Text]:
    return [Text("\n".join(lines))] if lines else []


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
