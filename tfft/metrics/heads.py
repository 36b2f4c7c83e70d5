"""The metrics of a head by its kind, and their names."""

from typing import Any

import numpy as np

from tfft.metrics.boxes import box_metrics
from tfft.metrics.classification import classification_metrics
from tfft.metrics.multi_label import multi_label_metrics
from tfft.metrics.regression import regression_metrics
from tfft.runtime.info import HeadInfo

# What metrics of all kinds of heads are called where a person reads them, in the order in which
# they are shown.
METRIC_NAMES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_class_accuracy": "mean per-class accuracy",
    "ece": "expected calibration error",
    "mean_iou": "mean IoU",
    "iou_0.5": "share with IoU ≥ 0.5",
    "iou_0.75": "share with IoU ≥ 0.75",
    "f1": "F1 of an image",
    "exact": "all labels right",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "map": "mean average precision",
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "r2": "R²",
    "loss": "loss",
}


def head_metrics(head: HeadInfo, answers: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """Returns the metrics of one head.

    Args:
        head: Kind of the head and names of its classes.
        answers: Answers of the head, as `Predictor.answers` gives them.
        targets: Targets, as `tfft.evaluation.data.targets_of_model` gives them; NaN where one is
            missing.
    """
    if head.kind == "classification":
        return classification_metrics(answers, targets, head.class_names)
    if head.kind == "multi_label":
        return multi_label_metrics(answers, targets, head.class_names, head.thresholds)
    known = np.isfinite(targets).all(axis=1)
    if head.kind == "box":
        return box_metrics(answers[known], targets[known])
    return regression_metrics(answers[known, 0], targets[known, 0])


def main_metric(head: HeadInfo, metrics: dict[str, Any]) -> tuple[str, float | None]:
    """Returns name and value of the metric that a head is judged by; None without targets."""
    names = {"classification": "top1", "multi_label": "f1", "regression": "mae", "box": "mean_iou"}
    name = names[head.kind]
    return name, metrics[name]
