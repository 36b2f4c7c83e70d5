"""The trials of a search, each a run in its own process."""

import shutil
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import Any

import numpy as np

from tfft.config.recipe import Recipe
from tfft.config.tune import Searched
from tfft.errors import RecipeError
from tfft.evaluation.answers import load_answers
from tfft.metrics.commonest import CommonestClass, commonest_class
from tfft.runs.history import read_history
from tfft.studies.process import WorkerError, run_worker
from tfft.studies.space import recipe_of_trial, suggest_values
from tfft.system.progress import Progress

# Attributes stored with a trial: the number of its run's directory, and its values by path.
_RUN, _VALUES = "run", "values"


@dataclass(frozen=True, eq=False)
class Search:
    """What the trials of a search share.

    Attributes:
        optuna: The library, a module.
        study: Optuna's record of the trials.
        base: Recipe whose values are searched.
        space: Search space, by dotted path.
        path: Directory of the study.
        head: Name of the head whose top-1 is maximised.
        progress: Where the work is reported.
        stopping: Set when running trials are to stop, so that they can be resumed later.
    """

    optuna: ModuleType
    study: Any
    base: Recipe
    space: dict[str, Searched]
    path: Path
    head: str
    progress: Progress
    stopping: Event = field(default_factory=Event)

    def finished(self) -> list[Any]:
        """The trials that do not have to run any more."""
        states = self.optuna.trial.TrialState
        return self.study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))

    def run(self, trial: Any) -> Path:
        """The directory of a trial's run; an interrupted trial keeps that of its first attempt."""
        return self.path / "runs" / f"trial-{trial.user_attrs.get(_RUN, trial.number)}"

    def right(self, run: Path) -> np.ndarray:
        """Where a run is right on the validation images, bool [images]."""
        return load_answers(run, "validation").right(self.head)

    def commonest(self, run: Path) -> CommonestClass:
        """What always answering with the commonest class reaches on the validation images."""
        labels = load_answers(run, "validation").targets[self.head]
        return commonest_class(labels, labels)


def values_of(trial: Any) -> dict[str, Any]:
    """Returns the values of a trial, by dotted path."""
    return trial.user_attrs[_VALUES]


def requeue_interrupted(search: Search) -> None:
    """Queues trials again that were running when the search stopped; they keep their runs."""
    states = search.optuna.trial.TrialState
    for trial in search.study.get_trials(states=(states.RUNNING,)):
        search.study.tell(trial.number, state=states.FAIL)
        if trial.params:
            attributes = {_RUN: trial.user_attrs.get(_RUN, trial.number)}
            search.study.enqueue_trial(trial.params, user_attrs=attributes)


def run_trials(search: Search, wanted: int, *, jobs: int, seed: int) -> None:
    """Runs trials until `wanted` are finished, `jobs` at a time.

    Raises:
        KeyboardInterrupt: Raised once the running trials have stopped.
    """
    if jobs > 1:
        _run_several(search, wanted, jobs, seed)
        return
    while (number := len(search.finished())) < wanted:
        _run_trial(search, _ask(search, seed), f"trial {number + 1} of {wanted}")


def _run_several(search: Search, wanted: int, jobs: int, seed: int) -> None:
    """Lets threads wait for the processes of the trials; this thread chooses what to try next."""
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                number = len(search.finished()) + len(running)
                if number < wanted and len(running) < jobs:
                    trial = _ask(search, seed)
                    title = f"trial {number + 1} of {wanted}"
                    running.add(pool.submit(_run_trial, search, trial, title))
                elif running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                else:
                    return
        except BaseException:
            search.stopping.set()  # the pool waits for its threads
            raise


def _ask(search: Search, seed: int) -> Any:
    """Returns a new trial with its values.

    The sampler is seeded anew, so that its suggestions depend on the trials before, not on
    restarts: an interrupted trial and its second attempt count as one, even while the latter is
    queued.
    """
    states = search.optuna.trial.TrialState
    before = (states.COMPLETE, states.PRUNED, states.RUNNING)
    seed += len(search.study.get_trials(deepcopy=False, states=before))
    search.study.sampler = search.optuna.samplers.TPESampler(seed=seed)
    trial = search.study.ask()
    trial.set_user_attr(_VALUES, suggest_values(trial, search.space))
    return trial


def _run_trial(search: Search, trial: Any, title: str) -> None:
    values = values_of(trial)
    run, pruned = search.run(trial), search.optuna.trial.TrialState.PRUNED
    try:
        recipe = recipe_of_trial(search.base, values)
        shown = [f"{v:.2g}" if isinstance(v, float) else str(v) for v in values.values()]
        keys = [path.rpartition(".")[2] for path in values]
        tried = ", ".join(f"{key} {value}" for key, value in zip(keys, shown, strict=True))
        search.progress.message(f"{title}: {tried}")
        watch = _watch(search, trial, run)
        run_worker(recipe, run, "validation", title=title, progress=search.progress, watch=watch)
    except search.optuna.TrialPruned:
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        search.study.tell(trial, state=pruned)
    except (RecipeError, WorkerError) as error:
        # Counts as tried: values that do not fit together, or that end in NaN, cannot win.
        search.progress.message(f"{title} does not run: {error}")
        search.study.tell(trial, state=pruned)
    else:
        search.study.tell(trial, float(search.right(run).mean()))


def _watch(search: Search, trial: Any, run: Path) -> Callable[[], None]:
    """Reports the best validation top-1 so far after each epoch; prunes a trial that is low."""
    known = 0

    def watch() -> None:
        nonlocal known
        if search.stopping.is_set():
            raise KeyboardInterrupt
        if not (run / "history.csv").is_file():
            return
        top1 = [row[f"validation/{search.head}/top1"] for row in read_history(run)]
        for epoch in range(known, len(top1)):
            trial.report(max(top1[: epoch + 1]), epoch)
        if len(top1) > known:
            known = len(top1)
            if trial.should_prune():
                raise search.optuna.TrialPruned

    return watch
