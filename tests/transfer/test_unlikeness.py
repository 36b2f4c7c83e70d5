"""How far an example is from the training examples, and the threshold on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfft.config.loading.load import recipe_from_dict
from tfft.transfer.unlikeness import (
    AXES,
    chosen_pooling,
    fit_unlikeness,
    measured_positions,
    share_to_keep,
)

_WIDTH = 100


def _features(count: int, seed: int = 0) -> np.ndarray:
    """Features that vary much along 20 directions and little along all others, around 3."""
    directions = np.random.default_rng(99).standard_normal((20, _WIDTH))
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((count, 20)) @ directions
    return (3.0 + rows + 0.2 * generator.standard_normal((count, _WIDTH))).astype(np.float32)


def _by_the_definition(training: np.ndarray, features: np.ndarray, count: int) -> np.ndarray:
    """Mahalanobis's distance at unit length by the covariance of probabilistic PCA, times a scale.

    The scale is the deviation along the axes that are not told apart.
    """
    rows, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (training, features))
    variances, axes = np.linalg.eigh(np.cov(rows.T.astype(np.float64), bias=True))
    left = variances[:-count].mean()
    variances[:-count] = left
    centred = others - rows.mean(axis=0, dtype=np.float64)
    squares = (centred @ np.linalg.inv(axes * variances @ axes.T) * centred).sum(axis=1)
    return np.sqrt(squares * left)


def test_the_distance_is_that_of_its_definition():
    training, others = _features(400), _features(50, seed=1)
    found = fit_unlikeness(training, _features(40, seed=2), 0.95).distances(others)
    expected = _by_the_definition(training, others, AXES)
    np.testing.assert_allclose(found[:, 0], expected, rtol=0.02)


def test_the_length_of_features_does_not_count():
    unlikeness = fit_unlikeness(_features(400), _features(40, seed=2), 0.95)
    others = _features(50, seed=1)
    lengths = np.linspace(0.1, 10.0, 50, dtype=np.float32)[:, None]
    distances = [unlikeness.distances(rows) for rows in (others, lengths * others)]
    np.testing.assert_allclose(*distances, rtol=1e-3)


def test_the_same_step_counts_less_along_what_varies_than_off_it():
    unlikeness = fit_unlikeness(_features(400), _features(40, seed=2), 0.95)
    known = _features(200, seed=3)
    along = known - known.mean(axis=0)
    off = np.random.default_rng(5).standard_normal(known.shape)
    off *= np.linalg.norm(along) / np.linalg.norm(off)
    steps = (along, off.astype(np.float32))
    distances = [unlikeness.distances(known + step).mean() for step in steps]
    assert distances[1] > 5 * distances[0]


_TRAINING = _features(200, seed=7)


@given(st.integers(19, 200), st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.integers(0, 5))
def test_the_threshold_keeps_the_share_of_the_validation_examples_and_no_more(count, keep, seed):
    validation = _features(count, seed)
    unlikeness = fit_unlikeness(_TRAINING, validation, keep)
    distances, threshold = unlikeness.distances(validation), unlikeness.info.threshold
    wanted = np.ceil((count + 1) * keep - 1e-9)
    # Products of matrices on more threads round otherwise.
    assert (distances < threshold * (1 - 1e-4)).sum() < wanted
    assert wanted <= (distances <= threshold * (1 + 1e-4)).sum()


def test_the_distance_of_activations_is_that_of_their_mean_over_positions():
    rows = _features(200)
    spread = np.stack([rows - 1.0, rows + 1.0], axis=1)
    flat = fit_unlikeness(rows, rows[:50], 0.9)
    pooled = fit_unlikeness(spread, spread[:50], 0.9)
    np.testing.assert_allclose(pooled.distances(spread), flat.distances(rows), rtol=1e-3)


@pytest.mark.parametrize("count", [1, 3, 30])
def test_a_few_training_examples_are_enough(count):
    validation = _features(30, seed=1)
    unlikeness = fit_unlikeness(_features(count), validation, 0.95)
    assert unlikeness.axes.shape == (_WIDTH, AXES)
    assert np.isfinite(unlikeness.distances(validation)).all()


def test_examples_that_are_all_alike_have_a_threshold_too():
    rows = np.ones((50, _WIDTH), np.float32)
    unlikeness = fit_unlikeness(rows, rows, 0.95)
    assert unlikeness.distances(_features(50)).min() > unlikeness.info.threshold > 0.0


class _Messages:
    """Progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(
    ("keep", "validation", "expected"),
    [(0.95, 19, 0.95), (0.95, 18, None), (0.9, 9, 0.9), (0.9, 8, None), (None, 1000, None)],
)
def test_a_threshold_takes_as_many_validation_images_as_it_needs(keep, validation, expected):
    recipe = recipe_from_dict(
        {
            "name": "photos",
            "data": {"kind": "digits"},
            "backbone": {"kind": "lite"},
            "train": {"strategy": "feature_extraction"},
            "unsure": {"keep": keep},
        }
    )
    messages = _Messages()
    assert share_to_keep(recipe, validation, messages) == expected
    too_few = keep is not None and expected is None
    assert [f"there are {validation}" in text for text in messages.said] == [True] * too_few


def test_of_many_examples_some_are_measured_the_same_ones_each_time():
    assert (measured_positions(100) == np.arange(100)).all()
    some = measured_positions(100_000)
    assert len(np.unique(some)) == len(some) == 4096
    assert (some == measured_positions(100_000)).all()
    assert (np.diff(some) > 0).all()


def test_average_pooling_is_measured_where_there_is_one():
    assert chosen_pooling(["avg", "max"]) == 0
    assert chosen_pooling(["grid", "avg"]) == 1
    assert chosen_pooling(["grid"]) == 0
