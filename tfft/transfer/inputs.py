"""What feeds the steps of a phase: a stream of images, or features that were computed once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from tfft.data.index import ImageIndex
from tfft.data.pipeline import evaluation_batches, training_batches
from tfft.images.spec import PixelSpec
from tfft.system.tensorflow import start_tensorflow
from tfft.transfer.step import Batch, EvaluationStep, TrainStep

start_tensorflow()
import tensorflow as tf  # noqa: E402

# Features are gathered for this many steps at a time, so that memory does not grow with the data.
_STEPS_PER_CHUNK = 64


# From an epoch, counted from 0 over the whole run, to the positions that it visits, int64 [n].
Order = Callable[[int], np.ndarray]


class Piece(NamedTuple):
    """A part of an epoch that was trained: steps taken, images seen, sums of the steps."""

    steps: int
    images: int
    sums: tf.Tensor


class PhaseInputs(Protocol):
    """Feeds one phase."""

    def train_epoch(
        self, step: TrainStep, epoch: int, learning_rates: np.ndarray, first_step: int
    ) -> Iterator[Piece]:
        """Trains an epoch, or the steps of it that have a learning rate, from `first_step` on.

        Args:
            step: what is trained.
            epoch: counted from 0 over the whole run.
            learning_rates: of each step from the epoch's start, float32 [steps].
            first_step: steps of the epoch that were taken before.
        """
        ...

    def validate(self, step: EvaluationStep) -> Iterator[tf.Tensor]:
        """Yields the sums over each piece of the validation images."""
        ...


@dataclass(frozen=True, eq=False)
class ImageStream:
    """Decodes (and augments) the images anew in each epoch.

    Attributes:
        targets: what the data call the target of each head.
        order: of the training images.
    """

    train: ImageIndex
    validation: ImageIndex
    pixels: PixelSpec
    targets: Mapping[str, str]
    batch_size: int
    order: Order
    augmentation: str
    seed: int

    def train_epoch(
        self, step: TrainStep, epoch: int, learning_rates: np.ndarray, first_step: int
    ) -> Iterator[Piece]:
        batches = training_batches(
            self.train,
            self.pixels,
            self.batch_size,
            order=self.order(epoch),
            augmentation=self.augmentation,
            seed=self.seed,
            epoch=epoch,
            first_step=first_step,
        )
        rates = learning_rates[first_step:]
        for batch, rate in zip(batches.take(len(rates)), rates, strict=True):
            count = int(batch["positions"].shape[0])
            yield Piece(1, count, step.on_batch(self._batch(batch), tf.constant(rate)))

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
        order: of the training images.
    """

    train: Sequence[np.ndarray]
    train_targets: Mapping[str, np.ndarray]
    validation: Sequence[np.ndarray]
    validation_targets: Mapping[str, np.ndarray]
    batch_size: int
    order: Order

    def train_epoch(
        self, step: TrainStep, epoch: int, learning_rates: np.ndarray, first_step: int
    ) -> Iterator[Piece]:
        order = self.order(epoch)
        whole = len(order) // self.batch_size
        done = first_step
        while done < len(learning_rates):
            # The last batch of an epoch may be smaller, and so cannot stand in one tensor with
            # others.
            until = min(done + _STEPS_PER_CHUNK, len(learning_rates), max(whole, done + 1))
            positions = order[done * self.batch_size : until * self.batch_size]
            rates = tf.constant(learning_rates[done:until])
            sums = step.on_chunk(self._rows(positions, until - done), rates)
            yield Piece(until - done, len(positions), sums)
            done = until

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
