"""The compiled training and evaluation steps, the only ones there are.

A step takes the tensors at the cut (or inputs, with the frozen prefix in front), and trains what
is above it. It runs inside ``strategy.run``, so that the same step serves one device and many; it
is fed from a stream of batches or from tensors that stay in memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.config.train import Mix
from tfft.model.assemble import Cut
from tfft.model.heads import Head
from tfft.model.losses import METRICS, known, metric, target_spec, training_loss, validation_loss
from tfft.transfer.step.mix import Mixed, mixed
from tfft.transfer.step.optimizers import PhaseOptimizer, inner_optimizer

# Tensors at the cut, or inputs, [batch, ...] each; and targets [batch, ...] by head.
Batch = tuple[tuple[tf.Tensor, ...], dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Sums:
    """Sums of a head over the examples that have its target.

    Attributes:
        loss: Sum of the losses.
        metric: Sum of the metric that `tfft.model.losses.METRICS` names for the head.
        examples: Number of examples.
    """

    loss: float
    metric: float
    examples: float

    def means(self, head: Head) -> dict[str, float]:
        """Returns the mean loss and the mean metric under its name; nothing without examples."""
        if not self.examples:
            return {}
        return {
            "loss": self.loss / self.examples,
            METRICS[head.config.kind]: self.metric / self.examples,
        }


class TrainStep:
    """One step of gradient descent on the variables of a phase.

    Args:
        cut: The frozen and the trained part; its prefix is None if inputs are at the cut.
        heads: The heads, by name.
        optimizer: Optimizer, built on all variables of the run.
        variables: The variables that this phase trains.
        micro_batch_size: Examples that go through the model at once; None: the whole batch.
        class_weights: Weight of an example of each class, float [classes], by head that has any.
        mix: How images are mixed, where inputs are images; None: not at all.
        seed: Seed of the mixing.
        after_update: Called in the compiled step once the variables are updated.

    Attributes:
        on_batch: trains on one `Batch` at a learning rate float32 []; returns sums over all
            replicas, float32 [3 * heads], for `read_sums`.
        on_chunk: trains on several batches that are in memory, in one compiled loop: a `Batch`
            whose tensors are [steps, batch, ...], learning rates float32 [steps].
    """

    def __init__(
        self,
        cut: Cut,
        heads: Mapping[str, Head],
        optimizer: PhaseOptimizer,
        variables: Sequence[keras.Variable],
        *,
        micro_batch_size: int | None = None,
        class_weights: Mapping[str, np.ndarray] = MappingProxyType({}),
        mix: Mix | None = None,
        seed: int = 0,
        after_update: Callable[[], None] | None = None,
    ) -> None:
        self._cut = cut
        self._micro_batch_size = micro_batch_size
        self._mix = mix
        self._seed = seed
        self._after_update = after_update
        self._measures = _Measures(heads)
        self._losses = {
            name: training_loss(head, class_weights.get(name)) for name, head in heads.items()
        }
        self._weights = {name: head.config.weight for name, head in heads.items()}
        self._optimizer = optimizer
        self._variables = list(variables)
        self._strategy = tf.distribute.get_strategy()
        rate = tf.TensorSpec([], tf.float32)
        rates = tf.TensorSpec([None], tf.float32)
        self.on_batch = _compiled(self._on_batch, [_batch_spec(cut, heads, [None]), rate])
        self.on_chunk = _compiled(self._on_chunk, [_batch_spec(cut, heads, [None, None]), rates])

    def _on_batch(self, batch: Batch, learning_rate: tf.Tensor) -> tf.Tensor:
        inner_optimizer(self._optimizer).learning_rate = learning_rate
        sums = self._strategy.run(self._replica_step, args=(batch,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    def _on_chunk(self, batches: Batch, learning_rates: tf.Tensor) -> tf.Tensor:
        def next_step(step: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = tf.nest.map_structure(lambda tensor: tensor[step], batches)
            return step + 1, sums + self._on_batch(batch, learning_rates[step])

        steps = tf.shape(learning_rates)[0]
        start = (tf.constant(0), self._measures.nothing())
        return _while(lambda step, sums: step < steps, next_step, start)[1]

    def _replica_step(self, batch: Batch) -> tf.Tensor:
        count = tf.shape(batch[0][0])[0]
        everywhere = tf.distribute.get_replica_context().all_reduce(
            "SUM", tf.cast(count, tf.float32)
        )
        if self._micro_batch_size is None:
            gradients, sums = self._gradients(batch, everywhere, tf.constant(0))
        else:
            gradients, sums = self._accumulated(batch, count, everywhere, self._micro_batch_size)
        self._optimizer.apply(gradients, self._variables)
        if self._after_update is not None:
            self._after_update()
        return sums

    def _gradients(
        self, batch: Batch, everywhere: tf.Tensor, part: tf.Tensor
    ) -> tuple[list, tf.Tensor]:
        """The batch's part of the gradients of the mean loss over `everywhere` examples.

        `part` tells the parts of an accumulated batch apart.
        """
        inputs, targets = batch
        pairing = None
        if self._mix is not None:
            pairing = mixed(inputs[0], self._mix, self._mix_seed(part))
            inputs = (pairing.images,)
        inputs = self._cut.below(inputs)
        with tf.GradientTape() as tape:
            outputs = self._cut.above(inputs, training=True)
            losses = self._losses_of(targets, outputs, pairing)
            weighted = [self._weights[n] * tf.reduce_sum(loss) for n, loss in losses.items()]
            # What layers add of themselves, such as a module's own regularisation, counts once a
            # batch: here with the share of the examples that are here.
            share = tf.cast(tf.shape(inputs[0])[0], tf.float32)
            weighted += [share * loss for loss in self._cut.suffix.losses]
            objective = tf.add_n(weighted) / everywhere
            scaled = self._optimizer.scale_loss(objective)
        gradients = tape.gradient(scaled, [variable.value for variable in self._variables])
        return gradients, self._measures.sums(losses, targets, outputs)

    def _losses_of(
        self,
        targets: Mapping[str, tf.Tensor],
        outputs: Mapping[str, tf.Tensor],
        pairing: Mixed | None,
    ) -> dict[str, tf.Tensor]:
        """The loss of each example [batch] by head; of a mixture, the mixture of the losses."""
        losses = {name: loss(targets[name], outputs[name]) for name, loss in self._losses.items()}
        if pairing is None:
            return losses
        mixtures = {}
        for name, loss in self._losses.items():
            of_partner = loss(tf.gather(targets[name], pairing.partners), outputs[name])
            mixtures[name] = pairing.share * losses[name] + (1.0 - pairing.share) * of_partner
        return mixtures

    def _mix_seed(self, part: tf.Tensor) -> tf.Tensor:
        step = tf.cast(inner_optimizer(self._optimizer).iterations, tf.int32)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        fold = tf.random.experimental.stateless_fold_in
        return fold(fold(tf.stack([self._seed, step]), part), tf.cast(replica, tf.int32))

    def _accumulated(
        self, batch: Batch, count: tf.Tensor, everywhere: tf.Tensor, size: int
    ) -> tuple[list, tf.Tensor]:
        def next_part(
            start: tf.Tensor, gradients: list[tf.Tensor], sums: tf.Tensor
        ) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
            part = tf.nest.map_structure(lambda tensor: tensor[start : start + size], batch)
            more, of_part = self._gradients(part, everywhere, start)
            gradients = [one + other for one, other in zip(gradients, more, strict=True)]
            return start + size, gradients, sums + of_part

        nothing = [tf.zeros_like(variable.value) for variable in self._variables]
        first = (tf.constant(0), nothing, self._measures.nothing())
        _, gradients, sums = _while(lambda start, *_: start < count, next_part, first)
        return gradients, sums


class EvaluationStep:
    """Loss and metric of one batch, with everything in inference mode.

    Attributes:
        on_batch: takes one `Batch`; returns what `read_sums` reads.
    """

    def __init__(self, cut: Cut, heads: Mapping[str, Head]) -> None:
        self._cut = cut
        self._measures = _Measures(heads)
        self._losses = {name: validation_loss(head) for name, head in heads.items()}
        self.on_batch = _compiled(self._on_batch, [_batch_spec(cut, heads, [None])])

    def _on_batch(self, batch: Batch) -> tf.Tensor:
        inputs, targets = batch
        outputs = self._cut.above(self._cut.below(inputs), training=False)
        losses = {name: loss(targets[name], outputs[name]) for name, loss in self._losses.items()}
        return self._measures.sums(losses, targets, outputs)


class _Measures:
    """Sums of the losses, metrics and examples of each head, float32 [3 * heads]."""

    def __init__(self, heads: Mapping[str, Head]) -> None:
        self._metrics = {name: metric(head) for name, head in heads.items()}

    def nothing(self) -> tf.Tensor:
        return tf.zeros([3 * len(self._metrics)])

    def sums(
        self,
        losses: Mapping[str, tf.Tensor],
        targets: Mapping[str, tf.Tensor],
        outputs: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        values = []
        for name, metric_of in self._metrics.items():
            of_examples = metric_of(targets[name], outputs[name])
            values += [losses[name], of_examples, known(targets[name])]
        return tf.stack([tf.reduce_sum(each) for each in values])


def read_sums(sums: np.ndarray, heads: Sequence[str]) -> dict[str, Sums]:
    """Returns what a step returns, or a total of it, by head."""
    return {
        name: Sums(*(float(value) for value in sums[3 * i : 3 * i + 3]))
        for i, name in enumerate(heads)
    }


def _while(condition: Callable[..., tf.Tensor], body: Callable[..., Any], start: Any) -> Any:
    """Loops in the graph, one turn after the other, as they change variables."""
    return tf.while_loop(condition, body, start, parallel_iterations=1)


def _compiled(function: Callable[..., tf.Tensor], signature: list) -> Callable[..., tf.Tensor]:
    """Compiles once for every batch size; batches of several replicas have no such signature.

    Without AutoGraph, which would rewrite everything that is called and takes as long as the rest
    of the tracing: loops are written as such.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return tf.function(function, reduce_retracing=True, autograph=False)
    return tf.function(function, input_signature=signature, autograph=False)


def _batch_spec(cut: Cut, heads: Mapping[str, Head], leading: list[None]) -> tuple:
    """Numbers are fed in full precision, whatever the model computes in."""
    inputs = []
    for tensor in (cut.prefix or cut.suffix).inputs:
        dtype = tf.as_dtype(tensor.dtype)
        fed = tf.float32 if dtype.is_floating else dtype
        inputs.append(tf.TensorSpec([*leading, *tensor.shape[1:]], fed))
    return tuple(inputs), {name: target_spec(head, leading) for name, head in heads.items()}
