"""`tfft evaluate`: the metrics of a model on a split, and a gate on its accuracy."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

import tfft
from tfft.cli.evaluation_table import evaluation_tables
from tfft.cli.options import (
    Number,
    PathType,
    allow_op_option,
    data_option,
    data_set_option,
    engine_option,
    info_option,
    json_option,
    labels_option,
    quiet_option,
    split_option,
    timeout_option,
)
from tfft.cli.output import print_result, results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import GateError

if TYPE_CHECKING:
    from rich.text import Text

    from tfft.evaluation.evaluate import Evaluation


@click.command()
@click.argument("model", metavar="MODEL")
@split_option()
@data_option
@labels_option
@data_set_option
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="NAME",
    help="Class or label that matters: show its precision and recall over all thresholds. Can be "
    "repeated.",
)
@click.option(
    "--min-top1",
    type=Number(0.0, 1.0),
    metavar="X",
    help="Exit with code 3 if the top-1 accuracy of a head is below X.",
)
@click.option(
    "--unlike",
    multiple=True,
    type=PathType(),
    metavar="DIR",
    help="Images that are none of what the model knows: how many of them it is unsure of. May be "
    "repeated.",
)
@click.option(
    "--signature",
    metavar="NAME",
    help="Signature of a SavedModel or served model: serve_bytes (the default), serving_default "
    "or serve_uint8.",
)
@click.option(
    "--csv",
    "table",
    type=PathType(),
    metavar="FILE",
    help="Write what is said of each image, beside what is true, to a CSV file. One that is there "
    "is replaced.",
)
@info_option
@timeout_option
@engine_option
@allow_op_option
@json_option
@quiet_option
def command(
    model: str,
    split: str | None,
    data: Path | None,
    overrides: tuple[str, ...],
    classes: tuple[str, ...],
    min_top1: float | None,
    unlike: tuple[Path, ...],
    signature: str | None,
    table: Path | None,
    info: Path | None,
    timeout: float | None,
    engine: str | None,
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a model on a split of its data, or on other data.

    MODEL is a run, a .keras file, a SavedModel, a .tflite file or the URL of a served model,
    http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME. Without --data, it is measured on the
    data that it was trained on.
    Files of --data that are no readable images stop it, unless --set data.on_bad_image=skip.

    \b
    Example:
      tfft evaluate runs/classifier
      tfft evaluate runs/classifier --csv images.csv
      tfft evaluate saved_models/classifier --data photos/ --min-top1 0.9
      tfft evaluate runs/classifier --class defect
      tfft evaluate runs/flowers --unlike dogs/ --unlike digits/
      tfft evaluate http://localhost:8501/v1/models/classifier --info runs/classifier
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            predictor = tfft.load_predictor(
                model,
                signature=signature,
                info=info,
                timeout_s=timeout,
                allow_ops=allow_ops,
                engine=engine,
            )
            evaluation = tfft.evaluate(
                predictor,
                split=split,
                data=data,
                overrides=overrides,
                classes=classes,
                csv=table,
                unlike=unlike,
                progress=progress,
            )
        tables = (*evaluation_tables(evaluation), *_remarks(evaluation))
        print_result(results, as_json, evaluation.to_json(), *tables)
    below = [
        f"head {head}: top-1 {metrics['top1']:.6g} is below --min-top1 {min_top1:g}"
        for head, metrics in evaluation.metrics.items()
        if min_top1 is not None and metrics.get("top1", 1.0) < min_top1
    ]
    if below:
        raise GateError("\n".join(below))


def _remarks(evaluation: "Evaluation") -> "list[Text]":
    if evaluation.engine != "converted":
        return []
    from rich.text import Text

    return [Text("Answered by the converted model; --engine keras asks Keras itself.")]
