"""SIGINT, SIGTERM and SIGHUP at any moment: the run is usable, and ends as if nothing had been."""

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from forked import Started, tfft
from tally import tally
from transfer.shapes import ALL, HEADS, weights_of, write_recipe

from tfft.runs.run import Run

pytestmark = pytest.mark.slow
_S = 300
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    phases = {**HEADS, "epochs": 10}, {**ALL, "epochs": 20}
    return write_recipe(tmp_path_factory.mktemp("recipe"), *phases, checkpoint_seconds=1.0)


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    cwd = tmp_path_factory.mktemp("whole")
    assert tfft(["train", recipe, "--run", "run", "-q"], cwd, _S).returncode == 0
    return weights_of(cwd / "run")


def _stopped(recipe: Path, cwd: Path, number: int, after_s: float) -> int:
    """Sends a signal some time after the first epoch; returns the exit code."""
    started = Started(["train", recipe, "--run", "run", "-q"], cwd)
    until = time.monotonic() + _S
    while not (cwd / "run" / "history.csv").exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(after_s)
    if started.process.is_alive():
        assert started.process.pid is not None
        os.kill(started.process.pid, number)
    done = started.ended(_S)
    if done.returncode:
        assert "Go on with: tfft train --resume run" in done.stderr
        assert "Traceback" not in done.stderr
    return done.returncode


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.full)])
def test_a_training_that_a_signal_ends_is_usable_and_ends_as_one_that_none_ended(
    recipe: Path, whole: dict[str, np.ndarray], tmp_path: Path, times: int
):
    moments = random.Random(0)
    tried = 0
    for attempt in range(times):
        for number, code in _CODES.items():
            cwd = tmp_path / f"{number.name}-{attempt}"
            cwd.mkdir()
            ended = _stopped(recipe, cwd, number, moments.uniform(0.0, 1.0))
            assert ended in (0, code)
            assert all(np.isfinite(value).all() for value in weights_of(cwd / "run").values())
            if ended:
                tried += 1
                assert Run(cwd / "run").status == "interrupted"
                assert tfft(["train", "--resume", "run", "-q"], cwd, _S).returncode == 0
            for name, value in weights_of(cwd / "run").items():
                np.testing.assert_array_equal(value, whole[name], err_msg=name)
    assert tried >= times
    promise = "A training that a signal ends can be used, and resumed to the very same weights."
    tally("signals", promise, tried=tried, held=tried)
