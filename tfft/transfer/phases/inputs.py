"""Inputs of a phase: a stream of examples, or tensors that were computed once."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

from tfft.system.tensorflow import tf

import numpy as np

from tfft.cache.tensors import Rows, row_bytes
from tfft.data.examples import Examples, Order
from tfft.transfer.frozen.engine import FrozenFunction
from tfft.transfer.step.step import Batch, EvaluationStep, TrainStep

# Rows are gathered for so many steps at a time, or so many bytes, so that memory does not grow with
# the data.
_STEPS_PER_CHUNK = 64
_CHUNK_BYTES = 32 * 2**20
# In evaluation these rows go through the model at once, which makes them many times larger.
_EVALUATED_BYTES = 4 * 2**20
# An epoch that no training gets to.
_LAST_EPOCH = 2**31

Item = TypeVar("Item")


class Piece(NamedTuple):
    """A part of an epoch that was trained.

    Attributes:
        steps: Number of steps taken.
        images: Number of images seen.
        sums: Sums that the steps returned, float32 [3 * heads].
    """

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
            step: The compiled training step.
            epoch: Number of the epoch, from 0 over the whole run.
            learning_rates: Rate of each step from the epoch's start, float32 [steps].
            first_step: Number of steps of the epoch that were taken before.
        """
        ...

    def validate(self, step: EvaluationStep) -> Iterator[tf.Tensor]:
        """Yields the sums over each piece of the validation images."""
        ...

    def close(self) -> None:
        """Ends reading."""
        ...


class ExampleStream:
    """Draws (and augments) the examples anew in each epoch.

    Batches go on from epoch to epoch, and from one validation to the next, so that what decodes
    them is set up once. With a function for what is frozen, the steps get its outputs: it runs on
    the next batches, and further ones are decoded, while a step trains.

    Args:
        train: Training examples.
        validation: Validation examples.
        targets: Head → name of its target in the data.
        batch_size: Examples in a batch, in training and validation.
        order: The order of the training examples in each epoch.
        augmentation: Preset that augments the training examples.
        seed: Seed of the augmentation.
        frozen: Computes the tensors at the cut; None: the step takes the examples themselves.
    """

    def __init__(
        self,
        train: Examples,
        validation: Examples,
        targets: Mapping[str, str],
        batch_size: int,
        order: Order,
        augmentation: str,
        seed: int,
        frozen: FrozenFunction | None = None,
    ) -> None:
        self._train = train
        self._validation = validation
        self._targets = targets
        self._batch_size = batch_size
        self._order = order
        self._augmentation = augmentation
        self._seed = seed
        self._frozen = frozen
        self._training: Iterator[Mapping[str, Any]] = iter(())
        self._next: tuple[int, int] | None = None
        self._validating: Iterator[Mapping[str, Any]] | None = None

    def train_epoch(
        self, step: TrainStep, epoch: int, learning_rates: np.ndarray, first_step: int
    ) -> Iterator[Piece]:
        if self._next != (epoch, first_step):
            batches = self._train.training_batches(
                self._batch_size,
                order=self._order,
                augmentation=self._augmentation,
                seed=self._seed,
                epochs=range(epoch, _LAST_EPOCH),
                first_step=first_step,
            )
            self._training = iter(batches)
        self._next = None  # unknown until all of it is taken
        rates = learning_rates[first_step:]
        batches = self._at_cut(islice(self._training, len(rates)))
        for rate, batch in zip(rates, batches, strict=True):
            images = len(batch[0][0])
            yield Piece(1, images, step.on_batch(batch, tf.constant(rate)))
        self._next = (epoch + 1, 0)

    def validate(self, step: EvaluationStep) -> Iterator[tf.Tensor]:
        if self._validating is None:
            batches = self._validation.exact_batches(self._batch_size)
            self._validating = iter(batches.repeat())
        steps = math.ceil(len(self._validation) / self._batch_size)
        for batch in self._at_cut(islice(self._validating, steps)):
            yield step.on_batch(batch)

    def close(self) -> None:
        self._training, self._validating = iter(()), None

    def _at_cut(self, drawn: Iterable[Mapping[str, Any]]) -> Iterator[Batch]:
        """Yields what a step takes of each batch that is drawn."""
        if self._frozen is None:
            for batch in drawn:
                yield (batch["inputs"],), self._by_head(batch)
            return
        targets: deque[dict[str, tf.Tensor]] = deque()

        def inputs() -> Iterator[np.ndarray]:
            for batch in drawn:
                targets.append(self._by_head(batch))
                yield batch["inputs"].numpy()

        for tensors in self._frozen(inputs()):
            yield tuple(tf.constant(tensor) for tensor in tensors), targets.popleft()

    def _by_head(self, batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        return {head: batch["targets"][target] for head, target in self._targets.items()}


@dataclass(frozen=True, eq=False)
class CachedTensors:
    """Rows of tensors that were computed before, shuffled anew in each epoch.

    The rows of the next steps are read while a piece is trained.

    Attributes:
        train: From an epoch, counted from 0 over the whole run, to its tensors at the cut,
            [images, ...] each.
        train_targets: Targets of the training images by head, [images, ...].
        validation: Tensors of the validation images at the cut, [images, ...] each.
        validation_targets: Targets of the validation images by head, [images, ...].
        batch_size: Images in a batch.
        order: The order of the training images in each epoch.
        close: Ends reading.
    """

    train: Callable[[int], Sequence[Rows]]
    train_targets: Mapping[str, np.ndarray]
    validation: Sequence[Rows]
    validation_targets: Mapping[str, np.ndarray]
    batch_size: int
    order: Order
    close: Callable[[], None]

    def train_epoch(
        self, step: TrainStep, epoch: int, learning_rates: np.ndarray, first_step: int
    ) -> Iterator[Piece]:
        order, tensors = self.order(epoch), self.train(epoch)

        def load(chunk: tuple[int, int]) -> Batch:
            start, stop = chunk
            positions = order[start * self.batch_size : stop * self.batch_size]
            return _steps(tensors, self.train_targets, positions, stop - start)

        chunks = self._chunks(len(order), len(learning_rates), first_step, row_bytes(tensors))
        for (start, stop), batches in _ahead(load, chunks):
            sums = step.on_chunk(batches, tf.constant(learning_rates[start:stop]))
            images = min(stop * self.batch_size, len(order)) - start * self.batch_size
            yield Piece(stop - start, images, sums)

    def validate(self, step: EvaluationStep) -> Iterator[tf.Tensor]:
        count = _EVALUATED_BYTES // row_bytes(self.validation)
        count = max(1, min(count, _STEPS_PER_CHUNK * self.batch_size))

        def load(start: int) -> Batch:
            part = slice(start, start + count)
            inputs = tuple(tf.constant(tensor[part], tf.float32) for tensor in self.validation)
            targets = {n: tf.constant(t[part]) for n, t in self.validation_targets.items()}
            return inputs, targets

        for _, batch in _ahead(load, range(0, len(self.validation[0]), count)):
            yield step.on_batch(batch)

    def _chunks(
        self, images: int, steps: int, first_step: int, image_bytes: int
    ) -> Iterator[tuple[int, int]]:
        """Yields the first step of each piece and the one after its last."""
        whole = images // self.batch_size
        at_once = _CHUNK_BYTES // (self.batch_size * image_bytes)
        at_once = max(1, min(at_once, _STEPS_PER_CHUNK))
        done = first_step
        while done < steps:
            # The last batch of an epoch may be smaller, and so cannot stand in one tensor with
            # others.
            until = min(done + at_once, steps, max(whole, done + 1))
            yield done, until
            done = until


def _steps(
    tensors: Sequence[Rows], targets: Mapping[str, np.ndarray], positions: np.ndarray, steps: int
) -> Batch:
    """Returns the rows at `positions` as [steps, batch, ...]."""

    def stacked(rows: np.ndarray, dtype: tf.DType | None = None) -> tf.Tensor:
        return tf.constant(rows.reshape(steps, -1, *rows.shape[1:]), dtype)

    inputs = tuple(stacked(tensor[positions], tf.float32) for tensor in tensors)
    return inputs, {name: stacked(values[positions]) for name, values in targets.items()}


def _ahead(load: Callable[[Item], Batch], items: Iterable[Item]) -> Iterator[tuple[Item, Batch]]:
    """Yields each item with what `load` makes of it; the next one is loaded meanwhile."""
    with ThreadPoolExecutor(1) as executor:
        waiting: tuple[Item, Future[Batch]] | None = None
        for item in items:
            following = (item, executor.submit(load, item))
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = following
        if waiting is not None:
            yield waiting[0], waiting[1].result()
