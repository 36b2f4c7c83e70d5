"""`tfft compare`: is the new model better, did transfer help, is the difference real?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
from click.core import ParameterSource
from rich.text import Text

import tfft
from tfft.cli.comparison_table import comparison_parts
from tfft.cli.options import (
    Number,
    PathType,
    allow_op_option,
    data_option,
    json_option,
    labels_option,
    quiet_option,
    set_option,
    split_option,
    timeout_option,
)
from tfft.cli.output import new_table, print_json, print_result, print_rich, results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import TfftError, UsageError
from tfft.system.paths import expanded
from tfft.system.readable import counted

if TYPE_CHECKING:
    from tfft.runtime.predictor import Predictor
    from tfft.studies.report import StudyReport


def _fractions(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise UsageError(
            f"--fractions takes comma-separated numbers, such as 0.05,0.25,1. Received: {value}"
        ) from None


# Options by the name of their parameter.
_OF_STUDIES = {
    "recipe": "--recipe",
    "seeds": "--seeds",
    "fractions": "--fractions",
    "scratch_epochs": "--scratch-epochs",
    "target": "--target",
    "name": "--name",
}
_OF_MODELS = {
    "split": "--split",
    "min_gain": "--min-gain",
    "max_loss": "--max-loss",
    "infos": "--info",
    "timeout": "--timeout",
    "allow_ops": "--allow-op",
}


@click.command()
@click.argument("arms", metavar="ARM…", nargs=-1, required=True)
@click.option(
    "--recipe",
    default="classifier",
    show_default=True,
    metavar="RECIPE",
    help="Recipe that strategies are applied to.",
)
@data_option
@labels_option
@set_option
@click.option(
    "--seeds", default=3, show_default=True, metavar="N", help="Runs of each arm and fraction."
)
@click.option(
    "--fractions",
    default="1",
    show_default=True,
    metavar="X,…",
    callback=_fractions,
    help="Shares of the training images.",
)
@click.option(
    "--scratch-epochs",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    metavar="N",
    help="Epochs of the arm scratch on all of the data.",
)
@click.option(
    "--target",
    type=Number(0.0, 1.0),
    metavar="X",
    help="Validation top-1 whose time to reach is measured. Default: what every arm reaches.",
)
@click.option("--name", metavar="NAME", help="Name of the directory in studies/.")
@split_option("Of two models: ")
@click.option(
    "--min-gain",
    type=Number(0.0, 1.0),
    metavar="X",
    help="Of two models: exit with code 3 unless the new one is shown to gain X in top-1.",
)
@click.option(
    "--max-loss",
    type=Number(0.0, 1.0),
    metavar="X",
    help="Of two models: exit with code 3 unless the new one is shown to lose at most X.",
)
@click.option(
    "--info",
    "infos",
    type=PathType(),
    multiple=True,
    metavar="MODEL",
    help="Of two models: run, export or tfft.json of a URL, which says what it was trained on. For "
    "two URLs give it twice.",
)
@timeout_option
@allow_op_option
@json_option
@quiet_option
def command(
    arms: tuple[str, ...],
    recipe: str,
    data: Path | None,
    overrides: tuple[str, ...],
    seeds: int,
    fractions: tuple[float, ...],
    scratch_epochs: int,
    target: float | None,
    name: str | None,
    split: str | None,
    min_gain: float | None,
    max_loss: float | None,
    infos: tuple[Path, ...],
    timeout: float | None,
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare two models, the old and the new one; or ways of training: did transfer help?

    Two MODELs (a run, a SavedModel, a .tflite file, the URL of a server) are compared in pairs, on
    the images of --data or of the new one that neither was trained on. --min-gain and --max-loss
    test the end of the 95 % interval of the difference, for a pipeline that promotes models.

    Otherwise an ARM is a strategy (scratch, feature_extraction, head_only, full, partial,
    progressive, lp_ft) applied to --recipe, a recipe, or the directory of a finished run. On a part
    of the data strategies train for up to 5 times as many epochs, so that there are enough steps;
    recipes do not.

    Ctrl-C stops a comparison. The same command continues it, also with more seeds or fractions.

    \b
    Example:
      tfft compare runs/classifier runs/classifier-2 --max-loss 0.01
      tfft compare http://localhost:8501/v1/models/classifier runs/new --info runs/classifier
      tfft compare scratch feature_extraction progressive --data photos/
      tfft compare scratch progressive --recipe quickstart --fractions 0.05,0.25,1
    """
    if _are_models(arms):
        _refuse_options(_OF_STUDIES, "for ways of training, not for two models")
        with results_stream() as results:
            with shown_progress(quiet) as progress:
                old, new = _predictors(arms, infos, timeout, allow_ops)
                comparison = tfft.compare_models(
                    old, new, data=data, split=split, overrides=overrides, progress=progress
                )
            parts = comparison_parts(comparison)
            print_result(results, as_json, comparison.to_json(), *parts)
        comparison.require(min_gain=min_gain, max_loss=max_loss)
        return
    _refuse_options(_OF_MODELS, "for two models, not for ways of training")
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            report = tfft.compare(
                *arms,
                recipe=recipe,
                data=data,
                overrides=overrides,
                seeds=seeds,
                fractions=fractions,
                scratch_epochs=scratch_epochs,
                target=target,
                name=name,
                progress=progress,
            )
        if as_json:
            print_json(results, report.to_json())
        else:
            _show(results, report)
    failed = report.study.failed
    if failed:
        raise TfftError("\n".join(f"{run} failed: {why}" for run, why in failed.items()))


def _are_models(arms: Sequence[str]) -> bool:
    """Says whether two models are given, and nothing else.

    Raises:
        UsageError: A model that is no run is beside something else.
    """
    from tfft.runtime.load import is_model
    from tfft.studies.arms import SCRATCH, STRATEGY_NAMES

    models = [arm for arm in arms if arm not in (SCRATCH, *STRATEGY_NAMES) and is_model(arm)]
    if len(models) == len(arms) == 2:
        return True
    for model in models:
        if not (expanded(model) / "run.json").is_file():
            raise UsageError(
                f"{model} is a model: it is compared with one other model, tfft compare OLD NEW. "
                "Ways of training are strategies, recipes and runs"
            )
    return False


def _predictors(
    models: Sequence[str],
    infos: Sequence[Path],
    timeout_s: float | None,
    allow_ops: Sequence[str],
) -> "list[Predictor]":
    """Loads models; those on servers with what --info says of them, in their order."""
    urls = [model for model in models if "://" in model]
    if infos and len(infos) != len(urls):
        raise UsageError(
            "--info is for the URL of a served model, once for each. Received: "
            f"{len(infos)} for {counted(len(urls), 'URL')}"
        )
    if timeout_s is not None and not urls:
        raise UsageError("--timeout is for the URLs of served models")
    described = dict(zip(urls, infos, strict=False))
    return [
        tfft.load_predictor(
            model,
            info=described.get(model),
            timeout_s=timeout_s if model in urls else None,
            allow_ops=allow_ops,
        )
        for model in models
    ]


def _refuse_options(names: Mapping[str, str], why: str) -> None:
    """Raises an error if options are given that do not belong here."""
    context = click.get_current_context()
    given = [
        option
        for name, option in names.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(f"{', '.join(given)}: {why}. Leave it out")


def _show(stream: TextIO, report: "StudyReport") -> None:
    from tfft.studies.pages import tables

    shown = []
    for title, (columns, rows) in tables(report.results).items():
        table = new_table(columns[:1], columns[1:], title)
        for row in rows:
            table.add_row(*row)
        shown.append(table)
    words = "\n".join(verdict.text for verdict in report.verdicts)
    page = f"page: {report.study.path / 'comparison.html'}"
    print_rich(stream, *shown, Text(words), page)
