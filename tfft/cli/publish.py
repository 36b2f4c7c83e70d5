"""`tfft publish`: a SavedModel goes to the directory in which a server looks for it."""

from pathlib import Path

import click

import tfft
from tfft.cli.options import PathType, allow_op_option, json_option, quiet_option
from tfft.cli.output import print_result, results_stream
from tfft.cli.progress import shown_progress


@click.command()
@click.argument("model", metavar="SAVEDMODEL", type=PathType())
@click.argument("base_path", metavar="BASE_PATH", type=PathType())
@click.option(
    "--version",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of the version. Default: its own, or the next one after those in BASE_PATH.",
)
@allow_op_option
@json_option
@quiet_option
def command(
    model: Path,
    base_path: Path,
    version: int | None,
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Put a SavedModel where a server looks for it, whole or not at all.

    SAVEDMODEL is the directory of a version, or of all versions (the newest is taken). BASE_PATH is
    the directory that TF Serving watches; it may be on another file system. Versions are never
    replaced. What a killed `tfft publish` left behind is removed by the next one.

    \b
    Example:
      tfft publish saved_models/classifier /srv/models/classifier
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            published = tfft.publish(
                model, base_path, version=version, allow_ops=allow_ops, progress=progress
            )
        print_result(results, as_json, published.to_json(), str(published.path))
