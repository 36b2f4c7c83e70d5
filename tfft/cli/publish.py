"""`tfft publish`: a SavedModel goes to the directory in which a server looks for it."""

from pathlib import Path

import click

import tfft
from tfft.cli.options import PathType, allow_op_option, json_option, quiet_option
from tfft.cli.output import print_result, results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import UsageError


@click.command()
@click.argument("model", metavar="SAVEDMODEL", type=PathType(), required=False)
@click.argument("base_path", metavar="BASE_PATH", type=PathType(), required=False)
@click.option(
    "--version",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of the version. Default: its own, or the next one after those in BASE_PATH.",
)
@click.option(
    "--rollback",
    type=PathType(),
    metavar="BASE_PATH",
    help="Put what was there before the newest content in place once more, as a new version.",
)
@click.option(
    "--to",
    type=click.IntRange(min=1),
    metavar="N",
    help="Version whose content --rollback puts in place.",
)
@allow_op_option
@json_option
@quiet_option
def command(
    model: Path | None,
    base_path: Path | None,
    version: int | None,
    rollback: Path | None,
    to: int | None,
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Put a SavedModel where a server looks for it, whole or not at all.

    SAVEDMODEL is the directory of a version, or of all versions (the newest is taken). BASE_PATH is
    the directory that TF Serving watches; it may be on another file system. The SHA256SUMS of the
    export are verified before it is copied, and of the copy before it is in place. What the highest
    version has already is not published again. Versions are never replaced: to go back is to
    publish what was there earlier under a new, highest number. What a killed `tfft publish` left
    behind is removed by the next one.

    \b
    Example:
      tfft publish saved_models/classifier /srv/models/classifier
      tfft publish --rollback /srv/models/classifier
      tfft publish --rollback /srv/models/classifier --to 3
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            if rollback is not None:
                if model is not None or version is not None:
                    raise UsageError("--rollback takes BASE_PATH alone, and --to")
                published = tfft.roll_back(rollback, to=to, allow_ops=allow_ops, progress=progress)
            elif model is None or base_path is None or to is not None:
                raise UsageError(
                    "give SAVEDMODEL and BASE_PATH; or --rollback BASE_PATH, and --to if you like"
                )
            else:
                published = tfft.publish(
                    model, base_path, version=version, allow_ops=allow_ops, progress=progress
                )
            if published.already_live:
                progress.message(str(published))
        print_result(results, as_json, published.to_json(), str(published.path))
