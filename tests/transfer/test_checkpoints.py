"""When states and best weights are written, and that those which are kept fit together."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfft.transfer import checkpoints as state_module
from tfft.transfer.checkpoints import Checkpoints, TrainingState


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(state_module, "time", clock)
    return clock


def _made(directory: Path) -> tuple[Checkpoints, keras.Variable]:
    weights = keras.Variable(np.zeros(2, np.float32))
    slots = keras.Variable(np.zeros(2, np.float32))
    directory.mkdir(exist_ok=True)
    return Checkpoints(directory, [weights], [slots]), weights


def _epochs(checkpoints: Checkpoints, weights: keras.Variable, count: int) -> TrainingState:
    """Epochs that each are the best so far; the weights are their number."""
    state = checkpoints.restore() or TrainingState()
    for _ in range(count):
        state.next_epoch()
        weights.assign([state.epoch, state.epoch])
        checkpoints.save_best(state, 0, state.epoch, {})
        checkpoints.save_epoch(60.0, state)
    return state


def test_short_epochs_share_a_checkpoint(tmp_path: Path, clock: Clock):
    checkpoints, weights = _made(tmp_path / "run")
    _epochs(checkpoints, weights, 3)
    assert checkpoints.last() is None
    clock.now += 6
    _epochs(checkpoints, weights, 1)
    first = checkpoints.last()
    _epochs(checkpoints, weights, 2)
    assert checkpoints.last() == first is not None


def test_the_best_weights_of_both_states_that_are_kept_are_kept(tmp_path: Path, clock: Clock):
    checkpoints, weights = _made(tmp_path / "run")
    for _ in range(3):
        clock.now += 6
        _epochs(checkpoints, weights, 4)
    last = checkpoints.last()
    assert last is not None
    last.write_bytes(b"damaged")
    again, restored = _made(tmp_path / "run")
    state = again.restore()
    assert state is not None
    assert state.best is not None
    again.restore_best(state.best)
    np.testing.assert_array_equal(restored, [state.epoch, state.epoch])
    assert len(list((tmp_path / "run").glob("state-*"))) == 2


def test_a_checkpoint_that_was_cut_off_and_what_a_killed_process_left_do_no_harm(
    tmp_path: Path, clock: Clock
):
    checkpoints, weights = _made(tmp_path / "run")
    state = TrainingState()
    for number in range(2):
        weights.assign([number, number])
        checkpoints.save(state)
    last = checkpoints.last()
    assert last is not None
    last.write_bytes(last.read_bytes()[:-30])
    (tmp_path / "run" / ".state-000003.npz.x7.npz").touch()
    again, restored = _made(tmp_path / "run")
    assert again.restore() is not None
    np.testing.assert_array_equal(restored, [0, 0])
    assert not list((tmp_path / "run").glob(".*"))


def test_what_is_saved_is_restored(tmp_path: Path, clock: Clock):
    checkpoints, weights = _made(tmp_path / "run")
    state = _epochs(checkpoints, weights, 2)
    state.next_phase()
    checkpoints.save(state)
    again, restored = _made(tmp_path / "run")
    assert again.restore() == state
    np.testing.assert_array_equal(restored, [2, 2])
