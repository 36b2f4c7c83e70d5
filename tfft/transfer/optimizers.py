"""Keras optimizers whose state outlives a phase.

One optimizer is built on every variable that any phase trains, before the first step; its slots
stay as they are while a variable is frozen. Two things differ from Keras's own classes:

- Adam's bias correction counts the updates of each variable. Keras counts the optimizer's steps,
  so that a variable which joins late would take first steps of several times the learning rate.
- Weight decay is decoupled, scaled by the learning rate, set per phase, and leaves out biases and
  normalisation parameters (every variable of fewer than two dimensions).
"""

from collections.abc import Sequence
from typing import Any

from tfft.config.train import OptimizerConfig
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

PhaseOptimizer = keras.optimizers.Optimizer


class _ByPhase:
    """What is set for each phase, mixed into a Keras optimizer.

    Source: decoupled weight decay, Loshchilov and Hutter 2019.
    """

    _phase_weight_decay = 0.0
    # Keras types its tensors by a backend of its own choice; these are what this class uses of it.
    add_variable: Any
    assign_add: Any
    assign_sub: Any
    iterations: Any
    _get_variable_index: Any

    def build(self, variables: Sequence[keras.Variable]) -> None:
        super().build(variables)
        self._update_counts = [
            self.add_variable(shape=(), dtype="int32", name=f"updates_{index}")
            for index in range(len(variables))
        ]

    def begin_phase(self, weight_decay: float) -> None:
        """Sets the weight decay; call it before the step of the phase is compiled."""
        self._phase_weight_decay = weight_decay

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        count = self._update_counts[self._get_variable_index(variable)]
        self.assign_add(count, 1)
        if self._phase_weight_decay and len(variable.shape) > 1:
            rate = tf.cast(learning_rate, variable.dtype)
            self.assign_sub(variable, variable * (rate * self._phase_weight_decay))
        correction = self._bias_correction(count) / self._bias_correction(self.iterations + 1)
        super().update_step(gradient, variable, learning_rate * correction)

    def _bias_correction(self, updates: Any) -> Any:
        """The factor that Adam's bias correction puts on the learning rate after `updates`."""
        return 1.0


class _Sgd(_ByPhase, keras.optimizers.SGD):
    pass


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
    config: OptimizerConfig, variables: Sequence[keras.Variable], loss_scaling: bool = False
) -> PhaseOptimizer:
    """Builds the optimizer of a run on every variable that will ever be trained.

    Args:
        config: the `train.optimizer` section.
        variables: of the whole schedule, in a fixed order.
        loss_scaling: scale the loss dynamically, as float16 gradients need it.
    """
    common = {"global_clipnorm": config.clip_norm, "name": config.name}
    if config.name == "sgd":
        optimizer = _Sgd(0.0, momentum=config.momentum, nesterov=config.nesterov, **common)
    else:
        betas = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": config.epsilon}
        optimizer = _Adam(0.0, **betas, **common)
    if loss_scaling:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(list(variables))
    return optimizer


def inner_optimizer(optimizer: PhaseOptimizer) -> Any:
    """Returns the optimizer that holds the learning rate, inside a loss scale or not."""
    return getattr(optimizer, "inner_optimizer", optimizer)
