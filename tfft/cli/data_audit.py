"""`tfft data audit`: what looks wrong in a set of images."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
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
from tfft.errors import UsageError
from tfft.system.files import require_writable
from tfft.system.printable import printable_name
from tfft.system.readable import interval_text

if TYPE_CHECKING:
    from rich.table import Table

    from tfft.audit.result import Audit

# Findings and pairs of classes that are printed; the page, the CSV file and the JSON have more.
_FINDINGS, _PAIRS = 20, 10


@click.command()
@click.argument("source", metavar="RECIPE|DIR|RUN")
@click.option(
    "--model",
    type=PathType(),
    metavar="RUN",
    help="A run whose recipe and splits are taken for the images of DIR; its backbone counts as it "
    "was before the training.",
)
@click.option(
    "--output",
    type=PathType(),
    metavar="FILE",
    help="HTML page to write, with the photos. One that is there is replaced.",
)
@click.option(
    "--csv",
    "csv_file",
    type=PathType(),
    metavar="FILE",
    help="CSV file to write: path, label, suggested, probability, reason. One that is there is "
    "replaced.",
)
@click.option("--head", metavar="NAME", help="Head whose labels are audited. Default: the first.")
@click.option(
    "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Number of folds."
)
@data_option
@labels_option
@set_option
@json_option
@quiet_option
def audit(
    source: str,
    model: Path | None,
    output: Path | None,
    csv_file: Path | None,
    head: str | None,
    folds: int,
    data: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Look through all images for wrong labels, copies, outliers and flaws.

    Each image is answered by a head that was solved without it, its copies and its group, on cached
    features of the recipe's backbone: after a training this costs no forward pass of the training
    images. What is listed first is most worth a look. Nothing is changed: write what you decide to
    a file that --labels takes.

    Also shown are the accuracy by cross-validation, which a set too small to hold images out can
    be judged by, and classes that are hardly told apart.

    \b
    Example:
      tfft data audit photos/ --output audit.html --csv audit.csv
      tfft data audit photos/ --model runs/classifier --labels labels.csv
    """
    for file in (output, csv_file):
        if file is not None and file.is_dir():
            raise UsageError(f"{file} is a directory: give the name of a file in it")
        if file is not None:
            require_writable(file.parent)
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            found = tfft.audit_data(
                source,
                data=data,
                model=model,
                overrides=overrides,
                head=head,
                folds=folds,
                progress=progress,
            )
        if csv_file is not None:
            found.write_csv(csv_file)
        if output is not None:
            found.write_page(output)
        written = {"page": output, "csv": csv_file}
        value = found.to_json() | {n: None if f is None else str(f) for n, f in written.items()}
        files = [str(file) for file in (output, csv_file) if file is not None]
        listed = "\n".join(_finding_lines(found))
        print_result(
            results,
            as_json,
            value,
            _counts_table(found),
            Text("\n".join(_remarks(found))),
            *([listed] if listed else []),
            "\n".join(files) if files else Text("See the photos: add --output audit.html"),
        )


def _counts_table(found: "Audit") -> "Table":
    from tfft.audit.findings import KINDS

    table = new_table(["finding"], ["images"], f"{found.name}: {len(found.labels):,} images")
    for kind, count in found.counts.items():
        table.add_row(KINDS[kind], f"{count:,}")
    return table


def _remarks(found: "Audit") -> list[str]:
    more = len(found.hardly_told_apart) - _PAIRS
    return [
        f"accuracy by cross-validation: {found.top1:.3f}{interval_text(found.top1_interval)}",
        f"wrong labels expected in all: {found.expected_wrong_labels:,.0f}",
        *(pair.text for pair in found.hardly_told_apart[:_PAIRS]),
        *([f"and {more:,} more pairs of classes, see --json"] if more > 0 else []),
        *found.notes,
    ]


def _finding_lines(found: "Audit") -> list[str]:
    more = len(found.findings) - _FINDINGS
    first = found.findings[:_FINDINGS]
    return [
        *(f"{printable_name(one.path)}: {printable_name(one.reason)}" for one in first),
        *([f"and {more:,} more, see --csv or --json"] if more > 0 else []),
    ]
