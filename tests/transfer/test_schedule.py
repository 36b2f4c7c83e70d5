"""Learning rates over the steps of a phase."""

import numpy as np
import pytest

from tfft.config.train import Schedule
from tfft.transfer.plan.learning_rates import learning_rates


def test_cosine_falls_from_the_highest_rate_to_the_final_one():
    rates = learning_rates(1.0, Schedule(kind="cosine"), steps=5, steps_per_epoch=9)
    np.testing.assert_allclose(rates, [1.0, 0.853553, 0.5, 0.146447, 0.0], atol=1e-6)


def test_linear_stops_at_its_final_factor():
    schedule = Schedule(kind="linear", final_factor=0.2)
    rates = learning_rates(2.0, schedule, steps=3, steps_per_epoch=9)
    np.testing.assert_allclose(rates, [2.0, 1.2, 0.4], atol=1e-6)


def test_warm_up_has_no_step_at_zero_and_ends_at_the_highest_rate():
    schedule = Schedule(kind="constant", warmup_epochs=0.5)
    rates = learning_rates(1.0, schedule, steps=16, steps_per_epoch=8)
    np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0])
    assert (rates[4:] == 1.0).all()


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine"])
def test_one_rate_for_every_step(kind: str):
    schedule = Schedule(kind=kind, warmup_epochs=9)
    assert learning_rates(0.1, schedule, steps=12, steps_per_epoch=4).shape == (12,)
