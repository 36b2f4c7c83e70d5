"""Intervals over images and over seeds, against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tfft.metrics.intervals import bootstrap_interval, seeds_interval, wilson_interval


@pytest.mark.parametrize("levels", [2, 500], ids=["drawn as counts", "drawn one by one"])
def test_the_bootstrap_interval_is_that_of_scipy(levels):
    values = np.random.default_rng(0).integers(0, levels, 400) / levels
    ours = bootstrap_interval(values)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.002)
    assert ours.high == pytest.approx(theirs.high, abs=0.002)


def test_the_interval_over_seeds_is_that_of_scipy():
    values = [0.871, 0.893, 0.884]
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert seeds_interval(values) == pytest.approx((theirs.low, theirs.high))


def test_a_single_seed_says_nothing_about_others():
    assert seeds_interval([0.9]) is None


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.floats(-2.0, 2.0))
def test_an_interval_lies_among_the_values_and_moves_with_them(right, shift):
    values = np.array(right, float)
    interval = bootstrap_interval(values, resamples=200)
    assert 0.0 <= interval.low <= interval.high <= 1.0
    moved = bootstrap_interval(values + shift, resamples=200)
    assert moved == pytest.approx(tuple(end + shift for end in interval), abs=1e-9)


@given(st.integers(1, 10_000), st.floats(0.0, 1.0))
def test_the_interval_of_a_share_is_that_of_scipy(trials, share):
    successes = round(share * trials)
    theirs = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
