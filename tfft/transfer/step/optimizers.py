"""Keras optimizers whose state outlives a phase.

One optimizer is built on every variable that any phase trains, before the first step; its slots
stay as they are while a variable is frozen. What differs from Keras's own classes:

- Adam's bias correction counts the updates of each variable. Keras counts the optimizer's steps,
  so that a variable which joins late would take first steps of several times the learning rate.
- Each phase sets a rule for each variable: its share of the learning rate, its decoupled weight
  decay, and its pull towards its pretrained value (L2-SP).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tfft.system.tensorflow import keras, tf

from tfft.config.train import OptimizerConfig

PhaseOptimizer = keras.optimizers.Optimizer


@dataclass(frozen=True)
class UpdateRule:
    """How one variable is updated, beside its gradient.

    Attributes:
        factor: of the learning rate, and so of the decay and of a decoupled pull.
        weight_decay: decoupled: the variable loses this share of itself times the learning rate.
        pull: strength of L2-SP's penalty, ``pull / 2 * ||variable - target||^2``.
        to_start: the target is the value that the optimizer was built on; otherwise 0.
    """

    factor: float = 1.0
    weight_decay: float = 0.0
    pull: float = 0.0
    to_start: bool = False


class _ByPhase:
    """What is set for each phase, mixed into a Keras optimizer.

    Source: decoupled weight decay, Loshchilov and Hutter 2019; L2-SP, Li, Grandvalet and Davoine
    2018.
    """

    # The penalty is part of the loss, and its gradient of the gradient; else it is decoupled, since
    # an adaptive step would scale it by the history of the gradients.
    _pull_in_gradient = False
    _keeps_start = False
    _rules: Mapping[int, UpdateRule] = MappingProxyType({})
    # Keras types its tensors by a backend of its own choice; these are what this class uses of it.
    add_variable: Any
    assign_add: Any
    assign_sub: Any
    iterations: Any
    _get_variable_index: Any
    _corrections: Mapping[int, tf.Tensor]

    def build(self, variables: Sequence[keras.Variable]) -> None:
        super().build(variables)
        self._update_counts = [
            self.add_variable(shape=(), dtype="int32", name=f"updates_{index}")
            for index in range(len(variables))
        ]
        self._start = []
        if self._keeps_start:
            for index, variable in enumerate(variables):
                start = self.add_variable(
                    variable.shape, dtype=variable.dtype, name=f"start_{index}"
                )
                start.assign(variable)
                self._start.append(start)

    def begin_phase(self, rules: Sequence[tuple[keras.Variable, UpdateRule]]) -> None:
        """Sets the rules of a phase; call it before the step of the phase is compiled."""
        self._rules = {self._get_variable_index(variable): rule for variable, rule in rules}

    def apply(
        self, grads: Sequence[tf.Tensor], trainable_variables: Sequence[keras.Variable]
    ) -> None:
        if self._pull_in_gradient:
            # The gradients of all replicas are added up, the penalty counts once.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            grads = [
                grad + self._pull(variable) / replicas if self._rule(variable).pull else grad
                for grad, variable in zip(grads, trainable_variables, strict=True)
            ]
        # What bias correction multiplies each learning rate by, computed for all variables at once.
        indices = [self._get_variable_index(variable) for variable in trainable_variables]
        updates = tf.stack([self._update_counts[index].value for index in indices]) + 1
        # In the same shape, so that equal numbers are rounded alike and give exactly 1.
        steps = tf.fill([len(indices)], tf.cast(self.iterations.value + 1, tf.int32))
        factors = self._bias_correction(updates) / self._bias_correction(steps)
        self._corrections = dict(zip(indices, tf.unstack(factors), strict=True))
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        rule, index = self._rule(variable), self._get_variable_index(variable)
        learning_rate = learning_rate * rule.factor
        rate = tf.cast(learning_rate, variable.dtype)
        decoupled = [variable * rule.weight_decay] if rule.weight_decay else []
        if rule.pull and not self._pull_in_gradient:
            decoupled.append(self._pull(variable))
        if decoupled:
            self.assign_sub(variable, rate * tf.add_n(decoupled))
        self.assign_add(self._update_counts[index], 1)
        super().update_step(gradient, variable, learning_rate * self._corrections[index])

    def _rule(self, variable: Any) -> UpdateRule:
        return self._rules.get(self._get_variable_index(variable), UpdateRule())

    def _pull(self, variable: Any) -> tf.Tensor:
        """The gradient of the penalty of L2-SP."""
        rule, index = self._rule(variable), self._get_variable_index(variable)
        target = self._start[index] if rule.to_start else 0.0
        return rule.pull * (variable - target)

    def _bias_correction(self, updates: Any) -> Any:
        """The factor that Adam's bias correction puts on the learning rate after `updates`."""
        return tf.ones_like(updates, tf.float32)


class _Sgd(_ByPhase, keras.optimizers.SGD):
    _pull_in_gradient = True


class _AdamBiasCorrection(_ByPhase):
    beta_1: float
    beta_2: float

    def _bias_correction(self, updates: Any) -> Any:
        updates = tf.cast(updates, tf.float32)
        first = 1.0 - tf.pow(self.beta_1, updates)
        second = 1.0 - tf.pow(self.beta_2, updates)
        return tf.sqrt(second) / first


class _Adam(_AdamBiasCorrection, keras.optimizers.Adam):
    pass


def build_optimizer(
    config: OptimizerConfig,
    variables: Sequence[keras.Variable],
    *,
    loss_scaling: bool = False,
    keep_start: bool = False,
) -> PhaseOptimizer:
    """Builds the optimizer of a run on every variable that will ever be trained.

    Args:
        config: the `train.optimizer` section.
        variables: of the whole schedule, in a fixed order.
        loss_scaling: scale the loss dynamically, as float16 gradients need it.
        keep_start: keep the values of the variables as they are now, as rules that pull towards
            them need it.
    """
    common = {"global_clipnorm": config.clip_norm, "name": config.name}
    if config.name == "sgd":
        optimizer = _Sgd(0.0, momentum=config.momentum, nesterov=config.nesterov, **common)
    else:
        betas = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": config.epsilon}
        optimizer = _Adam(0.0, **betas, **common)
    optimizer._keeps_start = keep_start
    if loss_scaling:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(list(variables))
    return optimizer


def inner_optimizer(optimizer: PhaseOptimizer) -> Any:
    """Returns the optimizer that holds the learning rate, inside a loss scale or not."""
    return getattr(optimizer, "inner_optimizer", optimizer)
