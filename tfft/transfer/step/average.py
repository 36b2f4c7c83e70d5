"""An exponential moving average of the weights that a phase trains."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tfft.system.tensorflow import keras, tf


class WeightAverage:
    """Averages of variables, beside the variables themselves.

    The average of a phase starts at the weights that the phase starts with, and follows them with
    the decay ``min(decay, (1 + t) / (10 + t))`` at step t. What a phase freezes is not averaged
    and so keeps every bit.

    Args:
        variables: All variables that any phase of the run may average.

    Source: Polyak averaging; the warm-up is that of tf.train.ExponentialMovingAverage.
    """

    def __init__(self, variables: Sequence[keras.Variable]) -> None:
        self._averages = {
            id(v): keras.Variable(v, trainable=False, name=f"average_{index}")
            for index, v in enumerate(variables)
        }
        self._updates = keras.Variable(0, dtype="int32", trainable=False, name="average_updates")
        self._variables: list[keras.Variable] = []
        self._decay = 0.0

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that a checkpoint has to hold."""
        return [*self._averages.values(), self._updates]

    def begin_phase(self, variables: Sequence[keras.Variable], decay: float, new: bool) -> None:
        """Chooses the averaged variables; in a `new` phase the averages start at their values."""
        self._variables, self._decay = list(variables), decay
        if new:
            self._updates.assign(0)
            for variable in variables:
                self._averages[id(variable)].assign(variable)

    def update(self) -> None:
        """Moves the averages towards the variables after a step; called in the compiled step."""
        self._updates.assign_add(1)
        updates = tf.cast(self._updates.value, tf.float32)
        rest = 1.0 - tf.minimum(self._decay, (1.0 + updates) / (10.0 + updates))
        for variable in self._variables:
            average = self._averages[id(variable)]
            average.assign_sub((average.value - variable.value) * tf.cast(rest, average.dtype))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Replaces the weights by their averages while the context lasts."""
        weights = [variable.numpy() for variable in self._variables]
        self.keep()
        try:
            yield
        finally:
            for variable, value in zip(self._variables, weights, strict=True):
                variable.assign(value)

    def keep(self) -> None:
        """Replaces the weights by their averages for good."""
        for variable in self._variables:
            variable.assign(self._averages[id(variable)].value)
