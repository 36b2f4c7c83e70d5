"""How sure a metric is: over the images it was measured on, and over seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_RESAMPLES = 10_000
# Values drawn at a time, so that memory does not grow with the number of images.
_CHUNK = 4_000_000


class Interval(NamedTuple):
    """The ends of a confidence interval; JSON writes it as a list of both."""

    low: float
    high: float


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Returns the Wilson score interval of a proportion.

    Source: Wilson 1927, as in scipy.stats.binomtest, whose import takes as long as 100 images.
    """
    z = statistics.NormalDist().inv_cdf(0.5 + 0.5 * confidence)
    share, whole = successes / trials, 2 * (trials + z**2)
    centre = (2 * trials * share + z**2) / whole
    half = z / whole * math.sqrt(4 * trials * share * (1 - share) + z**2)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Interval(low, high)


def mean_interval(values: np.ndarray) -> Interval | None:
    """Returns the 95 % interval of a mean by the normal approximation; None for fewer than two."""
    if len(values) < 2:
        return None
    half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values))
    mean = float(values.mean())
    return Interval(mean - half, mean + half)


def bootstrap_interval(
    values: np.ndarray, *, confidence: float = 0.95, resamples: int = _RESAMPLES, seed: int = 0
) -> Interval:
    """Returns the percentile bootstrap interval of a mean over images.

    For the difference of two models on the same images, give the difference of each image: images
    are resampled, and with each both models' answers (a paired bootstrap).

    Args:
        values: One value for each image, float [images]: 1 where an answer is right, for example,
            or the mean of that over seeds.
        confidence: Probability that the interval covers the mean, 0..1.
        resamples: Number of resampled sets.
        seed: Seed of the resampling.

    Source: Efron and Tibshirani 1993, as in scipy.stats.bootstrap with method="percentile".
    """
    values = np.asarray(values, np.float64)
    generator = np.random.default_rng(seed)
    # Only the values matter, not which image has them: where few differ, their counts are drawn.
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) <= 64:
        drawn = generator.multinomial(len(values), counts / len(values), resamples)
        means = drawn @ levels / len(values)
    else:
        rows = max(1, _CHUNK // len(values))
        sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
        means = np.concatenate(
            [
                values[generator.integers(0, len(values), (size, len(values)))].mean(axis=1)
                for size in sizes
            ]
        )
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(low), float(high))


def seeds_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval | None:
    """Returns the interval of a mean over seeds by Student's t, or None for a single seed.

    Source: as in scipy.stats.ttest_1samp(values, 0).confidence_interval().
    """
    if len(values) < 2:
        return None
    from scipy.stats import t as student_t

    mean = statistics.mean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = float(student_t.ppf(0.5 + confidence / 2.0, len(values) - 1)) * error
    return Interval(mean - half, mean + half)
