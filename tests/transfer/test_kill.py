"""kill -9 at any moment: a resumed run ends with the weights of one that was never stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from shapes import THREE_PHASES, shapes_recipe, weights_of, write_photos, write_weights

from tfft.config.loading.load import dump_recipe
from tfft.runs.run import Run

_SCRIPT = Path(__file__).with_name("train_and_die.py")
_ROOT = Path(__file__).resolve().parents[2]
_KILLS = 20
# Of a run's 20 or so, so that most runs are killed several times before they end.
_MOST_PIECES = 6


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phases, with a checkpoint after each step."""
    photos = write_photos(tmp_path_factory.mktemp("photos"))
    write_weights(photos)
    path = photos.with_name("recipe.yaml")
    path.write_text(dump_recipe(shapes_recipe(photos, *THREE_PHASES, checkpoint_seconds=1e-9)))
    return path


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that nothing stopped, in a process of its own like the others."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert _ended(_process(recipe, run, "nowhere", 0, run.with_name("cache"))) == 0
    return Run(run)


def _ended(process: subprocess.Popen) -> int:
    process.communicate(timeout=300)
    return process.returncode


def _process(recipe: Path, run: Path, place: str, count: int, cache: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(recipe), str(run), place, str(count)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "TFFT_CACHE_DIR": str(cache)},
    )


def _await_pieces(process: subprocess.Popen, count: int) -> None:
    """Waits until so many pieces of training are done, or the process has ended."""
    assert process.stdout is not None
    for _ in range(count):
        process.stdout.readline()


def _require_same(run: Path, whole: Run) -> None:
    expected, actual = weights_of(whole.path), weights_of(run)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "count"),
    [("cache", 1), ("checkpoint", 0), ("checkpoint", 9), ("phase", 1), ("evaluation", 11)],
)
def test_a_run_killed_at_a_place_goes_on_as_if_it_had_not_been(
    recipe: Path, whole: Run, tmp_path: Path, place: str, count: int
):
    run, cache = tmp_path / "run", tmp_path / "cache"
    assert _ended(_process(recipe, run, place, count, cache)) == -signal.SIGKILL
    assert not (run / "model.keras").exists()
    assert _ended(_process(recipe, run, "nowhere", 0, cache)) == 0
    _require_same(run, whole)


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_moments_ends_as_if_it_had_not_been(
    recipe: Path, whole: Run, tmp_path: Path
):
    moments = random.Random(0)
    kills, attempt = 0, 0
    while kills < _KILLS:
        run = tmp_path / f"run-{attempt}"
        attempt += 1
        finished = False
        while not finished:
            process = _process(recipe, run, "nowhere", 0, tmp_path / "cache")
            if kills < _KILLS:
                _await_pieces(process, moments.randint(1, _MOST_PIECES))
                time.sleep(moments.uniform(0.0, 0.1))  # into the checkpoint or the next piece
                process.kill()
            code = _ended(process)
            finished = code == 0
            kills += code == -signal.SIGKILL
        _require_same(run, whole)
    assert kills == _KILLS
