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
    """Finds the labels that out-of-fold answers contradict, as many as are likely wrong.

    How many that are is estimated by confident learning. An example counts for a class if the
    probability of that class is at least as high as it is on the average where the class is the
    label; if several classes are so probable, for the most probable one. Counts by label and this
    class, scaled to the number of examples of each label, are the joint distribution of labels and
    true classes; what lies off its diagonal is wrong.

    Suspects are examples for which another class is more probable than their label. They are ranked
    by the probability of their label, and by what it lies below that of the other class; the sum of
    both ranks is their order.

    Args:
        probabilities: Out-of-fold probabilities, float [N, classes].
        labels: Class that each example is labelled with, int64 [N].

    Source: Northcutt, Jiang, Chuang 2021, "Confident learning: estimating uncertainty in dataset
    labels" (the confident joint, its calibration, and both ranks).
    """
    joint = _joint(probabilities, labels)
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    above = probabilities.max(axis=1) - own
    doubted = np.flatnonzero(above > 0)
    ranks = [np.argsort(np.argsort(of, kind="stable")) for of in (own[doubted], -above[doubted])]
    order = doubted[np.argsort(ranks[0] + ranks[1], kind="stable")]
    suspects = order[: round(joint.sum() - np.trace(joint))]
    return LabelErrors(suspects, probabilities.argmax(axis=1)[suspects], joint)


def _joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the estimated number of examples by label and true class, float64."""
    examples, classes = probabilities.shape
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(examples), labels].astype(np.float64)
    sums = np.bincount(labels, own, minlength=classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    is_counted = confident.max(axis=1) >= 0.0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[is_counted], confident.argmax(axis=1)[is_counted]), 1.0)
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1.0
    joint *= (counts / joint.sum(axis=1))[:, None]
    return joint
