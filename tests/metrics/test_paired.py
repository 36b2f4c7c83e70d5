"""Differences between models on the same images: pinned figures, and how often they mislead."""

import numpy as np
import pytest
from scipy import stats

from tfft.metrics.paired import (
    accuracy_difference,
    holm,
    mcnemar,
    mcnemar_over_seeds,
    paired_interval,
)


def answers(both: int, only_one: int, only_other: int, none: int) -> tuple[np.ndarray, np.ndarray]:
    """Where two models are right on a test set with these counts."""
    one = np.repeat([True, True, False, False], [both, only_one, only_other, none])
    other = np.repeat([True, False, True, False], [both, only_one, only_other, none])
    return one, other


@pytest.mark.parametrize(
    ("only_one", "only_other", "p_value"),
    # statsmodels 0.15: mcnemar([[10, b], [c, 3]], exact=True).pvalue
    [
        (5, 15, 0.04138946533203125),
        (0, 6, 0.03125),
        (7, 7, 1.0),
        (1, 0, 1.0),
        (59, 121, 4.4344492637551645e-06),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_that_of_statsmodels(only_one, only_other, p_value):
    one, other = answers(10, only_one, only_other, 3)
    assert mcnemar(one, other) == pytest.approx(p_value)
    assert mcnemar(other, one) == pytest.approx(p_value)


@pytest.mark.parametrize(
    ("only_one", "only_other", "images", "interval"),
    [
        (0, 0, 96, (-0.038476, 0.038476)),  # Tango's is z² / (n + z²) then
        (1, 0, 1, (-0.95, 1.0)),  # Clopper and Pearson: the share of 1 in 1 is 0.025 to 1
    ],
)
def test_the_paired_interval_is_that_of_its_sources(only_one, only_other, images, interval):
    found = paired_interval(only_one, only_other, images)
    assert found == pytest.approx(interval, abs=1e-4)
    low, high = paired_interval(only_other, only_one, images)
    assert (-high, -low) == pytest.approx(found)


@pytest.mark.parametrize(
    ("only_one", "only_other", "images"), [(257, 0, 8580), (300, 60, 500), (3, 40, 90)]
)
def test_the_paired_interval_ends_where_the_score_test_just_does_not_reject(
    only_one, only_other, images
):
    scores = []
    for end in paired_interval(only_one, only_other, images):
        # How often only the other is right, most likely, if the difference is that of the end.
        shares = np.linspace(max(0.0, -end), (1.0 - end) / 2, 200_001)[1:-1]
        likelihood = (
            only_one * np.log(shares + end)
            + only_other * np.log(shares)
            + (images - only_one - only_other) * np.log1p(-2 * shares - end)
        )
        share = shares[np.argmax(likelihood)]
        variance = images * (2 * share + end - end**2)
        scores.append(abs(only_one - only_other - images * end) / np.sqrt(variance))
    assert min(scores) == pytest.approx(1.96, abs=0.005)
    assert max(scores) < 2.2  # where the exact interval is wider


def test_the_paired_interval_contains_no_difference_where_mcnemar_does_not_reject():
    for only_one in range(0, 24, 2):
        for only_other in range(0, 24, 3):
            low, high = paired_interval(only_one, only_other, 60)
            assert (low <= 0 <= high) == (mcnemar(*answers(5, only_one, only_other, 5)) > 0.05)


def test_several_seeds_have_twice_the_median_p_value():
    one, other = answers(10, 5, 15, 3)
    equal, unequal = answers(10, 7, 7, 9)[0], answers(10, 0, 6, 17)
    right = np.stack([one, equal, unequal[0]])
    other_right = np.stack([other, equal, unequal[1]])
    assert mcnemar_over_seeds(right, other_right) == pytest.approx(2 * 0.04138946533203125)
    assert mcnemar_over_seeds(one[None], other[None]) == mcnemar(one, other)


def test_holm_is_that_of_statsmodels():
    # statsmodels 0.15: multipletests([0.01, 0.04, 0.03, 0.005, 0.2], method="holm")[1]
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([]) == []


def test_where_seeds_do_not_matter_the_interval_is_the_paired_t_interval_over_images():
    one, other = answers(60, 20, 5, 15)
    found = accuracy_difference(np.stack([one] * 3), np.stack([other] * 3))
    theirs = stats.ttest_rel(one.astype(float), other.astype(float))
    low, high = theirs.confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx((0.15, low, high), abs=1e-4)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=0.02)


def test_where_images_do_not_matter_it_is_welchs_interval_over_seeds():
    """Seeds that are right everywhere or nowhere: every image says the same."""
    right = np.repeat([[True], [True], [False], [True]], 500, axis=1)
    other = np.repeat([[False], [True], [False], [False], [False]], 500, axis=1)
    found = accuracy_difference(right, other)
    theirs = stats.ttest_ind(right[:, 0], other[:, 0], equal_var=False)
    low, high = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.02)


def test_one_seed_against_three_borrows_their_spread():
    generator = np.random.default_rng(0)
    three, one = generator.random((3, 300)) < 0.8, generator.random((1, 300)) < 0.8
    lone = accuracy_difference(one, three)
    assert lone.over_seeds
    assert lone.high - lone.low > np.diff(stats.norm.interval(0.95, 0, np.sqrt(0.16 / 300)))[0]


def test_the_interval_of_single_seeds_is_the_paired_t_interval_over_images():
    rng = np.random.default_rng(4)
    right, other = rng.random(300) < 0.8, rng.random(300) < 0.7
    expected = stats.ttest_rel(right.astype(float), other.astype(float)).confidence_interval(0.95)
    found = accuracy_difference(right[None], other[None])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_single_seeds_are_tested_by_mcnemar():
    one, other = answers(60, 20, 5, 15)
    found = accuracy_difference(one[None], other[None])
    assert not found.over_seeds
    assert found.p_value == mcnemar(one, other)


@pytest.mark.parametrize(
    ("seeds", "spread"),
    [(1, 0.0), (3, 0.0), (3, 0.3)],
    ids=["one seed, that makes no difference", "seeds alike", "seeds differ"],
)
def test_two_equal_ways_of_training_are_called_different_no_more_often_than_stated(seeds, spread):
    """200 comparisons of equals at the level of 5 %: at most 20 alarms (99.9 % of binomials)."""
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        difficulty = generator.normal(1.5, 1.0, 400)
        skill = generator.normal(0.0, spread, (2, seeds, 1))
        chance = 1.0 / (1.0 + np.exp(-(difficulty + skill)))
        right, other = generator.random(chance.shape) < chance
        alarms += accuracy_difference(right, other).p_value < 0.05
    assert alarms <= stats.binom.ppf(0.999, 200, 0.05)


def test_models_alone_would_mislead_where_seeds_differ():
    """Why a verdict over seeds does not rest on McNemar's test: it cries wolf."""
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        skill = generator.normal(0.0, 0.5, (2, 1, 1))
        chance = 1.0 / (1.0 + np.exp(-(generator.normal(1.5, 1.0, 800) + skill)))
        right, other = generator.random(chance.shape) < chance
        alarms += mcnemar_over_seeds(right, other) < 0.05
    assert alarms > 50


def test_one_image_shows_nothing():
    found = accuracy_difference(np.array([[1], [1], [1]]), np.array([[0], [1], [0]]))
    assert found.p_value > 0.1
