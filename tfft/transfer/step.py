"""The compiled training and evaluation steps, the only ones there are.

A step takes the tensors at the cut (or images, with the frozen prefix in front), and trains what
is above it. It runs inside ``strategy.run``, so that the same step serves one device and many; it
is fed from a stream of batches or from tensors that stay in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfft.model.assemble import Cut
from tfft.model.heads import Head, training_loss, validation_loss
from tfft.system.tensorflow import start_tensorflow
from tfft.transfer.optimizers import PhaseOptimizer, inner_optimizer

start_tensorflow()
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

Batch = dict[str, tf.Tensor | tuple[tf.Tensor, ...] | dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Sums:
    """Sums over examples of a head's loss and of its right answers."""

    loss: dict[str, float]
    correct: dict[str, float]
    examples: float


class TrainStep:
    """One step of gradient descent on the variables of a phase.

    Args:
        cut: what is frozen and what is trained; None for the prefix if inputs are at the cut.
        heads: by name.
        optimizer: built on all variables of the run.
        variables: the ones that this phase trains.
    """

    def __init__(
        self,
        cut: Cut,
        heads: Mapping[str, Head],
        optimizer: PhaseOptimizer,
        variables: Sequence[keras.Variable],
    ) -> None:
        self._cut = cut
        self._targets = {name: head.config.target for name, head in heads.items()}
        self._losses = {name: training_loss(head) for name, head in heads.items()}
        self._optimizer = optimizer
        self._variables = list(variables)
        self._strategy = tf.distribute.get_strategy()

    @tf.function(reduce_retracing=True)
    def on_batch(self, batch: Batch, learning_rate: tf.Tensor) -> tf.Tensor:
        """Trains on one batch ``{"inputs", "targets"}``; returns sums float32 [1 + 2 * heads].

        The sums over all replicas are: examples, then loss and right answers of each head.
        """
        return self._run(batch, learning_rate)

    @tf.function(reduce_retracing=True)
    def on_chunk(
        self,
        inputs: tuple[tf.Tensor, ...],
        targets: dict[str, tf.Tensor],
        learning_rates: tf.Tensor,
    ) -> tf.Tensor:
        """Trains on several batches that are in memory, in one compiled loop.

        Args:
            inputs: tensors at the cut, [steps, batch, ...] each.
            targets: [steps, batch] each.
            learning_rates: float32 [steps].
        """
        sums = tf.zeros([1 + 2 * len(self._losses)])
        for step in tf.range(tf.shape(learning_rates)[0]):
            batch = {
                "inputs": tuple(tensor[step] for tensor in inputs),
                "targets": {name: tensor[step] for name, tensor in targets.items()},
            }
            sums += self._run(batch, learning_rates[step])
        return sums

    def _run(self, batch: Batch, learning_rate: tf.Tensor) -> tf.Tensor:
        inner_optimizer(self._optimizer).learning_rate = learning_rate
        sums = self._strategy.run(self._replica_step, args=(batch,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    def _replica_step(self, batch: Batch) -> tf.Tensor:
        inputs = batch["inputs"]
        if self._cut.prefix is not None:
            inputs = self._cut.below(inputs[0])
        count = tf.cast(tf.shape(inputs[0])[0], tf.float32)
        everywhere = tf.distribute.get_replica_context().all_reduce("SUM", count)
        with tf.GradientTape() as tape:
            logits = self._cut.above(inputs, training=True)
            losses = {
                name: loss(batch["targets"][self._targets[name]], logits[name])
                for name, loss in self._losses.items()
            }
            objective = tf.add_n([tf.reduce_sum(each) for each in losses.values()]) / everywhere
            scaled = self._optimizer.scale_loss(objective)
        gradients = tape.gradient(scaled, [variable.value for variable in self._variables])
        self._optimizer.apply(gradients, self._variables)
        return _sums(count, losses, logits, batch["targets"], self._targets)


class EvaluationStep:
    """Loss and right answers of one batch, with everything in inference mode."""

    def __init__(self, cut: Cut, heads: Mapping[str, Head]) -> None:
        self._cut = cut
        self._targets = {name: head.config.target for name, head in heads.items()}
        self._losses = {name: validation_loss(head) for name, head in heads.items()}

    @tf.function(reduce_retracing=True)
    def on_batch(self, batch: Batch) -> tf.Tensor:
        """Returns the sums that `read_sums` reads."""
        inputs = batch["inputs"]
        if self._cut.prefix is not None:
            inputs = self._cut.below(inputs[0])
        logits = self._cut.above(inputs, training=False)
        losses = {
            name: loss(batch["targets"][self._targets[name]], logits[name])
            for name, loss in self._losses.items()
        }
        count = tf.cast(tf.shape(inputs[0])[0], tf.float32)
        return _sums(count, losses, logits, batch["targets"], self._targets)


def read_sums(sums: np.ndarray, heads: Sequence[str]) -> Sums:
    """Names the numbers that a step returns, or their totals."""
    examples, *rest = [float(value) for value in sums]
    return Sums(
        dict(zip(heads, rest[0::2], strict=True)),
        dict(zip(heads, rest[1::2], strict=True)),
        examples,
    )


def _sums(
    count: tf.Tensor,
    losses: Mapping[str, tf.Tensor],
    logits: Mapping[str, tf.Tensor],
    targets: Mapping[str, tf.Tensor],
    target_of: Mapping[str, str],
) -> tf.Tensor:
    values = [count]
    for name, loss in losses.items():
        right = tf.equal(tf.argmax(logits[name], axis=-1), targets[target_of[name]])
        values += [tf.reduce_sum(loss), tf.reduce_sum(tf.cast(right, tf.float32))]
    return tf.stack(values)
