"""The process of one run of a study."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

fcntl = pytest.importorskip("fcntl")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


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
