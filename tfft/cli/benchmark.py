"""`tfft benchmark`: how fast models answer, cold and warm."""

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

import tfft
from tfft.cli.options import Number, allow_op_option, json_option, quiet_option
from tfft.cli.output import new_table, print_result, results_stream
from tfft.cli.progress import shown_progress

if TYPE_CHECKING:
    from rich.table import Table

    from tfft.runtime.timing import Timing


def numbers_of(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Returns the numbers of a comma-separated list.

    Raises:
        click.BadParameter: One is not a positive integer.
    """
    numbers = [part.strip() for part in value.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in numbers):
        raise click.BadParameter(f"give numbers from 1 on, such as 1,8,32. Received: {value}")
    return tuple(dict.fromkeys(int(part) for part in numbers))


@click.command()
@click.argument("models", metavar="MODEL…", nargs=-1, required=True)
@click.option(
    "--batch",
    "batch_sizes",
    default="1",
    show_default=True,
    callback=numbers_of,
    metavar="N[,…]",
    help="Number of images in a call.",
)
@click.option(
    "--threads",
    callback=lambda context, parameter, value: value and numbers_of(context, parameter, value),
    metavar="N[,…]",
    help="Number of threads. Default: 1 and all processors.",
)
@click.option(
    "--seconds",
    type=Number(min=0.01),
    default=2.0,
    show_default=True,
    help="Time spent on warm calls for each line of the table.",
)
@click.option("--signature", help="Signature of a SavedModel. Default: serving_default.")
@allow_op_option
@json_option
@quiet_option
def command(
    models: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    threads: tuple[int, ...] | None,
    seconds: float,
    signature: str | None,
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how fast models answer.

    MODEL is a run, a .keras file, a SavedModel, a .tflite file or the URL of a served model. Each
    is loaded in its own processes and given random pixels of its image size: `cold` is the time
    from the start of the process to the first answer, the rest are warm calls. Other work on the
    machine counts too, and so does the network for a URL.

    \b
    Example:
      tfft benchmark saved_models/classifier/tflite/1/classifier_float32.tflite
      tfft benchmark runs/classifier saved_models/classifier --batch 1,32 --threads 1
      tfft benchmark grpc://localhost:8500/classifier --batch 1,32
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            timings = tfft.benchmark(
                models,
                batch_sizes=batch_sizes,
                threads=threads,
                seconds=seconds,
                signature=signature,
                allow_ops=allow_ops,
                progress=progress,
            )
        print_result(
            results, as_json, [timing.to_json() for timing in timings], *timings_tables(timings)
        )


def timings_tables(timings: "Sequence[Timing]") -> "Iterator[str | Table]":
    """Yields for each model its name, and a row for each number of threads and batch size."""
    for model, of_model in itertools.groupby(timings, lambda timing: timing.model):
        once_names = ["threads", "cold s", "load s", "memory MB"]
        table = new_table([], [*once_names, "batch", "p50 ms", "p90 ms", "p99 ms", "images/s"])
        for timing in of_model:
            memory = "" if timing.memory_mb is None else f"{timing.memory_mb:.0f}"
            once = [
                str(timing.threads or ""),
                f"{timing.cold_s:.2f}",
                f"{timing.load_s:.2f}",
                memory,
            ]
            for batch in timing.batches:
                percentiles = (f"{ms:.2f}" for ms in (batch.p50_ms, batch.p90_ms, batch.p99_ms))
                speed = f"{batch.images_per_second:.1f}"
                table.add_row(*once, str(batch.batch_size), *percentiles, speed)
                once = [""] * len(once)
        yield model
        yield table
