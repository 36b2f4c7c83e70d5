"""Trains or resumes a run and kills itself, as kill -9 does, at a place that it is told.

    train_and_die.py RECIPE RUN PLACE COUNT

PLACE is where: `cache` (while features are written), `checkpoint` (in the middle of the file),
`phase` (a phase is over, no checkpoint says so yet), `evaluation` (in the middle of validation),
or `nowhere`. COUNT is how often the place is passed before. Prints a line for each piece of
training that is done. Run by test_kill.
"""

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfft.config.loading.load import load_recipe
from tfft.transfer import checkpoints as state
from tfft.transfer import train
from tfft.transfer.phases import session as training

recipe, run, place, count = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
passes = iter(range(count))


def die_in_turn() -> None:
    if next(passes, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)


def dying_before(function: Callable) -> Callable:
    def wrapped(*arguments, **keywords):
        die_in_turn()
        return function(*arguments, **keywords)

    return wrapped


def half_written(file, **arrays) -> None:
    whole = io.BytesIO()
    savez(whole, **arrays)
    content = whole.getvalue()
    file.write(content[: len(content) // 2])
    file.flush()
    die_in_turn()
    file.write(content[len(content) // 2 :])


class Watching:
    """Progress that prints each piece of training, and dies where features are being written."""

    def start(self, description: str, total: int | None, unit: str = "images") -> "Watching":
        self._writes_cache = description.startswith("features")
        self._trains = description.startswith("phase")
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        if place == "cache" and self._writes_cache:
            die_in_turn()
        if self._trains and figures:
            print("piece", flush=True)  # noqa: T201

    def close(self) -> None:
        pass

    def message(self, text: str) -> None:
        pass


savez = np.savez
if place == "checkpoint":
    np.savez = half_written
elif place == "phase":
    state.TrainingState.next_phase = dying_before(state.TrainingState.next_phase)
elif place == "evaluation":
    training.Totals.add = dying_before(training.Totals.add)
if (run / "recipe.yaml").exists():
    train.resume(run, progress=Watching())
else:
    train.train(load_recipe(recipe), run=run, progress=Watching())
