"""Whether a classifier is right as often as its probabilities say: measured, and corrected."""

from dataclasses import dataclass

import numpy as np

ECE_BINS = 15
# The temperature is searched for between these, both far outside what networks need.
_TEMPERATURES = (0.02, 50.0)
_SMALLEST = 1e-38


@dataclass(frozen=True)
class Bin:
    """The examples whose confidence lies in an interval (low, high].

    Attributes:
        low: Confidence at which the bin begins.
        high: Confidence at which the bin ends.
        examples: Number of examples in the bin.
        confidence: Mean of the examples' largest probabilities; None without examples.
        accuracy: Share of the examples that are right; None without examples.
    """

    low: float
    high: float
    examples: int
    confidence: float | None
    accuracy: float | None


def reliability_bins(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS
) -> tuple[Bin, ...]:
    """Returns what a reliability diagram shows: confidence and accuracy in bins of equal width.

    Args:
        probabilities: Predicted probabilities, float [examples, classes]; the largest of a row is
            its confidence.
        labels: True classes, int [examples].
        bins: Number of bins that (0, 1] is divided into.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    counts, confidences, right = _sums_by_bin(probabilities, labels, bins)
    return tuple(
        Bin(
            low=k / bins,
            high=(k + 1) / bins,
            examples=int(counts[k]),
            confidence=float(confidences[k] / counts[k]) if counts[k] else None,
            accuracy=float(right[k] / counts[k]) if counts[k] else None,
        )
        for k in range(bins)
    )


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS
) -> float:
    """Returns the mean distance between confidence and accuracy over bins of equal width.

    Args:
        probabilities: Predicted probabilities, float [examples, classes]; the largest of a row is
            its confidence.
        labels: True classes, int [examples].
        bins: Number of bins that (0, 1] is divided into.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    _, confidences, right = _sums_by_bin(probabilities, labels, bins)
    return float(np.abs(confidences - right).sum() / len(labels))


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean of -log of the true class's probability."""
    truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(truth, _SMALLEST)).mean())


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns softmax(logits / temperature) from softmax(logits), float64 [examples, classes]."""
    scaled = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    """Returns the temperature that makes the true classes most likely.

    The loss has one minimum in 1/temperature, which a bounded search finds. There is none where
    every answer is right (colder is always better) or the answers are no better than chance: None.

    Args:
        probabilities: Predicted probabilities of examples that the model was not trained on,
            float [examples, classes].
        labels: True classes, int [examples].

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
    """
    from scipy.optimize import minimize_scalar

    logs = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    rows = np.arange(len(labels))
    truth = logs[rows, labels]
    # The slope of the loss at the cold end, and at 1/temperature = 0.
    if (truth == logs.max(axis=1)).all() or truth.mean() <= logs.mean():
        return None

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        largest = scaled.max(axis=1)
        partition = largest + np.log(np.exp(scaled - largest[:, None]).sum(axis=1))
        return float((partition - scaled[rows, labels]).mean())

    found = minimize_scalar(
        loss, bounds=np.log(_TEMPERATURES), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def _sums_by_bin(
    probabilities: np.ndarray, labels: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns, for each bin, its examples, the sum of their confidences and how many are right."""
    confidences = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidences * bins).astype(int) - 1, 0, bins - 1)
    sums = [np.bincount(bin_of, weights, minlength=bins) for weights in (None, confidences, right)]
    return sums[0], sums[1], sums[2]
