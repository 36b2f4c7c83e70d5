"""Trains or resumes a run and kills itself, as kill -9 does, at a place that it is told.

Run by test_kill.
"""

import io
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tfft.config.loading.load import load_recipe
from tfft.transfer import checkpoints as state
from tfft.transfer import resume, train
from tfft.transfer.phases import session as training


def main(recipe: Path, run: Path, place: str, count: int, cache: Path, pieces: Connection) -> None:
    """Trains, or goes on where the run was left.

    Args:
        recipe: File of the recipe.
        run: Run directory.
        place: Where to die: `cache` (while features are written), `checkpoint` (in the middle of
            the file), `phase` (a phase is over, no checkpoint says so yet), `evaluation` (in the
            middle of validation), or `nowhere`.
        count: How often the place is passed before.
        cache: Directory of tfft's caches.
        pieces: Told of each piece of training that is done.
    """
    os.environ["TFFT_CACHE_DIR"] = str(cache)
    passes = iter(range(count))

    def die_in_turn() -> None:
        if next(passes, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    if place == "checkpoint":
        np.savez = _half_written(np.savez, die_in_turn)
    elif place == "phase":
        state.TrainingState.next_phase = _after(die_in_turn, state.TrainingState.next_phase)
    elif place == "evaluation":
        training.Totals.add = _after(die_in_turn, training.Totals.add)
    progress = _Watching(pieces, die_in_turn if place == "cache" else lambda: None)
    if (run / "recipe.yaml").exists():
        resume.resume(run, progress=progress)
    else:
        train.train(load_recipe(recipe), run=run, progress=progress)


def _after(first: Callable[[], None], function: Callable) -> Callable:
    def wrapped(*arguments, **keywords):
        first()
        return function(*arguments, **keywords)

    return wrapped


def _half_written(savez: Callable, between: Callable[[], None]) -> Callable:
    def wrapped(file, **arrays) -> None:
        if isinstance(file, Path):  # no checkpoint: those are written to a stream
            savez(file, **arrays)
            return
        whole = io.BytesIO()
        savez(whole, **arrays)
        content = whole.getvalue()
        file.write(content[: len(content) // 2])
        file.flush()
        between()
        file.write(content[len(content) // 2 :])

    return wrapped


class _Watching:
    """Progress that tells of each piece of training, and of features that are being written."""

    def __init__(self, pieces: Connection, writes_cache: Callable[[], None]) -> None:
        self._pieces = pieces
        self._cache_is_written = writes_cache

    def start(self, description: str, total: int | None, unit: str = "images") -> "_Watching":
        self._writes_cache = description.startswith("features")
        self._trains = description.startswith("phase")
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        if self._writes_cache:
            self._cache_is_written()
        if self._trains and figures:
            self._pieces.send_bytes(b"piece")

    def close(self) -> None:
        pass

    def message(self, text: str) -> None:
        pass
