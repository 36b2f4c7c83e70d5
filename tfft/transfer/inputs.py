"""What feeds the steps of a phase: a stream of images, or features that were computed once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tfft.data.index import ImageIndex
from tfft.data.pipeline import epoch_order, evaluation_batches, training_batches
from tfft.images.spec import PixelSpec
from tfft.system.tensorflow import start_tensorflow
from tfft.transfer.step import Batch, EvaluationStep, TrainStep

start_tensorflow()
import tensorflow as tf  # noqa: E402

# Features are gathered for this many steps at a time, so that memory does not grow with the data.
_STEPS_PER_CHUNK = 64


class PhaseInputs(Protocol):
    """Feeds one phase."""

    def train_epoch(
        self, step: TrainStep, epoch: int, learning_rates: np.ndarray
    ) -> Iterator[tuple[int, tf.Tensor]]:
        """Trains one epoch; yields the number of images and the sums after each piece of it."""
        ...

    def validate(self, step: EvaluationStep) -> Iterator[tf.Tensor]:
        """Yields the sums over each piece of the validation images."""
        ...


@dataclass(frozen=True, eq=False)
class ImageStream:
    """Decodes (and augments) the images anew in each epoch.

    Attributes:
        targets: what the data call the target of each head.
    """

    train: ImageIndex
    validation: ImageIndex
    pixels: PixelSpec
    targets: Mapping[str, str]
    batch_size: int
    augmentation: str
    seed: int

    def train_epoch(
        self, step: TrainStep, epoch: int, learning_rates: np.ndarray
    ) -> Iterator[tuple[int, tf.Tensor]]:
        batches = training_batches(
            self.train,
            self.pixels,
            self.batch_size,
            augmentation=self.augmentation,
            seed=self.seed,
            epoch=epoch,
        )
        for batch, rate in zip(batches, learning_rates, strict=True):
            count = int(batch["positions"].shape[0])
            yield count, step.on_batch(self._batch(batch), tf.constant(rate))

    def validate(self, step: EvaluationStep) -> Iterator[tf.Tensor]:
        for batch in evaluation_batches(self.validation, self.pixels, self.batch_size):
            yield step.on_batch(self._batch(batch))

    def _batch(self, batch: Mapping[str, Any]) -> Batch:
        targets = {head: batch["targets"][target] for head, target in self.targets.items()}
        return (batch["images"],), targets


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """Rows of arrays that lie memory-mapped on disk, shuffled anew in each epoch.

    Attributes:
        train: tensors at the cut, [images, ...] each; validation: likewise.
        train_targets: [images] by head; validation_targets: likewise.
    """

    train: Sequence[np.ndarray]
    train_targets: Mapping[str, np.ndarray]
    validation: Sequence[np.ndarray]
    validation_targets: Mapping[str, np.ndarray]
    batch_size: int
    seed: int

    def train_epoch(
        self, step: TrainStep, epoch: int, learning_rates: np.ndarray
    ) -> Iterator[tuple[int, tf.Tensor]]:
        order = epoch_order(len(self.train[0]), self.seed, epoch)
        whole = len(order) // self.batch_size * self.batch_size
        chunk = _STEPS_PER_CHUNK * self.batch_size
        pieces = [order[start : min(start + chunk, whole)] for start in range(0, whole, chunk)]
        done = 0
        for positions in [*pieces, order[whole:]]:
            if not len(positions):
                continue
            steps = max(1, len(positions) // self.batch_size)
            rates = tf.constant(learning_rates[done : done + steps])
            yield len(positions), step.on_chunk(self._rows(positions, steps), rates)
            done += steps

    def validate(self, step: EvaluationStep) -> Iterator[tf.Tensor]:
        rows = _STEPS_PER_CHUNK * self.batch_size
        for start in range(0, len(self.validation[0]), rows):
            part = slice(start, start + rows)
            inputs = tuple(tf.constant(array[part]) for array in self.validation)
            targets = {n: tf.constant(t[part]) for n, t in self.validation_targets.items()}
            yield step.on_batch((inputs, targets))

    def _rows(self, positions: np.ndarray, steps: int) -> Batch:
        def stacked(array: np.ndarray) -> tf.Tensor:
            rows = array[positions]
            return tf.constant(rows.reshape(steps, -1, *rows.shape[1:]))

        inputs = tuple(stacked(array) for array in self.train)
        return inputs, {name: stacked(t) for name, t in self.train_targets.items()}
