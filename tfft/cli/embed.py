"""`tfft embed`: the features of images as a file."""

from pathlib import Path

import click

import tfft
from tfft.cli.options import (
    PathType,
    allow_op_option,
    data_set_option,
    json_option,
    labels_option,
    quiet_option,
)
from tfft.cli.output import print_result, results_stream
from tfft.cli.progress import shown_progress


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="[DATA]", type=PathType(), required=False)
@click.option(
    "--output",
    type=PathType(),
    metavar="FILE",
    required=True,
    help="File to write: .parquet, .npz, or .npy for the features alone. One that is there is "
    "replaced.",
)
@click.option("--split", help="train, validation, test or all.  [default: all]")
@click.option("--head", metavar="NAME", help="Head whose features are meant.  [default: the first]")
@labels_option
@data_set_option
@allow_op_option
@json_option
@quiet_option
def command(
    model: str,
    data: Path | None,
    output: Path,
    split: str | None,
    head: str | None,
    overrides: tuple[str, ...],
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the features of images to a file: what a trained model hands to its head.

    MODEL is a run or a .keras file; exports give their answers only. DATA is a folder of images,
    with a folder for each class or with none, or a CSV file with the column path, and label where
    there are labels. Without DATA they are the images that the model was trained on, in their
    splits. The file is written whole or not at all.

    \b
    Example:
      tfft embed runs/classifier photos/ --output features.parquet
      tfft embed runs/classifier archive/ --output features.npz --set data.on_bad_image=skip
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            written = tfft.embed(
                model,
                data,
                output=output,
                head=head,
                split=split,
                overrides=overrides,
                allow_ops=allow_ops,
                progress=progress,
            )
        print_result(results, as_json, written.to_json(), "\n".join(written.lines()))
