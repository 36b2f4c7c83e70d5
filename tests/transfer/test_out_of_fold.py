"""What heads say about the folds that they were not solved on."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tfft.transfer.linear.folds import out_of_fold


def _photos(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = np.arange(rows) % 4
    centres = np.random.default_rng(1).normal(size=(4, features))
    return (centres[labels] + generator.normal(size=(rows, features))).astype(np.float32), labels


@pytest.mark.parametrize(("rows", "features"), [(120, 10), (60, 90)])
def test_each_fold_is_answered_by_a_head_solved_on_the_others(rows: int, features: int):
    inputs, labels = _photos(rows, features)
    folds = np.random.default_rng(2).integers(0, 5, rows)
    found = out_of_fold(inputs, labels, folds, 0.1, classes=4)
    standardised = StandardScaler().fit_transform(inputs.astype(np.float64))
    expected = np.empty((rows, 4))
    for fold in range(5):
        head = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000)
        head.fit(standardised[folds != fold], labels[folds != fold])
        expected[folds == fold] = head.predict_proba(standardised[folds == fold])
    np.testing.assert_allclose(found.probabilities, expected, atol=5e-4)
    of_label = expected[np.arange(rows), labels]
    assert found.loss == pytest.approx(-np.log(of_label).mean(), rel=1e-3)
    assert found.top1 == (expected.argmax(axis=1) == labels).mean()
    assert found.converged


def test_a_class_whose_examples_are_all_in_one_fold_is_not_said_of_them():
    inputs, labels = _photos(60, 10)
    folds = np.where(labels == 3, 0, np.arange(60) % 3)
    found = out_of_fold(inputs, labels, folds, 0.1, classes=4)
    assert found.probabilities[labels == 3, 3].max() < 1e-4
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, rtol=1e-5)


def test_what_is_not_solved_on_is_answered_all_the_same():
    inputs, labels = _photos(120, 10)
    folds = np.random.default_rng(2).integers(0, 3, 120)
    counted = np.random.default_rng(3).random(120) < 0.7
    found = out_of_fold(inputs, labels, folds, 0.1, classes=4, solved_on=counted)
    wrong = np.where(counted, labels, (labels + 1) % 4)
    again = out_of_fold(inputs, wrong, folds, 0.1, classes=4, solved_on=counted)
    np.testing.assert_allclose(found.probabilities, again.probabilities, atol=1e-6)
    everything = out_of_fold(inputs, labels, folds, 0.1, classes=4)
    assert np.abs(found.probabilities - everything.probabilities).max() > 0.01


def test_one_fold_leaves_nothing_to_solve_on():
    with pytest.raises(ValueError, match="two folds or more"):
        out_of_fold(*_photos(8, 3), np.zeros(8, int), 0.1, classes=4)
