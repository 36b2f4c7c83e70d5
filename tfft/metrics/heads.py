"""The figures of a head by its kind, as JSON values."""

from typing import Any

import numpy as np

from tfft.metrics.boxes import box_metrics
from tfft.metrics.classification import classification_metrics
from tfft.metrics.multi_label import multi_label_metrics
from tfft.metrics.regression import regression_metrics
from tfft.runtime.info import HeadInfo


def head_metrics(head: HeadInfo, answers: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """Returns the figures of one head.

    Args:
        head: its kind and the names of its classes.
        answers: as `Predictor.answers` gives them.
        targets: as `tfft.evaluation.data.targets_of_model` gives them; NaN where one is missing.
    """
    if head.kind == "classification":
        return classification_metrics(answers, targets, head.class_names)
    if head.kind == "multi_label":
        return multi_label_metrics(answers, targets, head.class_names)
    known = np.isfinite(targets).all(axis=1)
    if head.kind == "box":
        return box_metrics(answers[known], targets[known])
    return regression_metrics(answers[known, 0], targets[known, 0])


def main_figure(head: HeadInfo, metrics: dict[str, Any]) -> tuple[str, float | None]:
    """Returns name and value of the figure by which a head is judged; None without targets."""
    names = {"classification": "top1", "multi_label": "f1", "regression": "mae", "box": "mean_iou"}
    name = names[head.kind]
    return name, metrics[name]
