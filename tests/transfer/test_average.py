"""The moving average of the weights."""

import keras
import numpy as np
import pytest

from tfft.transfer.step.average import WeightAverage


@pytest.fixture
def variables() -> list[keras.Variable]:
    return [keras.Variable([1.0, 2.0]), keras.Variable([5.0])]


def test_an_average_follows_with_a_warm_up(variables):
    average = WeightAverage(variables)
    average.begin_phase(variables[:1], decay=0.5, new=True)
    expected, values = np.array([1.0, 2.0]), [np.array([3.0, 0.0]), np.array([7.0, 1.0])]
    for step, value in enumerate(values, start=1):
        variables[0].assign(value)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    with average.in_place():
        np.testing.assert_allclose(variables[0].numpy(), expected, rtol=1e-6)
    np.testing.assert_array_equal(variables[0].numpy(), values[-1])
    average.keep()
    np.testing.assert_allclose(variables[0].numpy(), expected, rtol=1e-6)


def test_what_a_phase_freezes_keeps_every_bit(variables):
    average = WeightAverage(variables)
    average.begin_phase(variables[:1], decay=0.9, new=True)
    variables[1].assign([8.0])
    average.update()
    average.keep()
    np.testing.assert_array_equal(variables[1].numpy(), [8.0])


def test_a_phase_starts_at_its_weights_unless_it_is_resumed(variables):
    average = WeightAverage(variables)
    variables[0].assign([3.0, 3.0])
    average.begin_phase(variables, decay=0.9, new=False)
    with average.in_place():
        np.testing.assert_array_equal(variables[0].numpy(), [1.0, 2.0])
    average.begin_phase(variables, decay=0.9, new=True)
    with average.in_place():
        np.testing.assert_array_equal(variables[0].numpy(), [3.0, 3.0])


def test_weights_come_back_when_validation_fails(variables):
    average = WeightAverage(variables)
    average.begin_phase(variables, decay=0.9, new=True)
    variables[0].assign([4.0, 4.0])
    with pytest.raises(KeyboardInterrupt), average.in_place():
        raise KeyboardInterrupt
    np.testing.assert_array_equal(variables[0].numpy(), [4.0, 4.0])
