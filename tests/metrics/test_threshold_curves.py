"""Curves over all thresholds, and the thresholds that reach a precision or recall."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from tfft.metrics.intervals import wilson_interval
from tfft.metrics.threshold_curves import ThresholdCurve, at_threshold, threshold_curve

SCORES = np.array([0.9, 0.8, 0.8, 0.6, 0.4, 0.4, 0.1], np.float32)
TRUTH = np.array([1, 1, 0, 1, 0, 1, 0], bool)
# Truth and scores of some examples, many of them equal.
EXAMPLES = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=30)


@pytest.mark.parametrize("levels", [3, 20, 1000])
def test_areas_and_curves_are_those_of_scikit_learn_also_with_equal_scores(levels):
    generator = np.random.default_rng(levels)
    truth = generator.random(200) < 0.3
    scores = (generator.integers(0, levels, 200) / levels).astype(np.float32)
    curve = threshold_curve(truth, scores)
    assert curve.auc == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    expected = average_precision_score(truth, scores)
    assert curve.average_precision == pytest.approx(expected, abs=1e-12)
    precision, recall, thresholds = precision_recall_curve(truth, scores)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    np.testing.assert_array_equal(curve.scores[::-1], thresholds)
    false_positive_rate, hit_rate, _ = roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, false_positive_rate[1:])
    np.testing.assert_allclose(curve.recall, hit_rate[1:])


def test_a_class_without_examples_or_without_others_has_no_area():
    nothing, all_of_it = (threshold_curve(np.full(7, of), SCORES) for of in (False, True))
    assert (nothing.auc, nothing.average_precision) == (None, None)
    assert (all_of_it.auc, all_of_it.average_precision) == (None, 1.0)
    assert nothing.reaching("recall", 0.5) is None
    assert (nothing.to_json()["recall"], all_of_it.to_json()["false_positive_rate"]) == (None, None)


def test_at_a_precision_the_threshold_has_the_highest_recall_and_the_other_way_round():
    curve = threshold_curve(TRUTH, SCORES)
    position = curve.reaching("precision", 0.75)
    assert (curve.precision[position], curve.recall[position]) == (0.75, 0.75)
    assert curve.threshold(position) == pytest.approx(0.5)
    position = curve.reaching("recall", 0.5)
    assert (curve.precision[position], curve.recall[position]) == (0.75, 0.75)
    assert curve.reaching("precision", 1.0) == 0
    assert threshold_curve(~TRUTH, SCORES).reaching("precision", 0.9) is None


@given(examples=EXAMPLES, at_least=st.sampled_from([0.25, 0.5, 0.6, 0.75, 0.95, 1.0]))
@pytest.mark.parametrize("goal", ["precision", "recall"])
def test_no_threshold_that_reaches_the_goal_is_better(goal, examples, at_least):
    truth = np.array([each for each, _ in examples])
    scores = np.array([score for _, score in examples], np.float32) / 7
    other = {"precision": "recall", "recall": "precision"}[goal]
    reaching = [
        (getattr(found, other), getattr(found, goal))
        for threshold in np.arange(-0.5, 7) / 7
        if (found := at_threshold(truth, scores, threshold)).precision is not None
        and threshold >= 0
        and getattr(found, goal) is not None
        and getattr(found, goal) >= at_least
    ]
    curve = threshold_curve(truth, scores)
    position = curve.reaching(goal, at_least)
    if position is None:
        assert not reaching
    else:
        found = at_threshold(truth, scores, curve.threshold(position))
        assert (getattr(found, other), getattr(found, goal)) == max(reaching)


def test_equal_scores_are_on_one_side_and_a_threshold_is_halfway_to_the_next():
    curve = threshold_curve(TRUTH, SCORES)
    assert curve.scores.tolist() == pytest.approx([0.9, 0.8, 0.6, 0.4, 0.1])
    thresholds = [curve.threshold(position) for position in range(5)]
    assert thresholds == pytest.approx([0.85, 0.7, 0.5, 0.25, 0.05])


def test_a_threshold_between_neighbouring_numbers_has_each_on_its_side():
    upper = np.float32(0.7)
    scores = np.array([upper, np.nextafter(upper, np.float32(0))], np.float32)
    for pair in (scores, np.nextafter(scores, np.float32(0))):
        threshold = threshold_curve(np.array([True, False]), pair).threshold(0)
        assert (pair > np.float32(threshold)).tolist() == [True, False]


def test_a_probability_of_0_is_above_no_threshold():
    scores = np.array([0.5, 0.0], np.float32)
    curve = threshold_curve(np.array([True, True]), scores)
    assert curve.reaching("recall", 1.0) is None
    assert curve.recall[curve.best("recall")] == 0.5
    assert curve.threshold(curve.reaching("recall", 0.5)) == 0.25


def test_a_threshold_gives_precision_and_recall_with_wilson_intervals():
    found = at_threshold(TRUTH, SCORES, 0.5)
    assert (found.examples, found.said) == (4, 4)
    assert (found.precision, found.recall) == (0.75, 0.75)
    assert found.precision_interval == found.recall_interval == wilson_interval(3, 4)
    nobody = at_threshold(TRUTH, SCORES, 0.95)
    assert (nobody.precision, nobody.precision_interval, nobody.recall) == (None, None, 0.0)
    nothing = at_threshold(np.zeros(7, bool), SCORES, 0.5)
    assert (nothing.recall, nothing.recall_interval) == (None, None)


def test_a_curve_is_whole_as_json():
    curve = threshold_curve(TRUTH, SCORES)
    values = json.loads(json.dumps(curve.to_json(), allow_nan=False))
    again = ThresholdCurve.from_json(values)
    assert [again.threshold(k) for k in range(5)] == [curve.threshold(k) for k in range(5)]
    assert (again.auc, again.average_precision) == (curve.auc, curve.average_precision)
    lengths = {len(value) for value in values.values() if isinstance(value, list)}
    assert lengths == {5}
