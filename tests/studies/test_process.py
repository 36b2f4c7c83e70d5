"""What a study makes of the process of one of its runs, with processes that were made up."""

import errno
import io
import json
import subprocess
import sys

import pytest

from tfft.config.loading.load import load_recipe
from tfft.errors import TfftError, UsageError
from tfft.studies import process
from tfft.studies.process import WorkerError, owned_study, run_worker
from tfft.system.files import write_json
from tfft.system.progress import SILENT


class Recorded:
    """Progress and tasks that note what is done to them."""

    def __init__(self) -> None:
        self.done: list[tuple] = []

    def start(self, description: str, total: int | None, unit: str = "images") -> "RecordedTask":
        self.done.append(("start", description, total))
        return RecordedTask(self.done, description)

    def message(self, text: str) -> None:
        self.done.append(("message", text))


class RecordedTask:
    def __init__(self, done: list[tuple], description: str) -> None:
        self._done, self._description = done, description

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        self._done.append(("advance", self._description, steps, figures))

    def close(self) -> None:
        self._done.append(("close", self._description))


class Worker:
    """A process that sent these events and ended well."""

    returncode = 0

    def __init__(self, events: list[dict]) -> None:
        self.stdin = io.StringIO()
        self.stdout = io.StringIO("".join(json.dumps(event) + "\n" for event in events))

    def wait(self, timeout: float | None = None) -> int:
        return 0


START = {"total": 8, "unit": "images"}


def replayed(events: list[dict], tmp_path, monkeypatch) -> list[tuple]:
    """What a study shows of the events of a run."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Worker(events))
    shown = Recorded()
    recipe = load_recipe("quickstart")
    run_worker(recipe, tmp_path / "run", "test", title="run 1", progress=shown)
    return shown.done


def test_steps_after_a_task_within_a_task_are_of_the_outer_one(tmp_path, monkeypatch):
    events = [
        {"start": "epoch 1", **START},
        {"start": "view 1", **START},
        {"advance": 8, "values": {}},
        {"close": True},
        {"advance": 4, "values": {"loss": 0.5}},
        {"close": True},
        {"start": "epoch 2", **START},
        {"close": True},
    ]
    assert replayed(events, tmp_path, monkeypatch) == [
        ("start", "run 1: epoch 1", 8),
        ("start", "run 1: view 1", 8),
        ("advance", "run 1: view 1", 8, {}),
        ("close", "run 1: view 1"),
        ("advance", "run 1: epoch 1", 4, {"loss": 0.5}),
        ("close", "run 1: epoch 1"),
        ("start", "run 1: epoch 2", 8),
        ("close", "run 1: epoch 2"),
    ]


def test_tasks_that_a_run_leaves_open_are_closed_from_the_inside(tmp_path, monkeypatch):
    events = [{"start": "epoch 1", **START}, {"start": "view 1", **START}]
    done = replayed(events, tmp_path, monkeypatch)
    assert done[2:] == [("close", "run 1: view 1"), ("close", "run 1: epoch 1")]


def test_a_process_that_cannot_be_started_is_no_fault_of_the_log(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    recipe = load_recipe("quickstart")
    with pytest.raises(TfftError, match=r"cannot start .*: Resource temporarily unavailable$"):
        run_worker(recipe, tmp_path / "run", "test", title="run 1", progress=SILENT)


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "run.log").mkdir()
    recipe = load_recipe("quickstart")
    with pytest.raises(TfftError, match=r"cannot write .*run\.log"):
        run_worker(recipe, tmp_path / "run", "test", title="run 1", progress=SILENT)


def test_a_run_whose_worker_a_signal_stopped_has_not_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(Worker, "returncode", 130)
    with pytest.raises(TfftError, match=r"was stopped by a signal\. The same command") as stopped:
        replayed([{"start": "epoch 1", **START}], tmp_path, monkeypatch)
    assert not isinstance(stopped.value, process.WorkerError)  # which counts a trial as tried


def test_a_finished_run_is_left_as_it_is_but_not_taken_for_another_recipe(tmp_path, monkeypatch):
    run = tmp_path / "run"
    replayed([], tmp_path, monkeypatch)
    run.mkdir()
    write_json(run / "cost.json", {"finished": True})
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("it ran again"))
    arguments = {"title": "run 1", "progress": SILENT}
    run_worker(load_recipe("quickstart"), run, "test", **arguments)
    other = load_recipe("quickstart", overrides=["train.batch_size=7"])
    with pytest.raises(UsageError, match="made with another recipe"):
        run_worker(other, run, "test", **arguments)


def test_a_worker_that_was_killed_is_called_that(tmp_path, monkeypatch):
    """It dies half way through an event, as one that runs out of memory does."""
    script = (
        "import os, sys; sys.stdout.write('{\"start\": '); sys.stdout.flush(); "
        "sys.stderr.write('noise of a library'); os.kill(os.getpid(), 9)"
    )
    start = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda _, **how: start([sys.executable, "-c", script], **how)
    )
    recipe = load_recipe("quickstart")
    with pytest.raises(WorkerError, match=r"killed \(SIGKILL\), probably .* out of memory") as said:
        run_worker(recipe, tmp_path / "run", "test", title="run 1", progress=SILENT)
    assert "noise" not in str(said.value)
    assert f"The whole log: {tmp_path / 'run.log'}" in str(said.value)


def test_a_study_is_run_by_one_process(tmp_path):
    refused = pytest.raises(UsageError, match="run by another process")
    with owned_study(tmp_path / "study"), refused, owned_study(tmp_path / "study"):
        pass
    with owned_study(tmp_path / "study"):
        pass
