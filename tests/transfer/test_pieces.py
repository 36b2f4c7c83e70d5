"""An epoch on cached tensors is trained in pieces, however many steps fit into one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfft.transfer.phases import inputs
from tfft.transfer.phases.inputs import CachedTensors

_IMAGES, _BATCH = 22, 4
_STEPS = 6  # the last of two images


def _batches(first_step: int) -> list[list[int]]:
    """The images of each step, as they come from an epoch whose order is backwards."""
    positions = np.arange(_IMAGES)
    cached = CachedTensors(
        lambda epoch: [positions[:, None].astype(np.float32)],
        {"label": positions},
        *([], {}, _BATCH),
        lambda epoch: positions[::-1],
        lambda: None,
    )
    seen: list[list[int]] = []

    def on_chunk(batches: Any, learning_rates: tf.Tensor) -> tf.Tensor:
        (rows,), targets = batches
        np.testing.assert_array_equal(rows[..., 0], targets["label"])
        assert len(rows) == len(learning_rates)
        seen.extend(targets["label"].numpy().tolist())
        return tf.zeros(3)

    step: Any = SimpleNamespace(on_chunk=on_chunk)
    pieces = list(cached.train_epoch(step, 0, np.zeros(_STEPS, np.float32), first_step))
    assert sum(piece.steps for piece in pieces) == _STEPS - first_step == len(seen)
    assert sum(piece.images for piece in pieces) == sum(map(len, seen))
    return seen


@pytest.mark.parametrize("steps_of_a_piece", range(1, _STEPS + 2))
@pytest.mark.parametrize("first_step", range(_STEPS))
def test_each_step_has_its_images_and_the_last_the_rest(
    steps_of_a_piece: int, first_step: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(inputs, "_STEPS_PER_CHUNK", steps_of_a_piece)
    backwards = list(range(_IMAGES))[::-1]
    expected = [backwards[start : start + _BATCH] for start in range(0, _IMAGES, _BATCH)]
    assert _batches(first_step) == expected[first_step:]
