"""Trials of a search one after the other and several at once, with runs that train nothing."""

import threading
import time

import numpy as np
import pytest

from tfft.config.loading.load import dump_recipe, load_recipe
from tfft.config.tune import Range
from tfft.errors import TfftError, UsageError
from tfft.evaluation.answers import Answers, save_answers
from tfft.studies import trials
from tfft.studies import tune as tuning
from tfft.studies.process import WorkerError
from tfft.studies.trials import Search, requeue_interrupted, run_trials, values_of
from tfft.studies.tune import tune
from tfft.system.files import write_text
from tfft.system.progress import SILENT

optuna = pytest.importorskip("optuna")
WAIT_S = 30.0
RATE = "train.phases.0.learning_rate"


class Drawn(Search):
    """A search whose runs are right on a share of the images that their learning rate says."""

    def right(self, run):
        trial = self.study.get_trials()[int(run.name.rpartition("-")[2])]
        return np.arange(1000) < 1000 * values_of(trial)[RATE]


@pytest.fixture
def search(tmp_path) -> Search:
    recipe = load_recipe("quickstart", overrides={"train.strategy": "feature_extraction"})
    space = {RATE: Range(low=1e-3, high=0.9)}
    study = optuna.create_study(direction="maximize")
    return Drawn(optuna, study, recipe, space, tmp_path, "label", SILENT)


def test_as_many_trials_as_asked_for_run_at_the_same_time(search, monkeypatch):
    together = threading.Barrier(3, timeout=WAIT_S)
    monkeypatch.setattr(trials, "run_worker", lambda *_, **__: together.wait())
    run_trials(search, 6, jobs=3, seed=0)
    assert [trial.state.name for trial in search.study.get_trials()] == ["COMPLETE"] * 6
    assert len({trial.params[RATE] for trial in search.finished()}) == 6


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_counts_as_tried(search, monkeypatch, jobs):
    def fail(recipe, run, *_, **__):
        if run.name == "trial-1":
            raise WorkerError("the loss is not finite")

    monkeypatch.setattr(trials, "run_worker", fail)
    run_trials(search, 3, jobs=jobs, seed=0)
    states = [trial.state.name for trial in search.study.get_trials()]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE"]


def test_a_recipe_that_does_not_run_as_it_is_ends_the_search_with_the_reason(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise WorkerError("its process was killed")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "run_worker", fail)
    monkeypatch.setattr(tuning, "require_images", lambda *_: None)
    with pytest.raises(TfftError, match=r"^the recipe as it is does not run: its process was"):
        tune(load_recipe("quickstart"), name="new")


def test_a_search_that_is_stopped_stops_all_its_runs_and_goes_on_with_them(search, monkeypatch):
    stopped = []

    def work(recipe, run, *_, watch, **__):
        if run.name == "trial-0":
            raise KeyboardInterrupt
        deadline = time.monotonic() + WAIT_S
        try:
            while time.monotonic() < deadline:
                watch()
                time.sleep(0.01)
        except KeyboardInterrupt:
            stopped.append(run.name)
            raise

    monkeypatch.setattr(trials, "run_worker", work)
    with pytest.raises(KeyboardInterrupt):
        run_trials(search, 4, jobs=2, seed=0)
    assert stopped == ["trial-1"]
    assert search.finished() == []

    monkeypatch.setattr(trials, "run_worker", lambda *_, **__: None)
    again = Drawn(optuna, search.study, search.base, search.space, search.path, "label", SILENT)
    requeue_interrupted(again)
    run_trials(again, 4, jobs=2, seed=0)
    first = {again.run(trial).name for trial in again.finished()}
    assert {"trial-0", "trial-1"} <= first
    assert len(again.finished()) == 4


def test_what_is_tried_depends_on_the_trials_before_alone(search, monkeypatch):
    monkeypatch.setattr(trials, "run_worker", lambda *_, **__: None)
    run_trials(search, 4, jobs=1, seed=0)
    other = optuna.create_study(direction="maximize")
    again = Drawn(optuna, other, search.base, search.space, search.path, "label", SILENT)
    for wanted in (2, 4):  # as if restarted after two
        run_trials(again, wanted, jobs=1, seed=0)
    tried = [[t.params for t in s.study.get_trials()] for s in (search, again)]
    assert tried[0] == tried[1]


@pytest.mark.parametrize("number", [0, 2])
def test_a_trial_that_was_interrupted_changes_nothing_that_is_tried_after_it(
    search, monkeypatch, number
):
    monkeypatch.setattr(trials, "run_worker", lambda *_, **__: None)
    run_trials(search, 5, jobs=1, seed=0)
    other = optuna.create_study(direction="maximize")
    again = Drawn(optuna, other, search.base, search.space, search.path, "label", SILENT)

    def stop(recipe, run, *_, **__):
        if run.name == f"trial-{number}":
            raise KeyboardInterrupt

    monkeypatch.setattr(trials, "run_worker", stop)
    with pytest.raises(KeyboardInterrupt):
        run_trials(again, 5, jobs=1, seed=0)
    monkeypatch.setattr(trials, "run_worker", lambda *_, **__: None)
    requeue_interrupted(again)
    run_trials(again, 5, jobs=1, seed=0)
    tried = [[t.params for t in s.finished()] for s in (search, again)]
    assert tried[0] == tried[1]


def test_a_search_of_another_recipe_or_without_images_to_judge_by_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "studies/mine/recipe.yaml", dump_recipe(load_recipe("quickstart")))
    other = load_recipe("quickstart", overrides=["train.batch_size=7"])
    with pytest.raises(UsageError, match="search of another recipe"):
        tune(other, name="mine")
    none = load_recipe("quickstart", overrides=["data.validation_fraction=0"])
    with pytest.raises(TfftError, match="validation_fraction"):
        tune(none, name="new")
    assert not (tmp_path / "studies/new/runs").exists()


def test_a_winner_at_chance_is_not_praised(tmp_path, monkeypatch):
    labels = np.arange(60) % 3

    def answer_always_the_same(recipe, run, split, **_):
        ids = np.array([str(number) for number in range(len(labels))])
        outputs = np.tile(np.float32([1, 0, 0]), (len(labels), 1))
        save_answers(run, split, Answers(ids, {"label": labels}, {"label": outputs}))

    for module in (tuning, trials):
        monkeypatch.setattr(module, "run_worker", answer_always_the_same)
    monkeypatch.setattr(tuning, "require_images", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("quickstart", overrides={"train.strategy": "feature_extraction"})
    tuned = tune(recipe, trials=1)
    assert (
        "0.333 is not shown to be better than always answering with the commonest class"
        in tuned.text
    )
