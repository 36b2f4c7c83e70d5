"""kill -9 at any moment: a resumed run ends with the weights of one that was never stopped."""

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import train_and_die
from faults.tally import tally
from forked import PROCESSES
from shapes import THREE_PHASES, weights_of, write_recipe

from tfft.runs.run import Run

pytestmark = pytest.mark.slow
# Of a run's 20 or so, so that most runs are killed several times before they end.
_MOST_PIECES = 6


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phases, with a checkpoint after each step."""
    root = tmp_path_factory.mktemp("recipe")
    return write_recipe(root, *THREE_PHASES, checkpoint_seconds=1e-9)


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that nothing stopped, in a process of its own like the others."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert _Training(recipe, run, "nowhere", 0, run.with_name("cache")).ended() == 0
    return Run(run)


class _Training:
    """A process that trains or resumes a run."""

    def __init__(self, *what: object) -> None:
        self._pieces, sender = PROCESSES.Pipe(duplex=False)
        arguments = (*what, sender)
        self.process = PROCESSES.Process(target=train_and_die.main, args=arguments)
        self.process.start()
        sender.close()

    def await_pieces(self, count: int) -> None:
        """Waits until so many pieces of training are done, or the process has ended."""
        try:
            for _ in range(count):
                self._pieces.recv_bytes()
        except EOFError:
            return

    def ended(self) -> int | None:
        """The exit code, negative that of a signal; None if it went on for minutes."""
        self.process.join(timeout=300)
        return self.process.exitcode


def _require_same(run: Path, whole: Run) -> None:
    expected, actual = weights_of(whole.path), weights_of(run)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("place", "count"),
    [
        *(("cache", 1), ("checkpoint", 9), ("phase", 1), ("evaluation", 11)),
        pytest.param("checkpoint", 0, marks=pytest.mark.full),
    ],
)
def test_a_run_killed_at_a_place_goes_on_as_if_it_had_not_been(
    recipe: Path, whole: Run, tmp_path: Path, place: str, count: int
):
    run, cache = tmp_path / "run", tmp_path / "cache"
    assert _Training(recipe, run, place, count, cache).ended() == -signal.SIGKILL
    assert not (run / "model.keras").exists()
    assert _Training(recipe, run, "nowhere", 0, cache).ended() == 0
    _require_same(run, whole)


@pytest.mark.parametrize("wanted", [3, pytest.param(20, marks=pytest.mark.full)])
def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(
    recipe: Path, whole: Run, tmp_path: Path, wanted: int
):
    moments = random.Random(0)
    kills, attempt = 0, 0
    while kills < wanted:
        run = tmp_path / f"run-{attempt}"
        attempt += 1
        finished = False
        while not finished:
            training = _Training(recipe, run, "nowhere", 0, tmp_path / "cache")
            if kills < wanted:
                training.await_pieces(moments.randint(1, _MOST_PIECES))
                time.sleep(moments.uniform(0.0, 0.1))  # into the checkpoint or the next piece
                training.process.kill()
            code = training.ended()
            finished = code == 0
            kills += code == -signal.SIGKILL
        _require_same(run, whole)
    assert kills == wanted
    promise = "A training that is killed ends, resumed, with the very same weights."
    tally("kills", promise, tried=wanted, held=kills)
