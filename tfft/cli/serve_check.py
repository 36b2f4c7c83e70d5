"""`tfft serve-check`: does a server answer as the run does?"""

from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

import tfft
from tfft.cli.options import (
    Number,
    allow_op_option,
    data_option,
    data_set_option,
    json_option,
    labels_option,
    quiet_option,
    split_option,
    timeout_option,
)
from tfft.cli.output import new_table, print_result, results_stream
from tfft.cli.progress import shown_progress


@click.command()
@click.argument("model", metavar="URL")
@click.option("--against", required=True, metavar="RUN", help="The run, or any other MODEL.")
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    metavar="NAME",
    help="Signature to ask. Can be repeated. Default: serve_bytes and serving_default.",
)
@data_option
@labels_option
@data_set_option
@split_option()
@click.option(
    "--images", type=click.IntRange(min=1), default=256, show_default=True, help="Number of images."
)
@click.option(
    "--tolerance",
    type=Number(min=0.0),
    default=1e-3,
    show_default=True,
    metavar="X",
    help="Largest difference allowed in an answer.",
)
@timeout_option
@allow_op_option
@json_option
@quiet_option
def command(
    model: str,
    against: str,
    signatures: tuple[str, ...],
    data: Path | None,
    overrides: tuple[str, ...],
    split: str | None,
    images: int,
    tolerance: float,
    timeout: float | None,
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare the answers of a served model with those of its run.

    URL is http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME, followed by /versions/N or
    /labels/LABEL for a certain version. The same images go to both; the exit code is 3 if their
    answers differ. The first line says which version the server answers from, and of which run.

    \b
    Example:
      tfft serve-check http://localhost:8501/v1/models/classifier --against runs/classifier
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            check = tfft.serve_check(
                model,
                against,
                signatures=signatures or None,
                data=data,
                overrides=overrides,
                split=split,
                images=images,
                tolerance=tolerance,
                timeout_s=timeout,
                allow_ops=allow_ops,
                progress=progress,
            )
        table = _table(check.signatures, check.images)
        print_result(results, as_json, check.to_json(), Text(check.live.text()), table)
    check.require()


def _table(signatures: dict[str, dict[str, dict[str, float | None]]], images: int) -> Table:
    table = new_table(["signature", "head"], ["images", "largest difference", "top-1 agreement"])
    for signature, heads in signatures.items():
        for head, check in heads.items():
            difference, agreement = check["largest_difference"], check.get("top1_agreement")
            table.add_row(
                signature,
                head,
                str(images),
                "not a number" if difference is None else f"{difference:.2g}",
                "" if agreement is None else f"{agreement:.4f}",
            )
    return table
