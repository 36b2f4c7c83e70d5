"""Likely wrong labels: where the answers of heads that did not see a label contradict it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """What confident learning says of the labels of N examples.

    Attributes:
        suspects: Positions of examples whose label is likely wrong, int64, the likeliest first.
        suggested: Class that each suspect more likely has, int64 [suspects].
        joint: Estimated number of examples by their label and their true class, float64
            [classes, classes]; the sum of each row is the number of examples with that label.
    """

    suspects: np.ndarray
    suggested: np.ndarray
    joint: np.ndarray

    @property
    def expected(self) -> float:
        """The estimated number of wrong labels."""
        return float(self.joint.sum() - np.trace(self.joint))


def find_label_errors(probabilities: np.ndarray, labels: np.ndarray) -> LabelErrors:
    """Finds the labels that out-of-fold answers contradict with confidence.

    An example counts for a class if the probability of that class is at least as high as it is on
    the average where the class is the label; if several classes are so probable, for the most
    probable one. Counts by label and this class, scaled to the number of examples of each label,
    estimate how labels and true classes occur together. Suspects are those that count for another
    class than their label, and whose most probable class that is.

    Args:
        probabilities: Out-of-fold probabilities, float [N, classes].
        labels: Class that each example is labelled with, int64 [N].

    Source: Northcutt, Jiang, Chuang 2021, "Confident learning: estimating uncertainty in dataset
    labels" (the confident joint and its calibration).
    """
    examples, classes = probabilities.shape
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(examples), labels].astype(np.float64)
    sums = np.bincount(labels, own, minlength=classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    counted_for = np.where(confident.max(axis=1) >= 0.0, confident.argmax(axis=1), labels)
    joint = np.zeros((classes, classes))
    is_counted = confident.max(axis=1) >= 0.0
    np.add.at(joint, (labels[is_counted], counted_for[is_counted]), 1.0)
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1.0
    joint *= (counts / joint.sum(axis=1))[:, None]
    is_suspect = (counted_for != labels) & (counted_for == probabilities.argmax(axis=1))
    suspects = np.flatnonzero(is_suspect)
    order = _likeliest_first(own[suspects], probabilities.max(axis=1)[suspects])
    return LabelErrors(suspects[order], counted_for[suspects][order], joint)


def _likeliest_first(of_label: np.ndarray, of_other: np.ndarray) -> np.ndarray:
    """Returns the order by the probability of the label less that of the class in its place."""
    return np.argsort(of_label - of_other, kind="stable")
