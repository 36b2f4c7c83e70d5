"""A linear head solved to convergence."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tfft.transfer.frozen.linear_solver import solve_linear_head


def _blobs(
    count: int, classes: int, seed: int, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(classes, 6)) * 2
    labels = np.arange(count) % classes
    features = centres[labels] + generator.normal(size=(count, 6)) * spread
    return (features * [1, 10, 0.1, 1, 1, 1] + 5).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 4])
def test_weights_on_raw_features_give_the_probabilities_of_scikit_learn(classes: int):
    features, labels = _blobs(300, classes, 0)
    scaler = StandardScaler().fit(features)
    expected = LogisticRegression(C=0.1, max_iter=400, tol=1e-4)
    expected.fit(scaler.transform(features), labels)

    solution = solve_linear_head(
        features,
        labels,
        features,
        labels,
        classes=classes,
        candidates=[0.1],
        choose_by="top1",
        refit=False,
    )

    logits = features @ solution.chosen.kernel + solution.chosen.bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        probabilities, expected.predict_proba(scaler.transform(features)), atol=2e-3
    )


def test_validation_data_choose_the_regularisation():
    features, labels = _blobs(40, 4, 0, spread=4.0)
    validation = _blobs(400, 4, 1, spread=4.0)
    candidates = [1e-6, 0.03, 1e4]
    solution = solve_linear_head(
        features,
        labels,
        *validation,
        classes=4,
        candidates=candidates,
        choose_by="loss",
        refit=False,
    )
    assert solution.inverse_regularization == 0.03
    losses = {c: figures["loss"] for c, figures in solution.validation.items()}
    assert losses[0.03] == min(losses.values())


def test_refitting_uses_the_validation_images_and_keeps_the_first_solution():
    features, labels = _blobs(40, 4, 0)
    validation = _blobs(80, 4, 1)
    arguments = {"classes": 4, "candidates": [0.1], "choose_by": "top1"}
    once = solve_linear_head(features, labels, *validation, refit=False, **arguments)
    again = solve_linear_head(features, labels, *validation, refit=True, **arguments)
    assert once.refitted is None
    np.testing.assert_array_equal(once.chosen.kernel, again.chosen.kernel)
    assert np.abs(again.refitted.kernel - again.chosen.kernel).max() > 1e-3
    said = again.chosen(validation[0])
    np.testing.assert_allclose(said.sum(axis=1), 1.0, rtol=1e-5)
    assert (said.argmax(axis=1) == validation[1]).mean() == again.validation[0.1]["top1"]


def test_a_class_without_training_images_is_never_predicted():
    features, labels = _blobs(90, 3, 0)
    solution = solve_linear_head(
        features,
        labels,
        features,
        labels,
        classes=5,
        candidates=[0.1],
        choose_by="top1",
        refit=False,
    )
    logits = features @ solution.chosen.kernel + solution.chosen.bias
    assert set(logits.argmax(axis=1)) <= {0, 1, 2}


def test_a_feature_that_never_varies_changes_nothing():
    features, labels = _blobs(90, 3, 0)
    features[:, 2] = 3.0
    solution = solve_linear_head(
        features,
        labels,
        features,
        labels,
        classes=3,
        candidates=[0.1],
        choose_by="top1",
        refit=False,
    )
    assert (solution.chosen.kernel[2] == 0).all()
    assert np.isfinite(solution.chosen.bias).all()
