"""`tfft calibrate`: the temperatures of a run's classification heads."""

from pathlib import Path

import click
from rich.text import Text

import tfft
from tfft.cli.options import PathType, allow_op_option, json_option, quiet_option
from tfft.cli.output import new_table, print_result, results_stream
from tfft.cli.progress import shown_progress


@click.command()
@click.argument("run", metavar="RUN", type=PathType())
@allow_op_option
@json_option
@quiet_option
def command(run: Path, allow_ops: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Fit the confidence of a run to its accuracy.

    A temperature for each classification head is fitted on the validation images and kept in
    calibration.json of the run. The predicted classes stay the same; a probability becomes the
    share of such predictions that are right. tfft export --calibrated applies the temperatures,
    tfft report shows them.

    \b
    Example:
      tfft calibrate runs/classifier
      tfft export runs/classifier --calibrated
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            calibration = tfft.calibrate(run, allow_ops=allow_ops, progress=progress)
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
        texts = [
            f"{name}: no temperature is best on these images (every answer is right, or none is "
            "better than chance): it stays 1"
            for name, head in calibration.heads.items()
            if not head.fitted
        ]
        if calibration.held_out:
            texts.append("fitted to the weights from before the refit on the validation images")
        remarks = [Text("\n".join(texts))] if texts else []
        print_result(results, as_json, calibration.to_json(), table, *remarks)
