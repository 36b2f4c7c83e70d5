"""The metrics of a head by its kind, and their names."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tfft.metrics.boxes import box_metrics
from tfft.metrics.classification import classification_metrics
from tfft.metrics.multi_label import ONE_HALF, multi_label_metrics
from tfft.metrics.regression import regression_metrics
from tfft.metrics.threshold_curves import ThresholdCurve, at_threshold, threshold_curve
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


def head_metrics(
    head: HeadInfo, answers: np.ndarray, targets: np.ndarray, curves_of: Sequence[str] = ()
) -> dict[str, Any]:
    """Returns the metrics of one head.

    Args:
        head: Kind of the head and names of its classes.
        answers: Answers of the head, as `Predictor.answers` gives them.
        targets: Targets, as `tfft.evaluation.data.targets_of_model` gives them; NaN where one is
            missing.
        curves_of: Classes or labels whose curves over all thresholds are wanted.

    Returns:
        The metrics of its kind; of a head for classes or labels also ``operating_points``, if it
        has any (each with what `AtThreshold` says), and ``curves`` by class, if any are wanted.
    """
    if head.kind in ("box", "regression"):
        known = np.isfinite(targets).all(axis=1)
        if head.kind == "box":
            return box_metrics(answers[known], targets[known])
        return regression_metrics(answers[known, 0], targets[known, 0])
    if head.kind == "classification":
        metrics = classification_metrics(answers, targets, head.class_names)
    else:
        limits = [head.threshold(k) for k in range(len(head.class_names))]
        metrics = multi_label_metrics(answers, targets, head.class_names, limits)
    if head.operating_points:
        metrics["operating_points"] = []
        for point in head.operating_points:
            truth, scores = _against_rest(head, answers, targets, point.label)
            found = asdict(at_threshold(truth, scores, point.threshold))
            asked = {"label": point.label, "goal": point.goal, "at_least": point.at_least}
            metrics["operating_points"].append(asked | found)
    if curves_of:
        metrics["curves"] = {
            label: class_curve(head, answers, targets, label).to_json() for label in curves_of
        }
    return metrics


def class_curve(
    head: HeadInfo, answers: np.ndarray, targets: np.ndarray, label: str
) -> ThresholdCurve:
    """Returns what each threshold of a class or label gives, on at least one example."""
    return threshold_curve(*_against_rest(head, answers, targets, label))


def _against_rest(
    head: HeadInfo, answers: np.ndarray, targets: np.ndarray, label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which examples are of a class, bool [examples], and their scores for it."""
    k = head.class_names.index(label)
    return targets == k if targets.ndim == 1 else targets[:, k] > ONE_HALF, answers[:, k]


def main_metric(head: HeadInfo, metrics: dict[str, Any]) -> tuple[str, float | None]:
    """Returns name and value of the metric that a head is judged by; None without targets."""
    names = {"classification": "top1", "multi_label": "f1", "regression": "mae", "box": "mean_iou"}
    name = names[head.kind]
    return name, metrics[name]
