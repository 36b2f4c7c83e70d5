"""The gate for files whose answers differ by design."""

import numpy as np
import pytest

from tfft.errors import GateError
from tfft.exports.parity import Comparison, ParityCheck
from tfft.exports.tflite.accuracy import accuracy_drop, require_accuracy
from tfft.runtime.info import HeadInfo

CLASSES = tuple("abcdefghij")
LABEL = {"label": HeadInfo("classification", CLASSES, "label")}


def _classified(actual: np.ndarray, expected: np.ndarray, labels: np.ndarray) -> Comparison:
    figures = {
        "largest_difference": 0.0,
        "accuracy": float((actual == labels).mean()),
        "keras_accuracy": float((expected == labels).mean()),
    }
    answers = [{"label": np.eye(len(CLASSES))[classes]} for classes in (actual, expected)]
    check = ParityCheck(len(labels), 0.0, {"label": figures})
    return Comparison(LABEL, LABEL, *answers, {"label": labels}, check)


LABELS = np.repeat(np.arange(10), 100)


def test_a_few_lost_answers_pass():
    actual = LABELS.copy()
    actual[::125] = (LABELS[::125] + 1) % 10
    comparison = _classified(actual, LABELS, LABELS)
    assert accuracy_drop(comparison) == pytest.approx(0.008)
    require_accuracy(comparison, "file", 0.01)


def test_more_do_not():
    actual = LABELS.copy()
    actual[::50] = (LABELS[::50] + 1) % 10
    with pytest.raises(GateError, match=r"worse than the Keras model by 0\.0200"):
        require_accuracy(_classified(actual, LABELS, LABELS), "file", 0.01)


def test_two_swapped_classes_are_seen_though_they_are_rare():
    labels = np.concatenate([np.repeat(np.arange(8), 200), [8, 8, 9, 9]])
    swapped = np.array([*range(8), 9, 8])[labels]
    comparison = _classified(swapped, labels, labels)
    assert accuracy_drop(comparison) < 0.01
    with pytest.raises(GateError, match="never says 'i'"):
        require_accuracy(comparison, "file", 0.01)


def test_a_better_file_passes():
    keras = LABELS.copy()
    keras[::50] = (LABELS[::50] + 1) % 10
    assert accuracy_drop(_classified(LABELS, keras, LABELS)) == pytest.approx(-0.02)


def test_an_error_of_numbers_counts_as_a_share_of_their_spread():
    heads = {"weight": HeadInfo("regression", (), "weight")}
    targets = np.array([[0.0], [20.0], [np.nan]])
    check = ParityCheck(3, 0.0, {"weight": {"mae": 1.5, "keras_mae": 1.0}})
    zeros = {"weight": np.zeros((3, 1))}
    comparison = Comparison(heads, heads, zeros, zeros, {"weight": targets}, check)
    assert accuracy_drop(comparison) == pytest.approx(0.05)


def test_answers_that_are_no_numbers_do_not_pass():
    comparison = _classified(LABELS, LABELS, LABELS)
    comparison.actual["label"][3] = np.nan
    with pytest.raises(GateError, match="gives answers that are not numbers"):
        require_accuracy(comparison, "file", 1.0)
