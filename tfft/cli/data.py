"""`tfft data`: preparing and checking images without training on them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

import tfft
from tfft.cli.data_audit import audit
from tfft.cli.data_show import show
from tfft.cli.options import (
    PathType,
    data_option,
    data_set_option,
    json_option,
    labels_option,
    quiet_option,
    set_option,
)
from tfft.cli.output import new_table, print_result, print_rich, results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import DataError, UsageError
from tfft.system.printable import printable_name
from tfft.system.readable import command_text, counted

if TYPE_CHECKING:
    from tfft.data.applied_labels import AppliedLabels
    from tfft.data.dataset import DataReport

_CLASSES = 20
_DUPLICATES = 20
_source_argument = click.argument("source", metavar="RECIPE|DIR")


@click.group()
def command() -> None:
    """Prepare the data of a recipe, look at, check or audit them, keep splits, apply labels."""


command.add_command(audit)
command.add_command(show)


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


@command.command()
@click.argument("directory", metavar="DIR", type=PathType())
@click.option(
    "--labels",
    type=PathType(),
    metavar="FILE",
    help="CSV file with the columns path and label. An empty label removes an image.",
)
@click.option("--undo", is_flag=True, help="Move back what was applied last.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before files are moved.")
@click.option("--dry-run", is_flag=True, help="Show what would be moved, and move nothing.")
@click.option(
    "--removed",
    type=PathType(),
    metavar="DIR",
    help="Folder for images that are removed.  [default: DIR-removed, beside DIR]",
)
@data_set_option
@json_option
@quiet_option
def apply(
    directory: Path,
    labels: Path | None,
    undo: bool,
    yes: bool,
    dry_run: bool,
    removed: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Move images into the folders of the classes that a labels file gives them.

    It shows what would be moved and asks. No file is replaced: where a name is taken, a number is
    added. What was interrupted goes on by the same command, and --undo takes back what was applied
    last. The paths in FILE change likewise, so that it holds further on.

    \b
    Example:
      tfft data apply photos/ --labels fixes.csv
      tfft data apply photos/ --undo
    """
    if undo == (labels is not None):
        raise UsageError("give --labels FILE to apply it, or --undo to take back the last one")
    if undo and (overrides or removed):
        raise UsageError("--undo moves files back to where they were; it takes no --set, --removed")

    def moved(*, dry_run: bool) -> "AppliedLabels":
        with shown_progress(quiet) as progress:
            if labels is None:
                return tfft.undo_labels(directory, dry_run=dry_run, progress=progress)
            return tfft.apply_labels(
                directory,
                labels,
                overrides=overrides,
                removed_to=removed,
                dry_run=dry_run,
                progress=progress,
            )

    with results_stream() as results:
        found = moved(dry_run=True)
        if found.moves and not (yes or dry_run):
            print_rich(sys.stderr, _moves_table(found), "\n".join(found.lines()))
            yes = _is_agreed(found)
        if found.moves and yes and not dry_run:
            found = moved(dry_run=False)
        back = f"to take it back: {command_text('data', 'apply', directory, '--undo')}"
        print_result(
            results,
            as_json,
            found.to_json(),
            *([_moves_table(found)] if dry_run else []),
            "\n".join([*found.lines(), *([back] if found.is_done and not undo else [])]),
        )


def _moves_table(found: "AppliedLabels") -> Table:
    """Returns how many files go from which folder to which."""
    table = new_table(["from", "to"], ["files"], str(found.directory))
    for (start, end), count in found.counts().items():
        table.add_row(printable_name(start), printable_name(end), f"{count:,}")
    return table


def _is_agreed(found: "AppliedLabels") -> bool:
    """Asks whether files are to be moved.

    Raises:
        UsageError: There is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise UsageError("nothing is moved unasked: give --yes, or --dry-run to see what would be")
    back = " back" if found.undone else ""
    return click.confirm(f"Move {counted(len(found.moves), 'file')}{back}?", err=True)


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
