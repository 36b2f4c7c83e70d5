"""`tfft export`: a run becomes files that other programs can run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import click
from rich.table import Table

import tfft
from tfft.cli.options import Number, PathType, allow_op_option, json_option, quiet_option
from tfft.cli.output import aligned, new_table, print_result, results_stream
from tfft.cli.progress import shown_progress
from tfft.config.recipe import Precision
from tfft.errors import GateError, nearest

if TYPE_CHECKING:
    from tfft.exports.export import Export

PRECISIONS: tuple[str, ...] = get_args(Precision)


def precisions_of(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """Returns the precisions of a comma-separated list.

    Raises:
        click.BadParameter: One is not a precision.
    """
    if value is None:
        return None
    found = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    for unknown in [name for name in found if name not in PRECISIONS] or ([] if found else [""]):
        raise click.BadParameter(
            f"no precision {unknown!r}; there are {', '.join(PRECISIONS)}."
            f"{nearest(unknown, PRECISIONS)} Received: {value}"
        )
    return found


@click.command()
@click.argument("run", metavar="RUN", type=PathType())
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["savedmodel", "tflite"]),
    help="Format to write. Can be repeated. Default: those of the recipe.",
)
@click.option(
    "--output",
    type=PathType(),
    default=Path("saved_models"),
    show_default=True,
    metavar="DIR",
    help="Directory for exports; NAME/VERSION is added.",
)
@click.option("--name", help="Name of the export. Default: the recipe's (export.name, or name).")
@click.option(
    "--calibrated/--not-calibrated",
    default=None,
    help="Scale probabilities with the temperature fitted on validation images (tfft calibrate). "
    "Default: the recipe's export.calibrated.",
)
@click.option(
    "--tflite",
    "precisions",
    metavar="PRECISION[,…]",
    callback=precisions_of,
    help=f"TFLite files to write: {', '.join(PRECISIONS)}. Default: the recipe's.",
)
@click.option(
    "--batch",
    "batch_size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of images that a TFLite file takes at once. Default: the recipe's, or else 1.",
)
@click.option(
    "--max-accuracy-drop",
    type=Number(0.0, 1.0),
    metavar="SHARE",
    help="Refuse smaller files (TFLite, SavedModels with 16-bit weights) that lose more accuracy "
    "than this. Default: the recipe's, or else 0.01.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a value of the recipe's export section, such as export.check_images=2000. Can be "
    "repeated.",
)
@allow_op_option
@json_option
@quiet_option
def command(
    run: Path,
    formats: tuple[str, ...],
    output: Path,
    name: str | None,
    calibrated: bool | None,
    precisions: tuple[str, ...] | None,
    batch_size: int | None,
    max_accuracy_drop: float | None,
    overrides: tuple[str, ...],
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a run as SavedModel and TFLite.

    Each file is compared with the Keras model on images of the run's data, and put in place only if
    it agrees; a smaller TFLite file must be about as accurate. If a TFLite file is refused, the
    others are put in place and the exit code is 3; if the SavedModel is, nothing else is written.
    Versions never overwrite each other. Runs of one recipe become versions of one model, unless
    --name says otherwise.

    \b
    Example:
      tfft export runs/classifier
      tfft export runs/classifier --format tflite --name flowers
      tfft export runs/classifier --calibrated
      tfft export runs/classifier --tflite float32,float16,dynamic_int8,int8
      tfft export runs/classifier --set export.savedmodel_weights=float16
    """
    tflite = {
        "precisions": precisions,
        "batch_size": batch_size,
        "max_accuracy_drop": max_accuracy_drop,
    }
    refusal: GateError | None = None
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            try:
                written = tfft.export(
                    run,
                    formats=formats or None,
                    output=output,
                    name=name,
                    calibrated=calibrated,
                    tflite={key: value for key, value in tflite.items() if value is not None},
                    overrides=overrides,
                    allow_ops=allow_ops,
                    progress=progress,
                )
            except GateError as error:
                if error.result is None:
                    raise
                refusal, written = error, cast("Export", error.result)
        checks = written.checks
        measured = {name: row for name in checks if (row := _size_and_speed(checks[name]))}
        tables = (
            _numbers_table("against the Keras model", dict(_check_rows(checks))),
            _numbers_table("size and speed", measured),
            _tried_table(checks),
        )
        filled = (table for table in tables if table.row_count)
        print_result(results, as_json, written.to_json(), _files(written), *filled)
    if refusal is not None:
        raise refusal


def _files(written: "Export") -> str:
    """Returns a line for each file: what it is, and where or that it was refused."""
    files = {} if written.savedmodel is None else {"SavedModel": str(written.savedmodel)}
    files |= {f"TFLite {name}": str(path) for name, path in written.tflite.items()}
    files |= {f"TFLite {name}": "refused" for name in written.refused}
    return aligned(files)


def _numbers_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = new_table(["file"], [name.replace("_", " ") for name in names], title)
    for checked, row in rows.items():
        table.add_row(checked, *(_cell(row.get(name)) for name in names))
    return table


def _tried_table(checks: Mapping[str, Any]) -> Table:
    """Returns what else was tried where the first version of a file did not pass."""
    table = new_table(["file", "what"], ["accuracy drop"], "tried")
    for checked, check in checks.items():
        tried = check.get("tried", [])
        for attempt in tried if len(tried) > 1 else []:
            table.add_row(checked, attempt["what"], _cell(attempt["accuracy_drop"]))
        for layer in check.get("noisiest_layers", []):
            name = layer["layer"].partition(";")[0]
            table.add_row(checked, f"adds noise {layer['noise']:.2g}: {name}", "")
    return table


def _check_rows(checks: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields a row for each file, and one for each of its heads if there are several."""
    for checked, check in checks.items():
        heads = check.get("heads", {})
        if not heads or "size_bytes" in check:
            numbers = {
                name: value
                for name, value in check.items()
                if isinstance(value, int | float)
                and not isinstance(value, bool)
                and name not in ("size_bytes", "memory_mb")
            }
            yield checked, numbers
        for head, of_head in heads.items():
            yield f"{checked}, {head}", {"images": check["images"], **of_head}


def _size_and_speed(check: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    if "size_bytes" in check:
        found["MB"] = f"{check['size_bytes'] / 1e6:.2f}"
    if check.get("memory_mb") is not None:
        found["MB in memory"] = f"{check['memory_mb']:.0f}"
    for threads, latency in check.get("latency_ms", {}).items():
        found[f"ms (p90), {threads} thr."] = f"{latency['p50']:.1f} ({latency['p90']:.1f})"
    return found


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
