"""A search for the best values of a recipe on its validation images (extra `tune`)."""

import contextlib
import hashlib
import logging
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tfft.config.loading.load import dump_recipe, recipe_from_dict
from tfft.config.recipe import Recipe
from tfft.config.tune import TuneConfig
from tfft.errors import RecipeError, UsageError
from tfft.metrics.paired import accuracy_difference
from tfft.studies.compare import STUDIES, require_images
from tfft.studies.process import (
    WorkerError,
    is_finished,
    owned_study,
    require_same_recipe,
    run_worker,
)
from tfft.studies.space import recipe_of_trial, searched_recipe
from tfft.studies.trials import Search, requeue_interrupted, run_trials, values_of
from tfft.system.damage import reading
from tfft.system.files import write_text
from tfft.system.formats import STUDY
from tfft.system.names import require_name
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted, install_command

_LEVEL = 0.05
# Number of trials that are never pruned, since later ones are compared with them.
_FIRST_TRIALS = 4


@dataclass(frozen=True, repr=False)
class Tuned(Readable):
    """The outcome of a search.

    Attributes:
        study: Directory of the search.
        recipe: File with the recipe of the winner.
        trials: Number of finished trials.
        pruned: Number of finished trials that were stopped early.
        values: Values of the winner, by dotted path; empty if no trial beats the given recipe.
        validation_top1: Validation top-1 of the winner.
        default_top1: Validation top-1 of the given recipe.
        better: Whether the winner beats the given recipe by more than chance explains.
        p_value: P-value of the difference (McNemar's exact test), corrected for the number of
            trials.
        text: The outcome in words.
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

    def lines(self) -> list[str]:
        return [
            f"{self.study}: {counted(self.trials, 'trial')}, validation top1 "
            f"{self.validation_top1:.3f} against {self.default_top1:.3f} by default",
            *(f"{key}: {value}" for key, value in self.values.items()),
            self.text,
            f"next: tfft.train({self.recipe!r})",
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft tune --json`` prints."""
        return asdict(self)


def tune(
    recipe: Recipe,
    *,
    trials: int | None = None,
    jobs: int = 1,
    name: str | None = None,
    progress: Progress = SILENT,
) -> Tuned:
    """Searches the values that `recipe.tune` names, judged by validation images alone.

    The recipe as it is runs first. A search that was stopped in any way continues: one process owns
    a study, so a trial that counts as running at the start was interrupted, and is resumed.

    Args:
        recipe: Recipe, with or without a `tune` section.
        trials: Number of trials, in place of `tune.trials`.
        jobs: Number of trials that run at the same time.
        name: Name of the directory in ``studies``. Default: derived from the recipe.
        progress: Where the work is reported.

    Raises:
        UsageError: Optuna is not installed, `name` is not one, another process runs the study, or
            the study is one of another recipe.
        DataError: There are no validation images.
        RecipeError: A value of the search space does not fit the recipe, or the recipe has no
            classification head.
        TfftError: The recipe as it is does not run.
    """
    optuna = _require_optuna()
    config = recipe.tune or TuneConfig()
    base, space = searched_recipe(recipe)
    head = next((n for n, h in recipe.heads.items() if h.kind == "classification"), None)
    if head is None:
        raise RecipeError("tfft tune maximises top-1, and the recipe has no classification head")
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
    path = STUDIES / (f"tune-{recipe.name}-{digest[:6]}" if name is None else require_name(name))
    with owned_study(path):
        _require_same_search(path / "recipe.yaml", recipe)
        _run_default(recipe, path / "runs" / "default", progress)
        study = _open_study(optuna, path, config)
        search = Search(optuna, study, base, space, path, head, progress)
        requeue_interrupted(search)
        run_trials(search, trials or config.trials, jobs=jobs, seed=config.seed)
    return _outcome(search, recipe)


def _require_optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            f"a search needs the extra `tune`: {install_command('tune')} ({error})"
        ) from error
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def _require_same_search(file: Path, recipe: Recipe) -> None:
    """Trials of another recipe or space say nothing about this one; only their number may grow."""
    values = recipe.model_dump(mode="json")
    (values["tune"] or {}).pop("trials", None)
    searched = recipe_from_dict(values)
    require_same_recipe(searched, file, f"{file.parent} is a search of")
    write_text(file, dump_recipe(searched))


def _run_default(recipe: Recipe, run: Path, progress: Progress) -> None:
    """Runs the recipe as it is, but without a refit on the validation images that judge it."""
    if not is_finished(run):
        require_images(recipe, "validation", progress)
    values = recipe.model_dump(mode="json")
    for phase in values["train"]["phases"]:
        phase.pop("refit", None)
    values["tune"] = None
    unrefitted = recipe_of_trial(Recipe.model_validate(values), {})
    title = "the recipe as it is"
    try:
        run_worker(unrefitted, run, "validation", title=title, progress=progress)
    except WorkerError as error:
        raise WorkerError(f"{title} does not run: {error}") from error


def _open_study(optuna: ModuleType, path: Path, config: TuneConfig) -> Any:
    pruner = optuna.pruners.NopPruner()
    if config.prune:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_FIRST_TRIALS, n_warmup_steps=1)
    file = path / "trials.db"
    advice = "Choose another --name to begin the search anew; the runs in it are kept."
    with reading(file, "the record of a search", advice=advice, error=UsageError):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        if found != "ok":
            raise ValueError(found)
        study = optuna.create_study(
            storage=f"sqlite:///{file.absolute()}",
            study_name="tune",
            direction="maximize",
            pruner=pruner,
            load_if_exists=True,
        )
        study.get_trials(deepcopy=False)
        return study


def _outcome(search: Search, recipe: Recipe) -> Tuned:
    """Compares the best trial with the given recipe, and writes the winner as a recipe."""
    path = search.path
    complete = search.study.get_trials(states=(search.optuna.trial.TrialState.COMPLETE,))
    tried = len(search.finished())
    default = search.right(path / "runs" / "default")
    best = max(complete, key=lambda trial: trial.value, default=None)
    values, p_value, better = {}, 1.0, False
    winner, top1, default_top1 = recipe, float(default.mean()), float(default.mean())
    if best is not None and best.value > default_top1:
        values, top1 = values_of(best), best.value
        winner = recipe_of_trial(search.base, values)
        difference = accuracy_difference(search.right(search.run(best))[None], default[None])
        p_value = min(1.0, difference.p_value * tried)
        better = p_value < _LEVEL
    text = _words(values, top1, default_top1, better, p_value, tried, default)
    if doubt := search.commonest(path / "runs" / "default").doubt(top1):
        text = f"{text} But {doubt}: check the labels and the images (tfft data check)."
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
    STUDY.write(path / "tuned.json", tuned.to_json())
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
            f"better than the recipe as it is: {numbers}. It was chosen by these images, so expect "
            "somewhat less on others."
        )
    return f"not shown to be better than the recipe as it is: {numbers}."
