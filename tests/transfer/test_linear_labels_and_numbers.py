"""Linear heads for labels and numbers, solved as scikit-learn solves them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from tfft.runtime.predictor import sigmoid
from tfft.transfer.linear.inputs import on_principal_axes
from tfft.transfer.linear.penalty import regression_of, solve_linear_head


def _features(rows: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(3).normal(size=(12, 12)) * np.geomspace(1.0, 0.05, 12)
    return (generator.normal(size=(rows, 12)) @ mixing + 3.0).astype(np.float32)


def _labels(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Three labels that the features say something of, float32 [n, 3]."""
    noise = np.random.default_rng(seed).normal(size=(len(features), 3))
    directions = np.random.default_rng(1).normal(size=(12, 3))
    return ((features - 3.0) @ directions + noise > [0.0, 2.0, -3.0]).astype(np.float32)


def _numbers(features: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(len(features), 1))
    return (features[:, :1] * 2.0 - features[:, 1:2] + 0.3 * noise).astype(np.float32)


def test_each_label_is_a_logistic_regression_of_its_own():
    features = _features(200)
    labels = _labels(features)
    inputs = on_principal_axes(features)
    solution = regression_of("multi_label", inputs, labels, 3).solve(0.1)
    standardised = StandardScaler().fit_transform(features.astype(np.float64))
    for label in range(3):
        expected = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000)
        expected.fit(standardised, labels[:, label])
        np.testing.assert_allclose(
            sigmoid(solution.weights.outputs(features))[:, label],
            expected.predict_proba(standardised)[:, 1],
            atol=2e-4,
        )


def test_a_label_that_is_never_or_always_true_gets_its_share_whatever_the_features_say():
    features = _features(49)
    labels = np.stack([_labels(features)[:, 0], np.zeros(49), np.ones(49)], axis=1)
    inputs = on_principal_axes(features)
    weights = regression_of("multi_label", inputs, labels, 3).solve(1.0).weights
    said = sigmoid(weights.outputs(features))[:, 1:]
    np.testing.assert_allclose(said, [[0.01, 0.99]] * 49, rtol=1e-5)


@pytest.mark.parametrize("rows", [100, 8])
@pytest.mark.parametrize("held_bytes", [10**9, 0])
def test_numbers_are_solved_by_ridge_regression_for_each_penalty(rows: int, held_bytes: int):
    features = _features(rows)
    numbers = _numbers(features)
    missing = numbers.copy()
    missing[[1, 5]] = np.nan
    inputs = on_principal_axes(features, held_bytes)
    solved = regression_of("regression", inputs, missing, 1)
    standardised = StandardScaler().fit_transform(features.astype(np.float64))
    known = np.isfinite(missing[:, 0])
    for inverse in (0.001, 0.1, 10.0):
        expected = Ridge(alpha=1.0 / inverse).fit(standardised[known], missing[known, 0])
        weights = solved.solve(inverse).weights
        np.testing.assert_allclose(
            weights.outputs(features)[:, 0], expected.predict(standardised), atol=1e-4
        )


@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_validation_data_choose_the_penalty_of_labels_and_numbers(kind: str):
    features, held_out = _features(30), _features(300, seed=2)
    make = _labels if kind == "multi_label" else _numbers
    solution = solve_linear_head(
        features,
        make(features),
        held_out,
        make(held_out),
        kind=kind,
        outputs=3 if kind == "multi_label" else 1,
        candidates=[1e-5, 0.1, 1e5],
        choose_by="loss",
        refit=True,
    )
    losses = {c: reached["loss"] for c, reached in solution.validation.items()}
    assert solution.inverse_regularization == min(losses, key=losses.__getitem__)
    assert losses[1e-5] > min(losses.values())
    assert np.isfinite(solution.refitted.kernel).all()
    assert np.abs(solution.refitted.kernel - solution.chosen.kernel).max() > 1e-4
