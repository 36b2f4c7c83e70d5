"""Figures of a classifier, against values computed by hand."""

import numpy as np
import pytest

from tfft.metrics.classification import classification_metrics
from tfft.metrics.intervals import wilson_interval

_PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]], np.float32
)
_LABELS = np.array([0, 1, 1, 1])


def test_accuracy_loss_and_confusion():
    metrics = classification_metrics(_PROBABILITIES, _LABELS, ("a", "b", "c"))
    assert metrics["top1"] == 0.75
    assert metrics["loss"] == pytest.approx(-np.log([0.7, 0.3, 0.8, 0.5]).mean(), rel=1e-6)
    assert metrics["confusion"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]


def test_a_class_without_examples_does_not_count():
    metrics = classification_metrics(_PROBABILITIES, _LABELS, ("a", "b", "c"))
    assert metrics["mean_class_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    row = metrics["per_class"][2]
    assert (row["label"], row["examples"]) == ("c", 0)
    assert {row[name] for name in ("accuracy", "precision", "recall", "f1", "auc")} == {None}


@pytest.mark.parametrize(("classes", "top5"), [(2, None), (5, None), (6, 1.0)])
def test_top5_is_of_more_than_five_classes(classes, top5):
    metrics = classification_metrics(np.eye(classes), np.arange(classes), "abcdef"[:classes])
    assert metrics["top5"] == top5


def test_top5_counts_the_five_best():
    probabilities = np.tile([0.3, 0.25, 0.2, 0.1, 0.08, 0.05, 0.02], (7, 1))
    metrics = classification_metrics(probabilities, np.arange(7), tuple("abcdefg"))
    assert metrics["top5"] == pytest.approx(5 / 7)


def test_equal_probabilities_are_not_five_right_answers():
    probabilities = np.full((7, 7), 1 / 7)
    metrics = classification_metrics(probabilities, np.arange(7), tuple("abcdefg"))
    assert (metrics["top1"], metrics["top5"]) == (1 / 7, 5 / 7)


def test_wilson_interval_of_a_textbook():
    # 15 of 20: Newcombe 1998 gives 0.5313 to 0.8881.
    assert wilson_interval(15, 20) == pytest.approx([0.5313, 0.8881], abs=1e-4)
