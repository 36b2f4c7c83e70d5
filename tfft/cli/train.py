"""`tfft train`: from a recipe to a run."""

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

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
from tfft.cli.output import new_table, print_json, print_result, print_rich, results_stream
from tfft.cli.plan_table import plan_notes, plan_table
from tfft.cli.progress import shown_progress
from tfft.errors import UsageError
from tfft.system.readable import command_text

if TYPE_CHECKING:
    from tfft.runs.run import Run


@click.command()
@click.argument("recipe", metavar="RECIPE", required=False)
@data_option
@labels_option
@set_option
@click.option("--seed", type=click.IntRange(min=0), help="Seed of weights, order and augmentation.")
@click.option(
    "--run",
    type=PathType(),
    metavar="DIR",
    help="Directory of the run. Default: runs/NAME, then runs/NAME-2, …",
)
@click.option("--resume", type=PathType(), metavar="RUN", help="Resume a stopped run.")
@click.option(
    "--finish",
    is_flag=True,
    help="With --resume: train no further, but make the model of the best weights so far.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the freeze plan with the estimated time of each phase, and train nothing.",
)
@json_option
@quiet_option
def command(
    recipe: str | None,
    data: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    run: Path | None,
    resume: Path | None,
    finish: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a recipe, or resume a stopped run.

    RECIPE is the name of a bundled recipe (classifier, quickstart, stanford_dogs, …) or a YAML
    file. Ctrl-C stops a run, as SIGTERM and SIGHUP do, and --resume continues it. One process at a
    time trains a run; others may read it.

    \b
    Example:
      tfft train classifier --data photos/
      tfft train stanford_dogs --set train.batch_size=64 --dry-run
      tfft train --resume runs/stanford_dogs
    """
    if resume is not None:
        if recipe or data or overrides or seed is not None or run or dry_run:
            raise UsageError(
                "--resume continues with the run's own recipe, so it takes no RECIPE, --data, "
                "--labels, --set, --seed, --run or --dry-run."
            )
    elif finish:
        raise UsageError("--finish is for a run that was stopped. Give --resume RUN --finish.")
    elif recipe is None:
        raise UsageError("no recipe. Give a RECIPE, or --resume RUN. More: tfft train --help")
    if seed is not None:
        overrides = (*overrides, f"seed={seed}")
    with results_stream() as results:
        if dry_run:
            with shown_progress(quiet) as progress:
                plan = tfft.plan(
                    str(recipe), data=data, overrides=overrides, measure=True, progress=progress
                )
            print_result(results, as_json, plan.to_json(), plan_table(plan), plan_notes(plan))
            return
        with shown_progress(quiet) as progress:
            if resume is not None:
                trained = tfft.resume(resume, finish=finish, progress=progress)
            else:
                trained = tfft.train(
                    str(recipe), data=data, overrides=overrides, run=run, progress=progress
                )
        _show_run(results, trained, as_json)


def _show_run(results: TextIO, run: "Run", as_json: bool) -> None:
    if as_json:
        print_json(results, run.to_json())
        return
    names = list(dict.fromkeys(name for metrics in run.metrics.values() for name in metrics))
    table = new_table(["head"], names, "on validation images")
    for head, metrics in run.metrics.items():
        cells = (f"{metrics[name]:.4g}" if name in metrics else "" for name in names)
        table.add_row(head, *cells)
    diagnosis = [Text(finding.text) for finding in run.diagnosis]
    following = (
        f"run: {run.path}\n"
        f"next: {command_text('evaluate', run.path)}\n"
        f"      {command_text('export', run.path)}"
    )
    print_rich(results, *([table] if names else []), *diagnosis, following)
