"""The process of one run of a study."""

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tfft.config.loading.load import dump_recipe, load_recipe
from tfft.studies import worker
from tfft.studies.process import is_finished
from tfft.system.workers import Events

fcntl = pytest.importorskip("fcntl")

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_is_finished_before_its_checkpoints_are_removed(tmp_path, monkeypatch):
    """Killed between the two, a study would otherwise train it again."""
    from tfft.transfer import start

    def train(recipe, *, run, progress):
        (run / "checkpoints").mkdir(parents=True)

    finished = []

    def remove(path, **_):
        if path.name == "checkpoints":
            finished.append(is_finished(path.parent))

    monkeypatch.setattr(start, "train", train)
    monkeypatch.setattr(worker, "evaluate", lambda *_, **__: None)
    monkeypatch.setattr(shutil, "rmtree", remove)
    (tmp_path / "run.yaml").write_text(dump_recipe(load_recipe("quickstart")))
    events = Events(io.StringIO(), threading.Event())
    worker.work(tmp_path / "run.yaml", tmp_path / "run", "test", events)
    assert finished == [True]


@pytest.mark.slow
def test_a_run_is_not_gone_on_with_while_the_worker_of_a_killed_study_still_stops(tmp_path):
    log = tmp_path / "run.log"
    arguments = [str(tmp_path / "missing.yaml"), str(tmp_path / "run"), "test"]
    with log.open("w") as still_stopping, log.open("a") as errors:
        fcntl.flock(still_stopping, fcntl.LOCK_EX)
        with subprocess.Popen(
            [sys.executable, "-m", "tfft.studies.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(20)
            fcntl.flock(still_stopping, fcntl.LOCK_UN)
            output = process.stdout.read()
    assert process.returncode == 2
    assert "missing.yaml" in output
