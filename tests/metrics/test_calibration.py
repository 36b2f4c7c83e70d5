"""Calibration, against values computed by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfft.metrics.calibration import (
    at_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_bins,
)

# Confidences 0.62 and 0.64 share a bin of 15 (one of two is right), 0.9 has its own (right).
_PROBABILITIES = np.array([[0.62, 0.38], [0.64, 0.36], [0.9, 0.1]])
_LABELS = np.array([0, 1, 0])


def test_calibration_error_by_hand():
    error = expected_calibration_error(_PROBABILITIES, _LABELS)
    assert error == pytest.approx((abs(1.26 - 1) + abs(0.9 - 1)) / 3)


def test_certain_and_right_is_calibrated():
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0.0


def test_bins_of_a_reliability_diagram_by_hand():
    bins = reliability_bins(_PROBABILITIES, _LABELS)
    assert len(bins) == 15
    filled = {k: b for k, b in enumerate(bins) if b.examples}
    assert list(filled) == [9, 13]
    assert (filled[9].examples, filled[9].accuracy) == (2, 0.5)
    assert filled[9].confidence == pytest.approx(0.63)
    assert (filled[13].low, filled[13].high) == pytest.approx((13 / 15, 14 / 15))
    assert bins[0].confidence is bins[0].accuracy is None


def test_a_confidence_on_the_edge_belongs_to_the_bin_below():
    (low, high) = reliability_bins(np.array([[0.5, 0.5]]), np.array([0]), bins=2)
    assert (low.examples, high.examples) == (1, 0)


def test_temperature_by_hand():
    """Log-odds of ln 9 said, 3 of 4 right: the best log-odds are ln 3, so T = ln 9 / ln 3 = 2."""
    probabilities = np.array([[0.9, 0.1]] * 4)
    labels = np.array([0, 0, 0, 1])
    temperature = fit_temperature(probabilities, labels)
    assert temperature == pytest.approx(2.0, abs=1e-4)
    np.testing.assert_allclose(at_temperature(probabilities, temperature)[0], [0.75, 0.25], 1e-4)
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(
        -(3 * np.log(0.9) + np.log(0.1)) / 4
    )


@pytest.mark.parametrize("factor", [0.25, 0.6, 1.0, 3.0])
def test_a_model_that_is_too_sure_by_a_factor_has_it_as_its_temperature(factor):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (4000, 5))
    true = at_temperature(np.exp(logits), 1.0)
    labels = (true.cumsum(axis=1) < generator.random((4000, 1))).sum(axis=1)
    said = at_temperature(true, 1 / factor)
    assert fit_temperature(said.astype(np.float32), labels) == pytest.approx(factor, rel=0.06)


@given(st.floats(0.1, 10), st.integers(0, 2**16))
def test_a_temperature_changes_no_answer_and_its_inverse_undoes_it(temperature, seed):
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(4), 3)
    scaled = at_temperature(probabilities, temperature)
    assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(at_temperature(scaled, 1 / temperature), probabilities, atol=1e-9)


@pytest.mark.parametrize("labels", [(0, 1), (1, 0)])
def test_where_every_answer_is_right_or_wrong_no_temperature_is_best(labels):
    assert fit_temperature(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array(labels)) is None
