"""One class or label against all others at every threshold, and the threshold that reaches a goal.

An example is said to be of the class where its score is above the threshold. Examples of equal
scores are always on the same side of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.metrics.intervals import Interval, wilson_interval
from tfft.runtime.info import Goal

# A share of examples that is this close to a goal reaches it: 19 of 20 is 0.95.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """What each threshold gives, from the highest score to the lowest.

    Attributes:
        scores: Scores that differ, falling, float [n]; examples from this score on are said to be
            of the class.
        true_positives: Number of these that are of the class, int [n].
        false_positives: Number of these that are not, int [n].
    """

    scores: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray

    @property
    def positives(self) -> int:
        """Number of examples of the class."""
        return int(self.true_positives[-1])

    @property
    def negatives(self) -> int:
        """Number of the other examples."""
        return int(self.false_positives[-1])

    @property
    def precision(self) -> np.ndarray:
        """Share of the examples said to be of the class that are, float [n]."""
        return self.true_positives / (self.true_positives + self.false_positives)

    @property
    def recall(self) -> np.ndarray:
        """Share of the examples of the class that are said to be, float [n]; NaN without any."""
        return _shares(self.true_positives, self.positives)

    @property
    def false_positive_rate(self) -> np.ndarray:
        """Share of the other examples said to be of the class, float [n]; NaN without any."""
        return _shares(self.false_positives, self.negatives)

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve; None without examples of the class, or without others.

        It is the probability that an example of the class has a higher score than another one, half
        of it where both are equal.

        Source: Hanley, McNeil 1982, "The Meaning and Use of the Area under a Receiver Operating
        Characteristic (ROC) Curve".
        """
        if not (self.positives and self.negatives):
            return None
        heights = self.true_positives - np.diff(self.true_positives, prepend=0) / 2
        area = float(np.diff(self.false_positives, prepend=0) @ heights)
        return area / (self.positives * self.negatives)

    @property
    def average_precision(self) -> float | None:
        """Precision at each score, weighted by the growth of recall; None without examples."""
        if not self.positives:
            return None
        return float(np.diff(self.true_positives, prepend=0) @ self.precision / self.positives)

    def threshold(self, position: int) -> float:
        """Returns a threshold just below a score: halfway to the next lower one, or to 0.

        Scores of another form of the model, which differ by rounding, are on the same side of it.
        """
        score, *lower = self.scores[position : position + 2]
        below = float(lower[0]) if lower else 0.0
        halfway = (float(score) + below) / 2
        return halfway if score.dtype.type(halfway) < score else below

    def reaching(self, goal: Goal, at_least: float) -> int | None:
        """Returns the best position that reaches a goal; None where none does.

        Of those with the precision asked for it has the highest recall, of those with the recall
        asked for the highest precision; of equally good ones the one that is better in the other.
        A score of 0 is above no threshold.

        Args:
            goal: What has to be reached.
            at_least: Share that it has to reach, 0..1.
        """
        if not self.positives:
            return None
        reached = {"precision": self.precision, "recall": self.recall}[goal]
        others = self.recall if goal == "precision" else self.precision
        usable = np.flatnonzero((reached >= at_least - _ROUNDING) & (self.scores > 0))
        if not len(usable):
            return None
        return int(max(usable, key=lambda k: (others[k], reached[k])))

    def best(self, goal: Goal) -> int:
        """Returns the position with the most of what is asked for."""
        values = {"precision": self.precision, "recall": self.recall}[goal]
        return int(np.where(self.scores > 0, values, -1.0).argmax())

    def to_json(self) -> dict[str, Any]:
        """Returns the curve as lists of equal length, as ``tfft evaluate --class`` prints it."""
        false_positive_rate = self.false_positive_rate.tolist() if self.negatives else None
        return {
            "examples": self.positives,
            "auc": self.auc,
            "average_precision": self.average_precision,
            "score": self.scores.tolist(),
            "true_positives": self.true_positives.tolist(),
            "false_positives": self.false_positives.tolist(),
            "precision": self.precision.tolist(),
            "recall": self.recall.tolist() if self.positives else None,
            "false_positive_rate": false_positive_rate,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ThresholdCurve":
        """Returns the curve from what `to_json` gave."""
        return cls(
            np.array(values["score"], np.float32),
            np.array(values["true_positives"]),
            np.array(values["false_positives"]),
        )


@dataclass(frozen=True)
class AtThreshold:
    """What one threshold gives on some examples.

    Attributes:
        threshold: Score above which an example is said to be of the class.
        examples: Number of examples of the class.
        said: Number of examples said to be of the class.
        precision: Share of these that are; None where there are none.
        precision_interval: 95 % Wilson interval of the precision.
        recall: Share of the examples of the class that are said to be; None without any.
        recall_interval: 95 % Wilson interval of the recall.
    """

    threshold: float
    examples: int
    said: int
    precision: float | None
    precision_interval: tuple[float, float] | None
    recall: float | None
    recall_interval: tuple[float, float] | None


def threshold_curve(truth: np.ndarray, scores: np.ndarray) -> ThresholdCurve:
    """Returns what each threshold gives, with one entry for examples of equal scores.

    Args:
        truth: Which examples are of the class, bool [examples], at least one example.
        scores: How strongly they are said to be, float [examples].
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    # A threshold lies between two scores that differ, and after the last one.
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(truth[order])[ends]
    return ThresholdCurve(ordered[ends], hits, ends + 1 - hits)


def at_threshold(truth: np.ndarray, scores: np.ndarray, threshold: float) -> AtThreshold:
    """Returns what one threshold gives.

    Args:
        truth: Which examples are of the class, bool [examples].
        scores: How strongly they are said to be, float [examples].
        threshold: Score above which they are said to be.
    """
    said = scores > scores.dtype.type(threshold)
    right, positives, count = int((truth & said).sum()), int(truth.sum()), int(said.sum())
    return AtThreshold(
        threshold=threshold,
        examples=positives,
        said=count,
        precision=right / count if count else None,
        precision_interval=_interval(right, count),
        recall=right / positives if positives else None,
        recall_interval=_interval(right, positives),
    )


def _shares(counts: np.ndarray, of: int) -> np.ndarray:
    return counts / of if of else np.full(len(counts), np.nan)


def _interval(count: int, of: int) -> Interval | None:
    return wilson_interval(count, of) if of else None
