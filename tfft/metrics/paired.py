"""Whether two models, or two ways of training, really differ on one test set."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.metrics.intervals import Interval


@dataclass(frozen=True)
class Difference:
    """The accuracy of one way of training minus that of another, on the same images.

    Attributes:
        mean: Mean difference over images and seeds.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        p_value: Two-sided p-value of there being no difference.
        over_seeds: Whether the interval allows for other seeds, which would give other models; with
            a single seed it is about these two models and other images alone.
    """

    mean: float
    low: float
    high: float
    p_value: float
    over_seeds: bool


def mcnemar(right: np.ndarray, other_right: np.ndarray) -> float:
    """Returns the p-value of McNemar's exact test that two models are equally often right.

    Args:
        right: Where the one model is right, bool [images].
        other_right: Where the other model is right on the same images, bool [images].

    Source: McNemar 1947; for two classifiers on one test set Dietterich 1998, exact by the binomial
    distribution, two-sided.
    """
    from scipy.stats import binomtest

    only_one = int((right & ~other_right).sum())
    only_other = int((other_right & ~right).sum())
    if only_one + only_other == 0:
        return 1.0
    return float(binomtest(only_one, only_one + only_other).pvalue)


def paired_interval(only_one: int, only_other: int, images: int) -> Interval:
    """Returns the 95 % interval of the difference in accuracy of two models on the same images.

    It is Tango's score interval, made wider where the exact one, given how many images only one
    model gets right, is wider: it contains no difference exactly where `mcnemar` is above 0.05.

    Args:
        only_one: Number of images that only the one model gets right.
        only_other: Number of images that only the other model gets right.
        images: Number of all images.

    Returns:
        The ends of the interval of the one model's accuracy minus the other's, in -1..1.

    Source: Tango 1998, "Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design"; the exact interval as of a binomial share, Clopper and Pearson
    1934.
    """
    from scipy.stats import beta

    apart = only_one + only_other
    low, high = (_score_end(only_one, only_other, images, side) for side in (-1, 1))
    if apart:
        smallest = beta.ppf(0.025, only_one, only_other + 1) if only_one else 0.0
        largest = beta.ppf(0.975, only_one + 1, only_other) if only_other else 1.0
        low = min(low, float(2.0 * smallest - 1.0) * apart / images)
        high = max(high, float(2.0 * largest - 1.0) * apart / images)
    return Interval(low, high)


def _score_end(only_one: int, only_other: int, images: int, side: int) -> float:
    """Returns the end of Tango's interval: the difference that is just not rejected at 5 %."""
    from scipy.optimize import brentq

    z = statistics.NormalDist().inv_cdf(0.975)
    apart, mean = only_one + only_other, (only_one - only_other) / images
    if not apart:
        return side * z * z / (images + z * z)

    def excess(difference: float) -> float:
        a, b = 2 * images, (2 * images - only_one + only_other) * difference - apart
        c = -only_other * difference * (1.0 - difference)
        share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = images * (2 * share + difference * (1.0 - difference))
        return side * images * (difference - mean) - z * math.sqrt(max(variance, 0.0))

    end: Any = brentq(excess, mean, float(side)) if excess(float(side)) > 0 else side
    return float(end)


def mcnemar_over_seeds(right: np.ndarray, other_right: np.ndarray) -> float:
    """Returns one p-value of McNemar's exact test on the pairs of models of the same seeds.

    The p-values of the pairs depend on each other, since the images are the same; twice their
    median keeps the level, whatever the dependence.

    Args:
        right: Where the models of the one way are right, bool [seeds, images].
        other_right: Where those of the other way are right, bool [seeds, images]; the rows have the
            same seeds.

    Source: twice the median, Rüger 1978; for p-values from several splits, Meinshausen, Meier and
    Bühlmann 2009.
    """
    values = [mcnemar(one, other) for one, other in zip(right, other_right, strict=True)]
    return values[0] if len(values) == 1 else min(1.0, 2.0 * statistics.median(values))


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values in the same order, corrected for their number (family-wise error).

    Source: Holm 1979.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def accuracy_difference(right: np.ndarray, other_right: np.ndarray) -> Difference:
    """Returns the difference between two ways of training, with its uncertainty.

    The variance of the mean difference has a part from the images, which both sides share, a part
    from the seeds, which each side has of its own, and their interaction; all are estimated from
    the table of images and seeds. Where one side has a single seed, its seeds are assumed to vary
    as the other side's do. Where both have a single seed, McNemar's exact test says whether these
    two models differ, and the interval is over images alone.

    Args:
        right: Where the models of the one way are right, bool [seeds, images].
        other_right: Where those of the other way are right on the same images, bool [other seeds,
            images].

    Source: analysis of variance of readers and cases, Dorfman, Berbaum and Metz 1992, seeds in
    place of readers, with the degrees of freedom of Satterthwaite 1946.
    """
    from scipy.stats import t as student_t

    right, other_right = np.asarray(right, np.float64), np.asarray(other_right, np.float64)
    by_image = right.mean(axis=0) - other_right.mean(axis=0)
    mean, images = float(by_image.mean()), len(by_image)
    of_images = float(by_image.var(ddof=1)) / images if images > 1 else 0.0
    parts = _parts(right, other_right)
    if not parts:
        half = float(student_t.ppf(0.975, max(images - 1, 1))) * math.sqrt(of_images)
        p_value = mcnemar(right[0] > 0, other_right[0] > 0)
        return Difference(mean, mean - half, mean + half, p_value, False)
    of_seeds = sum(part.of_seeds for part in parts)
    interaction = sum(part.interaction for part in parts)
    # The interaction is in both parts and counts once; an estimate below the larger part is noise.
    variance = max(of_seeds + of_images - interaction, of_seeds, of_images)
    if variance == 0.0:
        return Difference(mean, mean, mean, 1.0 if mean == 0.0 else 0.0, True)
    squares = sum(part.of_seeds**2 / part.freedom for part in parts)
    squares += of_images**2 / max(images - 1, 1)
    freedom = max(variance**2 / squares, min(part.freedom for part in parts))
    error = math.sqrt(variance)
    half = float(student_t.ppf(0.975, freedom)) * error
    p_value = float(2.0 * student_t.sf(abs(mean) / error, freedom))
    return Difference(mean, mean - half, mean + half, p_value, True)


@dataclass(frozen=True)
class _SeedParts:
    """The variance of one side's mean from its seeds, and from seeds by images."""

    of_seeds: float
    interaction: float
    freedom: int


def _parts(right: np.ndarray, other_right: np.ndarray) -> list[_SeedParts]:
    """Returns the parts of both sides; none if neither has several seeds."""
    sides = (right, other_right)
    found = [_seed_parts(answers) if len(answers) > 1 else None for answers in sides]
    known = [part for part in found if part is not None]
    if len(known) == 1:
        (part,) = known
        seeds = part.freedom + 1
        known.append(_SeedParts(part.of_seeds * seeds, part.interaction * seeds, part.freedom))
    return known


def _seed_parts(answers: np.ndarray) -> _SeedParts:
    seeds, images = answers.shape
    by_seed = answers.mean(axis=1)
    residuals = answers - by_seed[:, None] - answers.mean(axis=0)[None, :] + answers.mean()
    freedom = (seeds - 1) * max(images - 1, 1)
    interaction = float((residuals**2).sum()) / freedom / (seeds * images)
    return _SeedParts(float(by_seed.var(ddof=1)) / seeds, interaction, seeds - 1)
