"""The state of a training and its checkpoints: enough to go on as if it had never stopped."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras

import numpy as np

from tfft.errors import ModelFileError, NotFiniteError
from tfft.system.damage import reading
from tfft.system.files import atomic_path
from tfft.system.formats import CHECKPOINT
from tfft.system.typed import typed

_KEPT = 2
# Writing takes longer than a short epoch: one that is younger is not worth a checkpoint.
_SHORT_SECONDS = 5.0
NOT_FINITE_ADVICE = "Lower the learning rate, or set train.optimizer.clip_norm."


@dataclass
class Best:
    """The best weights so far.

    Attributes:
        phase: Index of the phase that reached them, from 0; -1: before all phases.
        epoch: Epoch of that phase, from 1; 0: before all phases.
        metrics: Metrics on validation data, ``{head: {"loss": …, "top1": …}}``; empty without
            such data.
        file: Name of the file that holds them.
    """

    phase: int
    epoch: int
    metrics: dict[str, dict[str, float]]
    file: str


@dataclass
class TrainingState:
    """Everything beside the variables that decides how a training goes on.

    Attributes:
        phase: Index of the phase to go on with, from 0.
        epoch: Number of epochs of that phase that are done.
        epoch_step: Number of steps of the next epoch that are done.
        epoch_sums: Sums that these steps returned, added up; empty before the first.
        epoch_seconds: Seconds these steps took, wall clock.
        elapsed_seconds: Seconds since the training began, with features and validation and without
            interruptions.
        step: Number of optimizer steps taken in all phases.
        saves: Number of checkpoints and best weights saved.
        stale_epochs: Epochs of this phase since its best validation result.
        phase_best: Monitored value of this phase's best epoch.
        best: The best weights of any phase.
        history: Rows of the history, one an epoch.
    """

    phase: int = 0
    epoch: int = 0
    epoch_step: int = 0
    epoch_sums: list[float] = field(default_factory=list)
    epoch_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    step: int = 0
    saves: int = 0
    stale_epochs: int = 0
    phase_best: tuple[float, float] | None = None
    best: Best | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainingState":
        """Returns the state that `dataclasses.asdict` made these JSON values of.

        Raises:
            ValueError: They are not the values of a state.
        """
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"it has {', '.join(sorted(unknown))}, which no state has")
        return typed(cls, values)

    @property
    def done(self) -> str:
        """How far the phase has come, in words: ``3 epochs and 17 steps``."""
        epochs = f"{self.epoch} epoch{'' if self.epoch == 1 else 's'}"
        if not self.epoch_step:
            return epochs
        return f"{epochs} and {self.epoch_step} step{'' if self.epoch_step == 1 else 's'}"

    def next_epoch(self) -> None:
        """Goes on to the next epoch of the phase."""
        self.epoch += 1
        self.epoch_step = 0
        self.epoch_sums = []
        self.epoch_seconds = 0.0

    def next_phase(self) -> None:
        """Goes on to the first epoch of the next phase."""
        self.phase += 1
        self.epoch = 0
        self.stale_epochs = 0
        self.phase_best = None


class Checkpoints:
    """The checkpoints of a run: the last two states, and the best weights.

    A file is written beside its place, synced and renamed. Weights that are not finite are never
    saved: a checkpoint is always one to go on from.

    Args:
        directory: Directory of the checkpoints.
        model_variables: All variables of the model, in a fixed order.
        other_variables: Variables of the optimizer and of whatever else goes on from step to step,
            in a fixed order.
    """

    def __init__(
        self,
        directory: Path,
        model_variables: Sequence[keras.Variable],
        other_variables: Sequence[keras.Variable],
    ) -> None:
        self._directory = directory
        self._model = list(model_variables)
        self._all = [*model_variables, *other_variables]
        self._saved_at = time.monotonic()
        self._best_before: str | None = None

    def save(self, state: TrainingState) -> None:
        """Saves all variables with `state`, and removes files that are no longer needed.

        Raises:
            NotFiniteError: A variable is not finite.
            TfftError: The file cannot be written.
        """
        state.saves += 1
        self._write(self._directory / f"state-{state.saves:06d}.npz", self._all, state)
        for old in self._saved()[:-_KEPT]:
            old.unlink()
        # The best weights of the state before this one stay, in case this file gets damaged.
        best = state.best.file if state.best else None
        for old in self._directory.glob("best-*.npz"):
            if old.name not in (best, self._best_before):
                old.unlink()
        self._best_before = best
        self._saved_at = time.monotonic()

    def save_if_older(self, seconds: float, state: TrainingState) -> None:
        """Saves if the last checkpoint is at least `seconds` old."""
        if time.monotonic() - self._saved_at >= seconds:
            self.save(state)

    def save_epoch(self, seconds: float, state: TrainingState) -> None:
        """Saves at the end of an epoch, unless that was done less than `seconds`, or 5 s, ago."""
        self.save_if_older(min(seconds, _SHORT_SECONDS), state)

    def save_best(
        self, state: TrainingState, phase: int, epoch: int, metrics: dict[str, dict[str, float]]
    ) -> None:
        """Saves the model's variables as the best ones, and notes them in `state`."""
        state.saves += 1
        state.best = Best(phase, epoch, metrics, f"best-{state.saves:06d}.npz")
        self._write(self._directory / state.best.file, self._model, state)

    def restore(self) -> TrainingState | None:
        """Sets all variables to those of the last checkpoint and returns its state, if any.

        Where that one was damaged since, the one before it is taken.

        Raises:
            ModelFileError: None of them can be read, or they are of another model.
        """
        for half_written in self._directory.glob(".*.npz"):  # by a process that was killed
            half_written.unlink()
        fault = None
        for path in reversed(self._saved()):
            try:
                state = self._read(path, self._all)
            except ModelFileError as error:
                fault = fault or error
            else:
                self._best_before = state.best.file if state.best else None
                return state
        if fault is not None:
            raise fault
        return None

    def restore_best(self, best: Best | None) -> None:
        """Sets the model's variables to the best ones, if there are any."""
        if best is not None:
            self._read(self._directory / best.file, self._model)

    def last_best(self, saves: int) -> TrainingState | None:
        """Returns the state of the newest best weights that can be read; it may lack checkpoints.

        Short epochs keep their weights and not their state.

        Args:
            saves: Number of saves that are known already: the weights have to be newer.
        """
        for path in sorted(self._directory.glob("best-*.npz"), reverse=True):
            with suppress(ModelFileError):
                state = self._read(path, self._model)
                return state if state.saves > saves else None
        return None

    def last(self) -> Path | None:
        """Returns the file of the last checkpoint, if there is one."""
        return next(reversed(self._saved()), None)

    def _saved(self) -> list[Path]:
        return sorted(self._directory.glob("state-*.npz"))

    def _write(self, path: Path, variables: Sequence[keras.Variable], state: TrainingState) -> None:
        values = {f"{i:05d}": variable.numpy() for i, variable in enumerate(variables)}
        for number, variable in zip(values, variables, strict=True):
            if not np.all(np.isfinite(values[number])):
                raise NotFiniteError(
                    f"{variable.path} holds values that are not finite (NaN or infinite), so the "
                    f"training stops. {NOT_FINITE_ADVICE}"
                )
        text = json.dumps(CHECKPOINT.stamped(asdict(state))).encode()
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, state=np.frombuffer(text, np.uint8), **values)

    def _read(self, path: Path, variables: Sequence[keras.Variable]) -> TrainingState:
        with (
            reading(path, "a checkpoint of this model", error=ModelFileError),
            path.open("rb") as stream,
            np.load(stream, allow_pickle=False) as saved,
        ):
            state = CHECKPOINT.upgraded(json.loads(saved["state"].tobytes()), path)
            if len(saved.files) != len(variables) + 1:
                raise ModelFileError(
                    f"{path} was saved from another model: it has {len(saved.files) - 1} "
                    f"variables, this model has {len(variables)}."
                )
            for number, variable in enumerate(variables):
                variable.assign(saved[f"{number:05d}"])
            return TrainingState.from_json(state)
