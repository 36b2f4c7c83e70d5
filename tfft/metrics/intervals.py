"""How sure a figure is: over the images it was measured on, and over seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_RESAMPLES = 10_000
# Values drawn at a time, so that memory does not grow with the number of images.
_CHUNK = 4_000_000


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: np.ndarray, *, confidence: float = 0.95, resamples: int = _RESAMPLES, seed: int = 0
) -> Interval:
    """Returns the mean over images and its percentile bootstrap interval.

    For the difference of two models on the same images, give the difference of each image: images
    are resampled, and with each both models' answers (a paired bootstrap).

    Args:
        values: float [images], such as 1 where an answer is right, or a mean of that over seeds.
        confidence: of the interval.
        resamples: number of resampled sets.
        seed: of the resampling.

    Source: Efron and Tibshirani 1993, as in scipy.stats.bootstrap with method="percentile".
    """
    values = np.asarray(values, np.float64)
    generator = np.random.default_rng(seed)
    # What an image counts depends on its value alone: few different values are drawn as counts.
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) <= 64:
        drawn = generator.multinomial(len(values), counts / len(values), resamples)
        means = drawn @ levels / len(values)
    else:
        rows = max(1, _CHUNK // len(values))
        means = np.concatenate(
            [
                values[generator.integers(0, len(values), (size, len(values)))].mean(axis=1)
                for size in _pieces(resamples, rows)
            ]
        )
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def seeds_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval | None:
    """Returns the mean over seeds and its interval by Student's t, or None for a single seed.

    Source: as in scipy.stats.ttest_1samp(values, 0).confidence_interval().
    """
    if len(values) < 2:
        return None
    from scipy.stats import t as student_t

    mean = statistics.mean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = float(student_t.ppf(0.5 + confidence / 2.0, len(values) - 1)) * error
    return Interval(mean, mean - half, mean + half)


def _pieces(total: int, most: int) -> list[int]:
    return [min(most, total - start) for start in range(0, total, most)]
