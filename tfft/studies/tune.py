"""Searches the values of a recipe on its validation images (extra `tune`)."""

import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tfft.config.load import dump_recipe
from tfft.config.recipe import Recipe
from tfft.config.tune import TuneConfig
from tfft.errors import RecipeError, UsageError
from tfft.evaluate.answers import load_answers
from tfft.metrics.paired import accuracy_difference
from tfft.studies.compare import STUDIES
from tfft.studies.process import WorkerError, is_finished, owned_study, run_worker
from tfft.studies.results import read_history
from tfft.studies.space import recipe_of_trial, searched_recipe, suggest_values
from tfft.system.files import write_json, write_text
from tfft.system.progress import SILENT, Progress

_LEVEL = 0.05
# Trials that are never pruned: what later ones are compared with.
_FIRST_TRIALS = 4
_RUN = "run"


@dataclass(frozen=True)
class Tuned:
    """The outcome of a search.

    Attributes:
        study: its directory; recipe: the file of the winner.
        trials: that were finished; pruned: of which stopped early.
        values: of the winner, by dotted path; empty if the recipe as it was is not beaten.
        validation_top1: of the winner; default_top1: of the recipe as it was.
        better: the winner is better than the recipe as it was by more than chance explains, its
            p-value (McNemar's exact test) corrected for the number of trials.
        p_value: that corrected p-value.
        text: in words.
    """

    study: str
    recipe: str
    trials: int
    pruned: int
    values: dict[str, Any]
    validation_top1: float
    default_top1: float
    better: bool
    p_value: float
    text: str

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft tune --json`` prints."""
        return asdict(self)


def tune(
    recipe: Recipe,
    *,
    trials: int | None = None,
    name: str | None = None,
    progress: Progress = SILENT,
) -> Tuned:
    """Searches the values that `recipe.tune` names, judged by validation images alone.

    The recipe as it is runs first. A search that was stopped, however it was, goes on: one process
    owns a study, so a trial that is under way when it starts was interrupted and is resumed.

    Args:
        recipe: with or without a `tune` section.
        trials: in place of `tune.trials`.
        name: of the directory in ``studies``.
        progress: where the work is reported.

    Raises:
        UsageError: Optuna is not installed, or the study is being run by another process.
        RecipeError: A value of the space does not fit the recipe.
        TfftError: The recipe as it is does not run.
    """
    optuna = _require_optuna()
    config = recipe.tune or TuneConfig()
    base, space = searched_recipe(recipe)
    head = _head(recipe)
    path = STUDIES / (name or _name(recipe))
    with owned_study(path):
        default = path / "runs" / "default"
        _run_default(recipe, default, progress)
        study = _open_study(optuna, path, config)
        wanted = trials or config.trials
        _requeue_interrupted(optuna, study)
        while (number := len(_finished(optuna, study))) < wanted:
            # Seeded anew, so that what is suggested depends on the trials before, not on restarts.
            seed = config.seed + len(study.get_trials(deepcopy=False))
            study.sampler = optuna.samplers.TPESampler(seed=seed)
            trial = study.ask()
            title = f"trial {number + 1} of {wanted}"
            _run_trial(optuna, study, trial, base, space, path, head, title, config, progress)
    return _outcome(optuna, study, recipe, base, path, head)


def _require_optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            f"a search needs the extra `tune`: pip install 'tfft[tune]' ({error})"
        ) from error
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def _head(recipe: Recipe) -> str:
    head = next((n for n, h in recipe.heads.items() if h.kind == "classification"), None)
    if head is None:
        raise RecipeError("tfft tune maximises top-1, and the recipe has no head for classes")
    return head


def _name(recipe: Recipe) -> str:
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
    return f"tune-{recipe.name}-{digest[:6]}"


def _run_default(recipe: Recipe, run: Path, progress: Progress) -> None:
    """Runs the recipe as it is, but for a refit on the validation images that judge it."""
    if is_finished(run):
        return
    values = recipe.model_dump(mode="json")
    for phase in values["train"]["phases"]:
        phase.pop("refit", None)
    values["tune"] = None
    unrefitted = recipe_of_trial(Recipe.model_validate(values), {})
    run_worker(unrefitted, run, "validation", title="the recipe as it is", progress=progress)


def _open_study(optuna: ModuleType, path: Path, config: TuneConfig) -> Any:
    pruner = optuna.pruners.NopPruner()
    if config.prune:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_FIRST_TRIALS, n_warmup_steps=1)
    return optuna.create_study(
        storage=f"sqlite:///{(path / 'trials.db').absolute()}",
        study_name="tune",
        direction="maximize",
        pruner=pruner,
        load_if_exists=True,
    )


def _finished(optuna: ModuleType, study: Any) -> list[Any]:
    states = optuna.trial.TrialState
    return study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))


def _requeue_interrupted(optuna: ModuleType, study: Any) -> None:
    """Puts trials that were under way when the search stopped in line again, with their runs."""
    states = optuna.trial.TrialState
    for trial in study.get_trials(states=(states.RUNNING,)):
        study.tell(trial.number, state=states.FAIL)
        if trial.params:
            attributes = {_RUN: trial.user_attrs.get(_RUN, trial.number)}
            study.enqueue_trial(trial.params, user_attrs=attributes)


def _run_trial(
    optuna: ModuleType,
    study: Any,
    trial: Any,
    base: Recipe,
    space: dict[str, Any],
    path: Path,
    head: str,
    title: str,
    config: TuneConfig,
    progress: Progress,
) -> None:
    values = suggest_values(trial, space)
    run = path / "runs" / f"trial-{trial.user_attrs.get(_RUN, trial.number)}"
    trial.set_user_attr(_RUN, trial.user_attrs.get(_RUN, trial.number))
    trial.set_user_attr("values", values)
    try:
        recipe = recipe_of_trial(base, values)
        progress.message(f"{title}: {_shown(values)}")
        watch = _watch(optuna, trial, run, head)
        run_worker(recipe, run, "validation", title=title, progress=progress, watch=watch)
    except optuna.TrialPruned:
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except (RecipeError, WorkerError) as error:
        # Counts as tried: values that do not fit each other, or that end in NaN, are no winner.
        progress.message(f"{title} does not run: {error}")
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, _top1(run, head))


def _watch(optuna: ModuleType, trial: Any, run: Path, head: str) -> Callable[[], None]:
    """Reports each new epoch's best validation figure so far, and prunes where it is too low."""
    known = 0

    def watch() -> None:
        nonlocal known
        if not (run / "history.csv").is_file():
            return
        rows = read_history(run)
        figures = [row[f"validation/{head}/top1"] for row in rows]
        for epoch in range(known, len(figures)):
            trial.report(max(figures[: epoch + 1]), epoch)
        if len(figures) > known:
            known = len(figures)
            if trial.should_prune():
                raise optuna.TrialPruned

    return watch


def _top1(run: Path, head: str) -> float:
    return float(load_answers(run, "validation").right(head).mean())


def _shown(values: dict[str, Any]) -> str:
    shown = (f"{v:.2g}" if isinstance(v, float) else str(v) for v in values.values())
    return ", ".join(
        f"{path.rpartition('.')[2]} {value}" for path, value in zip(values, shown, strict=True)
    )


def _outcome(
    optuna: ModuleType, study: Any, recipe: Recipe, base: Recipe, path: Path, head: str
) -> Tuned:
    """Compares the best trial with the recipe as it was, and writes the winner as a recipe."""
    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    tried = len(_finished(optuna, study))
    default = load_answers(path / "runs" / "default", "validation").right(head)
    best = max(complete, key=lambda trial: trial.value, default=None)
    values, p_value, better = {}, 1.0, False
    winner, top1, default_top1 = recipe, float(default.mean()), float(default.mean())
    if best is not None and best.value > default_top1:
        values, top1 = best.user_attrs["values"], best.value
        winner = recipe_of_trial(base, values)
        right = load_answers(path / "runs" / f"trial-{best.user_attrs[_RUN]}", "validation")
        difference = accuracy_difference(right.right(head)[None], default[None])
        p_value = min(1.0, difference.p_value * tried)
        better = p_value < _LEVEL
    text = _words(values, top1, default_top1, better, p_value, tried, default)
    file = path / "best.yaml"
    winner = winner.model_copy(update={"tune": None})
    write_text(file, f"# {text}\n" + dump_recipe(winner))
    tuned = Tuned(
        str(path),
        str(file),
        tried,
        tried - len(complete),
        values,
        top1,
        default_top1,
        better,
        p_value,
        text,
    )
    write_json(path / "tuned.json", tuned.to_json())
    return tuned


def _words(
    values: dict[str, Any],
    top1: float,
    default_top1: float,
    better: bool,
    p_value: float,
    tried: int,
    default: np.ndarray,
) -> str:
    images = f"{len(default):,} validation images"
    if not values:
        return f"no trial of {tried} is better than the recipe as it is: {top1:.3f} on {images}."
    reached = f"{top1:.3f} against {default_top1:.3f}"
    numbers = f"{reached} on {images}, p {p_value:.2g} for the best of {tried} trials"
    if better:
        return (
            f"better than the recipe as it is: {numbers}. Chosen by these images, so expect "
            "somewhat less on others."
        )
    return f"not shown to be better than the recipe as it is: {numbers}."
