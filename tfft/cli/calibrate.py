"""`tfft calibrate`: the temperatures and operating points of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

import tfft
from tfft.cli.options import Number, PathType, allow_op_option, json_option, quiet_option
from tfft.cli.output import new_table, print_result, results_stream
from tfft.cli.progress import shown_progress
from tfft.system.readable import command_text

if TYPE_CHECKING:
    from rich.table import Table

    from tfft.evaluation.calibrate import Calibration


@click.command()
@click.argument("run", metavar="RUN", type=PathType())
@click.option(
    "--at-precision",
    type=Number(0.0, 1.0, min_open=True),
    metavar="X",
    help="Choose the threshold of --class with a precision of at least X and the highest recall.",
)
@click.option(
    "--at-recall",
    type=Number(0.0, 1.0, min_open=True),
    metavar="X",
    help="Choose the threshold of --class with a recall of at least X and the highest precision.",
)
@click.option("--class", "label", metavar="NAME", help="Class or label that matters.")
@click.option(
    "--head", metavar="NAME", help="Head of --class, where several heads have such a class."
)
@click.option(
    "--remove-point",
    is_flag=True,
    help="Take back the operating point of --class, or without it all of them.",
)
@allow_op_option
@json_option
@quiet_option
def command(
    run: Path,
    at_precision: float | None,
    at_recall: float | None,
    label: str | None,
    head: str | None,
    remove_point: bool,
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit the confidence of a run to its accuracy, and choose operating points.

    A temperature for each classification head is fitted on the validation images and kept in
    calibration.json of the run. The predicted classes stay the same; a probability becomes the
    share of such predictions that are right. tfft export --calibrated applies the temperatures,
    tfft report shows them.

    With --at-precision or --at-recall, a threshold for a class that matters is chosen on the same
    images. The model carries it into every export; tfft predict answers by it, and tfft evaluate
    says which precision and recall it has on test images. If no threshold reaches X, nothing
    changes and the exit code is 3.

    \b
    Example:
      tfft calibrate runs/classifier
      tfft export runs/classifier --calibrated
      tfft calibrate runs/classifier --at-precision 0.95 --class defect
      tfft calibrate runs/classifier --remove-point
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            calibration = tfft.calibrate(
                run,
                at_precision=at_precision,
                at_recall=at_recall,
                label=label,
                head=head,
                remove_point=remove_point,
                allow_ops=allow_ops,
                progress=progress,
            )
        tables = [t for t in (_temperatures(calibration), _points(calibration)) if t.row_count]
        remarks = _remarks(calibration, run)
        said = [Text("\n".join(remarks))] if remarks else []
        print_result(results, as_json, calibration.to_json(), *tables, *said)


def _temperatures(calibration: "Calibration") -> "Table":
    table = new_table(
        ["head"],
        [
            "temperature",
            *("-log likelihood before", "-log likelihood after"),
            *("calibration error before", "calibration error after"),
        ],
        f"on {calibration.examples:,} validation images",
    )
    for name, head in calibration.heads.items():
        metrics = (head.nll_before, head.nll_after, head.ece_before, head.ece_after)
        table.add_row(name, f"{head.temperature:.4f}", *(f"{m:.4f}" for m in metrics))
    return table


def _points(calibration: "Calibration") -> "Table":
    """Returns what each operating point gives on the validation images."""
    columns = ["threshold", "calibrated", "images", "precision", "recall"]
    table = new_table(["class", "asked"], columns, "operating points, on the same images")
    for points in calibration.operating_points.values():
        for point in points:
            at = point.as_trained
            table.add_row(
                point.label,
                f"{point.goal} ≥ {point.at_least:g}",
                *(f"{at.threshold:.4f}", f"{point.calibrated.threshold:.4f}", f"{at.examples:,}"),
                *("-" if x is None else f"{x:.3f}" for x in (at.precision, at.recall)),
            )
    return table


def _remarks(calibration: "Calibration", run: Path) -> list[str]:
    remarks = [
        f"{name}: no temperature is best on these images (every answer is right, or none is "
        "better than chance): it stays 1"
        for name, head in calibration.heads.items()
        if not head.fitted
    ]
    if calibration.held_out:
        remarks.append("fitted to the weights from before the refit on the validation images")
    points = [point for of in calibration.operating_points.values() for point in of]
    remarks += [point.warning for point in points if point.warning]
    if points:
        remarks.append(f"What they give on test images: {command_text('evaluate', run)}")
    return remarks
