"""A linear head solved to convergence."""

from functools import partial
from unittest.mock import Mock

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tfft.errors import TfftError
from tfft.runtime.predictor import softmax
from tfft.transfer.linear import parallel
from tfft.transfer.linear.inputs import on_principal_axes
from tfft.transfer.linear.penalty import regression_of, solve_linear_head
from tfft.transfer.linear.weights import LinearWeights


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
    expected = LogisticRegression(C=0.1, max_iter=10_000, tol=1e-10)
    expected.fit(scaler.transform(features.astype(np.float64)), labels)

    solution = solve_linear_head(
        features,
        labels,
        features,
        labels,
        outputs=classes,
        candidates=[0.1],
        choose_by="top1",
        refit=False,
    )

    logits = features @ solution.chosen.kernel + solution.chosen.bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        probabilities, expected.predict_proba(scaler.transform(features)), atol=1e-4
    )


def test_validation_data_choose_the_regularisation():
    features, labels = _blobs(40, 4, 0, spread=4.0)
    validation = _blobs(400, 4, 1, spread=4.0)
    candidates = [1e-6, 0.03, 1e4]
    solution = solve_linear_head(
        features,
        labels,
        *validation,
        outputs=4,
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
    arguments = {"outputs": 4, "candidates": [0.1], "choose_by": "top1"}
    once = solve_linear_head(features, labels, *validation, refit=False, **arguments)
    again = solve_linear_head(features, labels, *validation, refit=True, **arguments)
    assert once.refitted is None
    np.testing.assert_array_equal(once.chosen.kernel, again.chosen.kernel)
    assert np.abs(again.refitted.kernel - again.chosen.kernel).max() > 1e-3
    said = softmax(again.chosen.outputs(validation[0]))
    np.testing.assert_allclose(said.sum(axis=1), 1.0, rtol=1e-5)
    assert (said.argmax(axis=1) == validation[1]).mean() == again.validation[0.1]["top1"]


def test_a_class_without_training_images_is_never_predicted():
    features, labels = _blobs(90, 3, 0)
    solution = solve_linear_head(
        features,
        labels,
        features,
        labels,
        outputs=5,
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
        outputs=3,
        candidates=[0.1],
        choose_by="top1",
        refit=False,
    )
    assert (solution.chosen.kernel[2] == 0).all()
    assert np.isfinite(solution.chosen.bias).all()


def _photos_of_breeds(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features as a backbone gives them: many, of unequal size, which separate the training set."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(3).normal(size=(40, 120)) * np.geomspace(1.0, 0.05, 120)
    centres = np.random.default_rng(5).normal(size=(12, 40)) * 0.5
    labels = np.arange(144) % 12
    features = (centres[labels] + generator.normal(size=(144, 40))) @ mixing
    return np.maximum(features, 0.0).astype(np.float32), labels


@pytest.mark.parametrize("inverse", [0.003, 3.0])
def test_where_the_search_starts_does_not_matter(inverse):
    features, labels = _photos_of_breeds(0)
    # On the training images the weakest penalty of each list is the best.
    solve = partial(solve_linear_head, features, labels, features, labels, outputs=12)
    kernels = [
        solve(candidates=candidates, choose_by="loss", refit=False).chosen.kernel
        for candidates in ([inverse], [inverse / 3, inverse], [inverse / 30, inverse / 2, inverse])
    ]
    scale = features.std(axis=0)[:, None]
    for kernel in kernels[1:]:
        off = np.linalg.norm((kernel - kernels[0]) * scale)
        assert off < 2e-4 * np.linalg.norm(kernels[0] * scale)


@pytest.mark.parametrize("choose_by", ["loss", "top1"])
def test_rounding_of_the_features_does_not_change_the_choice(choose_by):
    generator = np.random.default_rng(0)
    (features, labels), (held_out, truth) = _photos_of_breeds(0), _photos_of_breeds(1)
    solve = partial(
        solve_linear_head,
        outputs=12,
        candidates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        choose_by=choose_by,
        refit=False,
    )
    exact = solve(features, labels, held_out, truth)
    for _ in range(2):
        rounded, rounded_held_out = (
            (values * (1 + generator.uniform(-1e-6, 1e-6, values.shape))).astype(np.float32)
            for values in (features, held_out)
        )
        other = solve(rounded, labels, rounded_held_out, truth)
        assert other.inverse_regularization == exact.inverse_regularization
        for candidate, reached in other.validation.items():
            assert reached["loss"] == pytest.approx(exact.validation[candidate]["loss"], rel=1e-6)


def test_the_weights_of_classes_count_as_repeated_images_do():
    features, labels = _blobs(60, 3, 0, spread=4.0)
    weights = np.array([1.0, 2.0, 3.0])
    repeated = np.repeat(np.arange(60), weights[labels].astype(int))
    inputs = on_principal_axes(features)
    weighted = regression_of("classification", inputs, labels, 3, weights)
    scale = features.std(axis=0)
    expected = LogisticRegression(C=0.1, max_iter=10_000, tol=1e-10)
    standardised = (features.astype(np.float64) - features.mean(axis=0)) / scale
    expected.fit(standardised[repeated], labels[repeated])
    probabilities = softmax(weighted.solve(0.1).weights.outputs(features))
    np.testing.assert_allclose(probabilities, expected.predict_proba(standardised), atol=2e-4)


@pytest.mark.parametrize("features", [np.ones((12, 3)), np.zeros((12, 1))])
def test_features_that_say_nothing_give_the_shares_of_the_classes(features):
    labels = np.repeat([0, 1, 2], [6, 4, 2])
    features = features.astype(np.float32)
    solution = regression_of("classification", on_principal_axes(features), labels, 3).solve(1.0)
    assert solution.converged
    said = softmax(solution.weights.outputs(features))
    np.testing.assert_allclose(said, [[0.5, 1 / 3, 1 / 6]] * 12, atol=1e-4)


def test_features_that_are_not_finite_are_named():
    features, labels = _blobs(40, 4, 0)
    features[[3, 5], 1] = [np.nan, np.inf]
    with pytest.raises(TfftError, match="features of 2 of 40 training images are not finite"):
        solve_linear_head(
            features,
            labels,
            *_blobs(8, 4, 1),
            outputs=4,
            candidates=[0.1],
            choose_by="loss",
            refit=False,
        )


_CANDIDATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the solver treat what a test can afford as it treats a pass that is not cheap."""
    monkeypatch.setattr("tfft.transfer.linear.regression._CHEAP", 0)


def _objective(weights, features: np.ndarray, labels: np.ndarray, inverse: float) -> float:
    """What is minimised, of one example, computed from its definition in float64."""
    logits = features.astype(np.float64) @ weights.kernel + weights.bias
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]
    of_standardised = weights.kernel * features.std(axis=0, dtype=np.float64)[:, None]
    return losses.mean() + (of_standardised**2).sum() / (2 * inverse * len(labels))


@pytest.mark.parametrize("rows", [144, 60])
@pytest.mark.parametrize("inverse", [0.003, 3.0])
def test_a_large_solution_is_within_its_bound_of_the_minimum(large, rows, inverse):
    features, labels = _photos_of_breeds(0)
    features, labels = features[:rows], labels[:rows]
    scaler = StandardScaler().fit(features.astype(np.float64))
    exact = LogisticRegression(C=inverse, max_iter=100_000, tol=1e-12)
    exact.fit(scaler.transform(features.astype(np.float64)), labels)
    inputs = on_principal_axes(features)
    solution = regression_of("classification", inputs, labels, 12).solve(inverse)
    assert solution.converged
    assert 1e-4 < solution.error <= 3e-3
    scale = features.std(axis=0, dtype=np.float64)[:, None]
    off = np.linalg.norm(solution.weights.kernel * scale - exact.coef_.T)
    assert off <= solution.error * np.linalg.norm(solution.weights.kernel * scale)
    raw = exact.coef_.T / scale
    least = _objective(
        LinearWeights(raw, exact.intercept_ - scaler.mean_ @ raw), features, labels, inverse
    )
    assert least * (1 - 1e-7) <= _objective(solution.weights, features, labels, inverse)
    assert _objective(solution.weights, features, labels, inverse) <= least * (1 + 1e-5)


@pytest.mark.parametrize("choose_by", ["loss", "top1"])
def test_the_choice_depends_neither_on_rounding_nor_on_the_order_of_the_rows(large, choose_by):
    generator = np.random.default_rng(0)
    (features, labels), (held_out, truth) = _photos_of_breeds(0), _photos_of_breeds(1)
    solve = partial(
        solve_linear_head, outputs=12, candidates=_CANDIDATES, choose_by=choose_by, refit=True
    )
    first = solve(features, labels, held_out, truth)
    order = generator.permutation(len(labels))
    noise = 1 + generator.uniform(-1e-6, 1e-6, features.shape)
    for other in (
        solve(features[order], labels[order], held_out, truth),
        solve((features * noise).astype(np.float32), labels, held_out, truth),
    ):
        assert other.inverse_regularization == first.inverse_regularization
        np.testing.assert_allclose(
            other.refitted.outputs(held_out), first.refitted.outputs(held_out), atol=0.05
        )


def test_features_on_the_disk_are_solved_like_those_in_memory(monkeypatch: pytest.MonkeyPatch):
    features, labels = _photos_of_breeds(0)
    held_out, truth = _photos_of_breeds(1)
    solve = partial(
        solve_linear_head,
        outputs=12,
        candidates=[0.01, 0.1],
        choose_by="loss",
        refit=True,
    )
    held = solve(features, labels, held_out, truth)
    monkeypatch.setattr("tfft.transfer.linear.inputs.HELD_BYTES", 0)
    monkeypatch.setattr("tfft.transfer.linear.inputs._BLOCK_ROWS", 50)
    read = solve(_OnDisk(features), labels, _OnDisk(held_out), truth)
    for mine, others in ((read.chosen, held.chosen), (read.refitted, held.refitted)):
        np.testing.assert_allclose(
            softmax(mine.outputs(held_out)), softmax(others.outputs(held_out)), atol=1e-4
        )


class _OnDisk:
    """Features of which only slices can be read."""

    def __init__(self, features: np.ndarray) -> None:
        self._features, self.shape = features, features.shape

    def __getitem__(self, which: slice) -> np.ndarray:
        assert isinstance(which, slice)
        return self._features[which]


@pytest.mark.parametrize("columns", [1, 6])
def test_a_single_feature_and_copies_of_it_can_be_solved(columns: int):
    features, labels = _blobs(60, 2, 0)
    features = np.repeat(features[:, :1], columns, axis=1)
    # Copies share the weight: the penalty on it falls as their number rises.
    expected = LogisticRegression(C=0.1 * columns, tol=1e-10).fit(
        StandardScaler().fit_transform(features[:, :1].astype(np.float64)), labels
    )
    solution = regression_of("classification", on_principal_axes(features), labels, 2).solve(0.1)
    said = softmax(solution.weights.outputs(features))
    inputs = StandardScaler().fit_transform(features[:, :1].astype(np.float64))
    np.testing.assert_allclose(said, expected.predict_proba(inputs), atol=2e-4)


def test_an_interrupt_while_a_head_is_solved_closes_the_line_of_progress():
    features, labels = _blobs(60, 3, 0)
    task = Mock()
    task.advance.side_effect = [None, KeyboardInterrupt]
    progress = Mock(start=Mock(return_value=task))
    solve = partial(solve_linear_head, features, labels, features, labels, outputs=3)
    with pytest.raises(KeyboardInterrupt):
        solve(candidates=_CANDIDATES, choose_by="loss", refit=True, progress=progress)
    assert progress.start.call_args.args == ("solving the linear head", 7, "values of C")
    assert task.close.call_count == 1


def test_the_number_of_processors_changes_no_bit(monkeypatch: pytest.MonkeyPatch):
    generator = np.random.default_rng(2)
    features = generator.normal(size=(5_000, 6)).astype(np.float32)
    labels = (features[:, 0] + generator.normal(size=5_000) > 0).astype(np.int64)
    solved = []
    for count in (1, 3):
        monkeypatch.setattr(parallel, "processors", lambda count=count: count)
        regression = regression_of("classification", on_principal_axes(features), labels, 2)
        solved.append(regression.solve(1.0).weights)
    assert np.array_equal(solved[0].kernel, solved[1].kernel)
    assert np.array_equal(solved[0].bias, solved[1].bias)
