"""Figures of predicted numbers, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tfft.metrics.regression import regression_metrics


def test_by_hand():
    metrics = regression_metrics(np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0, 4.0]))
    assert metrics["mae"] == pytest.approx(1.0)
    assert metrics["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert metrics["r2"] == pytest.approx(1 - 5 / (8 / 3))
    assert metrics["mae_interval"] == pytest.approx([1 - 1.96 / 3**0.5, 1 + 1.96 / 3**0.5])
    assert metrics["examples"] == 3


def test_every_figure_is_scikit_learns():
    generator = np.random.default_rng(0)
    targets = (1e6 + 50 * generator.standard_normal(500)).astype(np.float32)
    values = targets + generator.standard_normal(500).astype(np.float32)
    metrics = regression_metrics(values, targets)
    targets, values = targets.astype(np.float64), values.astype(np.float64)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(targets, values))
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(targets, values))
    assert metrics["r2"] == pytest.approx(r2_score(targets, values), abs=1e-9)


def test_the_mean_explains_nothing():
    targets = np.array([1.0, 2.0, 3.0, 6.0])
    assert regression_metrics(np.full(4, 3.0), targets)["r2"] == pytest.approx(0.0)


def test_targets_that_are_all_equal_leave_nothing_to_explain():
    targets = np.full(999, 0.1, np.float32)  # whose mean in float32 is another number
    metrics = regression_metrics(targets + np.float32(0.5), targets)
    assert metrics["r2"] is None
    assert metrics["mae"] == pytest.approx(0.5)


def test_without_examples_there_are_no_figures():
    nothing = np.zeros(0, np.float32)
    assert regression_metrics(nothing, nothing) == {
        "mae": None,
        "mae_interval": None,
        "rmse": None,
        "r2": None,
        "examples": 0,
    }
