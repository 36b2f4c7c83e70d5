"""Each kind of head has its figures, and one by which it is judged."""

import numpy as np
import pytest

from tfft.metrics.heads import head_metrics, main_metric
from tfft.runtime.info import HeadInfo

_MISSING = float("nan")
_HEADS = {
    "classification": HeadInfo("classification", ("a", "b"), "label"),
    "multi_label": HeadInfo("multi_label", ("a", "b"), "tags"),
    "regression": HeadInfo("regression", (), "age"),
    "box": HeadInfo("box", (), "box"),
}


@pytest.mark.parametrize(
    ("kind", "answers", "targets", "expected"),
    [
        ("classification", [[0.9, 0.1], [0.4, 0.6]], [0, 0], ("top1", 0.5)),
        ("multi_label", [[0.9, 0.1], [0.4, 0.6]], [[1, 0], [1, 1]], ("f1", (1 + 2 / 3) / 2)),
        ("regression", [[1], [2]], [[2], [5]], ("mae", 2)),
        ("box", [[0, 0, 1, 1], [0, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, 1, 0.5]], ("mean_iou", 0.75)),
    ],
)
def test_the_figure_of_each_kind(kind: str, answers: list, targets: list, expected: tuple):
    head = _HEADS[kind]
    dtype = int if kind == "classification" else np.float32
    metrics = head_metrics(head, np.array(answers, np.float32), np.array(targets, dtype))
    assert main_metric(head, metrics) == (expected[0], pytest.approx(expected[1]))


def test_a_number_that_is_missing_counts_for_nothing():
    answers = np.array([[1.0], [100.0], [2.0]], np.float32)
    targets = np.array([[2.0], [_MISSING], [2.0]], np.float32)
    metrics = head_metrics(_HEADS["regression"], answers, targets)
    assert (metrics["mae"], metrics["examples"]) == (0.5, 2)


def test_a_box_that_is_missing_counts_for_nothing():
    answers = np.tile(np.array([0, 0, 1, 1], np.float32), (2, 1))
    targets = np.array([[0, 0, 0.5, 0.5], [_MISSING] * 4], np.float32)
    metrics = head_metrics(_HEADS["box"], answers, targets)
    assert (metrics["mean_iou"], metrics["examples"]) == (0.25, 1)


@pytest.mark.parametrize(("kind", "width"), [("regression", 1), ("box", 4)])
def test_where_all_are_missing_the_figure_is_too(kind: str, width: int):
    answers, targets = np.zeros((3, width), np.float32), np.full((3, width), np.nan, np.float32)
    name, value = main_metric(_HEADS[kind], head_metrics(_HEADS[kind], answers, targets))
    assert name in ("mae", "mean_iou") and value is None
