"""LogME and H-score, against their definitions and the laws that they keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from tfft.metrics.transferability import h_score, log_evidence, logme

# Two classes on a line, well apart, and a feature that says nothing.
_FEATURES = np.array([[2.0, 1.0], [2.5, -1.0], [-2.0, 1.0], [-2.5, -1.0], [-1.5, 0.5]])
_LABELS = np.array([0, 0, 1, 1, 1])


def examples(seed: int, count: int = 30, size: int = 6, classes: int = 3) -> tuple:
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    means = generator.normal(size=(classes, size))
    return means[labels] + generator.normal(size=(count, size)), labels


def orthogonal(seed: int, size: int = 6) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


@pytest.mark.parametrize("shape", [(12, 4), (5, 9)], ids=["more examples", "more features"])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.3, 20.0)])
def test_the_evidence_is_the_density_of_the_targets_under_the_model(shape, alpha, beta):
    generator = np.random.default_rng(1)
    features, targets = generator.normal(size=shape), generator.normal(size=(shape[0], 2))
    covariance = np.eye(shape[0]) / beta + features @ features.T / alpha
    density = multivariate_normal(np.zeros(shape[0]), covariance)
    expected = [density.logpdf(column) for column in targets.T]
    np.testing.assert_allclose(log_evidence(features, targets, alpha, beta), expected, rtol=1e-9)


def test_logme_has_the_largest_evidence_of_all_precisions():
    indicators = np.eye(2)[_LABELS]
    grid = np.exp(np.linspace(-6, 6, 61))
    best = np.max([[log_evidence(_FEATURES, indicators, a, b) for b in grid] for a in grid], (0, 1))
    reached = logme(_FEATURES, _LABELS)
    assert best.mean() / len(_LABELS) <= reached + 1e-9
    assert reached == pytest.approx(best.mean() / len(_LABELS), abs=2e-3)


def test_h_score_by_hand():
    # One feature: variance of the class means over all variance, R^2 of a one-way analysis.
    feature = np.array([[1.0], [3.0], [5.0], [7.0]])
    assert h_score(feature, np.array([0, 0, 1, 1]), shrinkage=False) == pytest.approx(4.0 / 5.0)


def test_shrinkage_by_the_definition():
    from sklearn.covariance import LedoitWolf

    features, labels = examples(3)
    fitted = LedoitWolf().fit(features)
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    expected = np.trace(np.linalg.solve(fitted.covariance_, np.cov(means.T, bias=True)))
    reached = h_score(features, labels)
    assert reached == pytest.approx((1 - fitted.shrinkage_) * expected)


@pytest.mark.parametrize("score", [logme, h_score], ids=lambda f: f.__name__)
def test_labels_that_follow_the_features_score_higher_than_shuffled_ones(score):
    features, labels = examples(5, count=120)
    shuffled = np.random.default_rng(0).permutation(labels)
    assert score(features, labels) > score(features, shuffled)


@pytest.mark.parametrize("score", [logme, h_score], ids=lambda f: f.__name__)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_neither_a_rotation_nor_a_renaming_of_classes_changes_a_score(score, seed):
    features, labels = examples(seed)
    expected = score(features, labels)
    assert score(features @ orthogonal(seed), labels) == pytest.approx(expected, rel=1e-5)
    assert score(features, 7 - labels) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
def test_the_scale_of_the_features_changes_no_score(seed, scale):
    features, labels = examples(seed)
    assert logme(scale * features, labels) == pytest.approx(logme(features, labels), abs=1e-3)
    assert h_score(scale * features, labels) == pytest.approx(h_score(features, labels), rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), classes=st.integers(2, 5))
def test_the_h_score_lies_between_0_and_one_less_than_the_classes(seed, classes):
    features, labels = examples(seed, classes=classes)
    assert 0 <= h_score(features, labels) <= classes - 1 + 1e-9
    assert 0 <= h_score(features, labels, shrinkage=False) <= classes - 1 + 1e-9


def test_features_that_never_vary_say_nothing():
    labels = np.array([0, 1] * 5)
    assert h_score(np.ones((10, 4)), labels) == 0.0
    assert np.isfinite(logme(np.ones((10, 4)), labels))
