"""Figures of sets of labels, against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from tfft.metrics.multi_label import best_thresholds, multi_label_metrics
from tfft.runtime.info import HeadInfo

_NAMES = ("wet", "old", "big", "red")


@pytest.fixture(scope="module")
def many() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of 200 images: some have no label, for some none is predicted."""
    generator = np.random.default_rng(0)
    labels = (generator.random((200, 4)) < [0.1, 0.3, 0.5, 0.7]).astype(np.float32)
    guesses = 0.45 * labels + 0.55 * generator.random((200, 4))
    labels[:5] = 0
    guesses[:3] *= 0.2
    return guesses.astype(np.float32), labels


def test_every_figure_is_scikit_learns(many: tuple[np.ndarray, np.ndarray]):
    probabilities, labels = many
    predicted = probabilities > 0.5
    metrics = multi_label_metrics(probabilities, labels, _NAMES)
    samples = f1_score(labels, predicted, average="samples", zero_division=1.0)
    assert metrics["f1"] == pytest.approx(samples)
    assert metrics["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert metrics["map"] == pytest.approx(average_precision_score(labels, probabilities))
    losses = [log_loss(labels[:, k], probabilities[:, k].astype(np.float64)) for k in range(4)]
    assert metrics["loss"] == pytest.approx(np.mean(losses))
    assert metrics["exact"] == pytest.approx(accuracy_score(labels, predicted))


@pytest.mark.parametrize("thresholds", [(), (0.2, 0.6, 0.5, 0.3)])
def test_each_label_has_its_figures(many: tuple[np.ndarray, np.ndarray], thresholds):
    probabilities, labels = many
    rows = multi_label_metrics(probabilities, labels, _NAMES, thresholds)["per_label"]
    for k, row in enumerate(rows):
        truth, said = labels[:, k], probabilities[:, k]
        applies = said > (thresholds[k] if thresholds else 0.5)
        assert row == {
            "label": _NAMES[k],
            "examples": int(truth.sum()),
            "threshold": pytest.approx(thresholds[k] if thresholds else 0.5),
            "precision": pytest.approx(precision_score(truth, applies)),
            "recall": pytest.approx(recall_score(truth, applies)),
            "f1": pytest.approx(f1_score(truth, applies)),
            "auc": pytest.approx(roc_auc_score(truth, said)),
            "average_precision": pytest.approx(average_precision_score(truth, said)),
        }


def test_the_means_are_over_labels(many: tuple[np.ndarray, np.ndarray]):
    probabilities, labels = many
    metrics = multi_label_metrics(probabilities, labels, _NAMES, (0.2, 0.6, 0.5, 0.3))
    applies = probabilities > np.float32([0.2, 0.6, 0.5, 0.3])
    assert metrics["macro_precision"] == pytest.approx(
        precision_score(labels, applies, average="macro")
    )
    assert metrics["macro_recall"] == pytest.approx(recall_score(labels, applies, average="macro"))
    assert metrics["macro_auc"] == pytest.approx(roc_auc_score(labels, probabilities))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=20, max_size=80))
def test_the_threshold_of_a_label_has_the_highest_f1_of_all(images: list[tuple[bool, int]]):
    truth = np.array([[float(label)] for label, _ in images])
    said = np.array([[score / 7 + 0.1] for _, score in images], np.float32)
    (found,) = best_thresholds(said, truth)

    def f1(threshold: float) -> float:
        return float(f1_score(truth[:, 0], said[:, 0] > threshold, zero_division=0.0))

    positives = int(truth.sum())
    if min(positives, len(images) - positives) < 10:
        assert found == 0.5
        return
    between = np.unique(said)
    between = (between[1:] + between[:-1]) / 2
    if len(between):
        assert f1(found) == pytest.approx(max(map(f1, between)))


def test_of_equally_good_thresholds_the_one_nearest_to_one_half_is_taken():
    truth = np.repeat([[1.0], [0.0]], 10, axis=0)
    assert best_thresholds(np.repeat([[0.9], [0.2]], 10, axis=0), truth) == pytest.approx((0.55,))
    assert best_thresholds(np.repeat([[0.3], [0.1]], 10, axis=0), truth) == pytest.approx((0.2,))


def test_thresholds_are_those_of_the_labels():
    with pytest.raises(ValueError, match="2 thresholds are not those of 3 labels"):
        HeadInfo("multi_label", ("a", "b", "c"), "tags", thresholds=(0.1, 0.2))


def test_by_hand():
    probabilities = np.array([[0.9, 0.8, 0.1], [0.2, 0.6, 0.3], [0.4, 0.1, 0.2]])
    labels = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    metrics = multi_label_metrics(probabilities, labels, ("a", "b", "c"))
    assert metrics["f1"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert metrics["exact"] == pytest.approx(2 / 3)
    assert metrics["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert metrics["map"] == pytest.approx((1 + 1 / 2) / 2)  # c does not occur


def test_a_label_that_does_not_occur_has_no_figures():
    probabilities = np.array([[0.9, 0.8], [0.2, 0.6]])
    metrics = multi_label_metrics(probabilities, np.array([[1.0, 0.0], [0.0, 0.0]]), ("a", "b"))
    assert metrics["per_label"][1] == {
        "label": "b",
        "examples": 0,
        "threshold": 0.5,
        **dict.fromkeys(("precision", "recall", "f1", "auc", "average_precision")),
    } | {"precision": 0.0}
    assert metrics["macro_f1"] == metrics["map"] == 1.0


def test_images_without_any_label_can_be_right():
    metrics = multi_label_metrics(np.full((3, 2), 0.1), np.zeros((3, 2)), ("a", "b"))
    assert (metrics["f1"], metrics["exact"]) == (1.0, 1.0)
    assert metrics["macro_f1"] is metrics["map"] is None


def test_one_label_alone_is_a_set_too():
    probabilities, labels = np.array([[0.9], [0.6], [0.2]]), np.array([[1.0], [0.0], [0.0]])
    metrics = multi_label_metrics(probabilities, labels, ("a",))
    assert metrics["f1"] == pytest.approx(2 / 3)
    assert metrics["macro_f1"] == pytest.approx(2 / 3)
    assert metrics["map"] == 1.0


def test_the_loss_of_a_certain_error_is_finite():
    metrics = multi_label_metrics(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), ("a", "b"))
    assert metrics["loss"] == pytest.approx(-np.log(1e-7), rel=1e-6)
