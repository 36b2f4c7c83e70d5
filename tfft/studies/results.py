"""What the runs of a comparison reached and cost, and how certain their differences are."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfft.errors import DataError, UsageError
from tfft.metrics.commonest import CommonestClass
from tfft.metrics.intervals import (
    Interval,
    bootstrap_interval,
    seeds_interval,
    wilson_interval,
)
from tfft.metrics.paired import Difference, accuracy_difference, holm, mcnemar_over_seeds
from tfft.studies.arms import Arm, common_head
from tfft.studies.compare import Study
from tfft.studies.outcome import Outcome, read_outcome


@dataclass(frozen=True)
class Row:
    """One arm on one part of the data.

    Attributes:
        arm: Name of the arm.
        fraction: Share of the training images.
        scratch: Whether nothing is transferred.
        seeds: Number of runs.
        train_images: Number of images that each run was trained on.
        top1: Top-1 on the test images, mean over the runs.
        by_seed: Top-1 of each run.
        over_images: 95 % interval for these models, by bootstrap over test images.
        over_seeds: 95 % interval on these images, by Student's t over runs, cut to 0 to 1; None for
            one run.
        validation_top1: Best validation top-1, mean over the runs.
        seconds: Seconds a run took, wall clock, including its start and loading, mean over the
            runs. Features that another run has cached are not counted again.
        cpu_seconds: CPU seconds a run took, mean over the runs.
        seconds_to_target: Seconds of training until validation top-1 reaches the target, median of
            the runs that reach it; None if fewer than half do.
        images_seen: Number of images that went through training steps, mean over the runs.
        trainable_parameters: Trainable parameters, the largest number of any phase.
        peak_memory_mb: Peak resident memory in MB, the largest of the runs.
    """

    arm: str
    fraction: float
    scratch: bool
    seeds: int
    train_images: int
    top1: float
    by_seed: tuple[float, ...]
    over_images: Interval
    over_seeds: Interval | None
    validation_top1: float | None
    seconds: float | None
    cpu_seconds: float | None
    seconds_to_target: float | None
    images_seen: int
    trainable_parameters: int
    peak_memory_mb: int | None

    def to_json(self) -> dict[str, Any]:
        """Returns the row as JSON values."""
        over_seeds = list(self.over_seeds) if self.over_seeds else None
        return {**asdict(self), "over_images": list(self.over_images), "over_seeds": over_seeds}


@dataclass(frozen=True)
class Comparison:
    """An arm against another one on the same part of the data.

    Attributes:
        arm: Name of the arm that is compared.
        other: Name of the arm that it is compared with.
        fraction: Share of the training images.
        difference: Difference in top-1, `arm` minus `other`.
        p_corrected: P-value of the difference, corrected by Holm for the number of comparisons.
        mcnemar: P-value of McNemar's exact test on these models (twice the median over seeds),
            corrected by Holm too.
    """

    arm: str
    other: str
    fraction: float
    difference: Difference
    p_corrected: float
    mcnemar: float

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Results:
    """Everything that a comparison found.

    Attributes:
        head: Name of the head that was compared.
        test_images: Number of test images.
        target: Validation top-1 that `seconds_to_target` refers to, by fraction.
        rows: One row for each fraction and arm.
        with_scratch: Each arm against the first one from scratch; empty without such an arm.
        with_best: Each arm against the best of its fraction.
        commonest: What always answering with the commonest class reaches on the test images; None
            if the outcomes do not say.
    """

    head: str
    test_images: int
    target: dict[float, float | None]
    rows: tuple[Row, ...]
    with_scratch: tuple[Comparison, ...]
    with_best: tuple[Comparison, ...]
    commonest: CommonestClass | None = None

    def doubt(self, fraction: float) -> str:
        """Says that the best arm is no better than the commonest class; empty if it is."""
        best = max(row.top1 for row in self.at(fraction))
        return self.commonest.doubt(best) if self.commonest else ""

    @property
    def fractions(self) -> list[float]:
        return sorted({row.fraction for row in self.rows})

    def at(self, fraction: float) -> list[Row]:
        """Returns the rows of one part of the data."""
        return [row for row in self.rows if row.fraction == fraction]


@dataclass(frozen=True, eq=False)
class _Group:
    """The outcomes of one arm on one part of the data."""

    arm: Arm
    fraction: float
    outcomes: tuple[Outcome, ...]

    @property
    def right(self) -> np.ndarray:
        """Where each run is right, bool [runs, images]."""
        return np.stack([outcome.right for outcome in self.outcomes])

    def paired(self, other: "_Group") -> tuple[np.ndarray, np.ndarray]:
        """Where runs of this group and of the other one are right, bool [pairs, images] each.

        The runs of a pair have the same seed; groups that share no seed are paired in order.
        """
        own = {outcome.seed: outcome.right for outcome in self.outcomes}
        others = {outcome.seed: outcome.right for outcome in other.outcomes}
        common = sorted(own.keys() & others.keys())
        if not common:
            pairs = min(len(self.outcomes), len(other.outcomes))
            return self.right[:pairs], other.right[:pairs]
        return np.stack([own[s] for s in common]), np.stack([others[s] for s in common])


def collect(study: Study, target: float | None = None) -> Results:
    """Reads the finished runs of a study and returns what they show; see `summarize`.

    Raises:
        UsageError: No run is finished, or the arms have no classification head in common.
        DataError: The runs were not tested on the same images.
        ModelFileError: A file of a run is damaged.
    """
    finished = [cell for cell in study.cells if str(cell.run) not in study.failed]
    if not finished:
        reasons = "\n".join(dict.fromkeys(study.failed.values()))
        raise UsageError(f"no run of {study.path} finished:\n{reasons}")
    head = common_head(study.arms)
    return summarize(study.arms, head, [read_outcome(cell, head) for cell in finished], target)


def summarize(
    arms: Sequence[Arm], head: str, outcomes: Sequence[Outcome], target: float | None = None
) -> Results:
    """Returns what the outcomes of the runs of several arms show.

    Args:
        arms: The arms, in the order of the tables.
        head: Name of the head that is compared.
        outcomes: Outcomes of one or more runs.
        target: Validation top-1 for `seconds_to_target`. Default: for each fraction the highest
            value that every arm reaches.

    Raises:
        DataError: The runs were not tested on the same images.
    """
    _require_same_images(outcomes)
    groups = []
    for fraction in sorted({outcome.fraction for outcome in outcomes}):
        for arm in arms:
            found = [o for o in outcomes if (o.arm, o.fraction) == (arm.name, fraction)]
            if found:
                found.sort(key=lambda outcome: outcome.seed)
                groups.append(_Group(arm, fraction, tuple(found)))
    commonest, images = None, len(outcomes[0].right)
    if (right := outcomes[0].commonest) is not None:
        commonest = CommonestClass("", right / images, wilson_interval(right, images))
    targets = {g.fraction: target or _common_target(groups, g.fraction) for g in groups}
    return Results(
        head,
        images,
        targets,
        tuple(_row(group, targets[group.fraction]) for group in groups),
        tuple(c for fraction in targets for c in _with_scratch(groups, fraction)),
        tuple(c for fraction in targets for c in _with_best(groups, fraction)),
        commonest,
    )


def _require_same_images(outcomes: Sequence[Outcome]) -> None:
    first = outcomes[0]
    for other in outcomes:
        if other.images != first.images:
            raise DataError(
                f"{first.run} and {other.run} were not tested on the same images: "
                f"{len(first.right)} and {len(other.right)}. Compare runs on the same data."
            )


def _row(group: _Group, target: float | None) -> Row:
    outcomes, right = group.outcomes, group.right
    by_seed = right.mean(axis=1).tolist()
    over_seeds = seeds_interval(by_seed)
    if over_seeds is not None:  # of two runs it may be wider than a share can be
        over_seeds = Interval(max(over_seeds.low, 0.0), min(over_seeds.high, 1.0))
    validated = [o.validation_top1 for o in outcomes if o.validation_top1 is not None]
    memory = [o.peak_memory_mb for o in outcomes if o.peak_memory_mb is not None]
    return Row(
        arm=group.arm.name,
        fraction=group.fraction,
        scratch=group.arm.is_scratch,
        seeds=len(outcomes),
        train_images=outcomes[0].train_images,
        top1=float(np.mean(by_seed)),
        by_seed=tuple(by_seed),
        over_images=bootstrap_interval(right.mean(axis=0)),
        over_seeds=over_seeds,
        validation_top1=statistics.mean(validated) if validated else None,
        seconds=_mean(outcome.seconds for outcome in outcomes),
        cpu_seconds=_mean(outcome.cpu_seconds for outcome in outcomes),
        seconds_to_target=_seconds_to(outcomes, target),
        images_seen=round(statistics.mean(outcome.images_seen for outcome in outcomes)),
        trainable_parameters=max(outcome.trainable_parameters for outcome in outcomes),
        peak_memory_mb=max(memory, default=None),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.mean(known), 1) if known else None


def _common_target(groups: Sequence[_Group], fraction: float) -> float | None:
    """The highest validation top-1 that at least half of the runs of every arm reach."""
    best = []
    for group in (g for g in groups if g.fraction == fraction):
        found = [outcome.validation_top1 for outcome in group.outcomes]
        best.append(statistics.median_low([f for f in found if f is not None] or [0.0]))
    return min(best) or None


def _seconds_to(outcomes: Sequence[Outcome], target: float | None) -> float | None:
    """The median time of the runs that reach the target, if at least half do."""
    if target is None:
        return None
    noted = [o for o in outcomes if all(seconds is not None for seconds, _ in o.validated)]
    times = [outcome.seconds_to(target) for outcome in noted]
    known = [seconds for seconds in times if seconds is not None]
    return round(statistics.median(known), 1) if 2 * len(known) >= max(len(times), 1) else None


def _with_scratch(groups: Sequence[_Group], fraction: float) -> list[Comparison]:
    there = [group for group in groups if group.fraction == fraction]
    scratch = next((group for group in there if group.arm.is_scratch), None)
    if scratch is None:
        return []
    return _compared([(group, scratch) for group in there if not group.arm.is_scratch])


def _with_best(groups: Sequence[_Group], fraction: float) -> list[Comparison]:
    """Each arm against the best, corrected for all pairs: the same images told which is best."""
    there = [group for group in groups if group.fraction == fraction]
    best = max(there, key=lambda group: group.right.mean())
    pairs = [(one, other) for i, one in enumerate(there) for other in there[i + 1 :]]
    pairs = [(one, other) if other is best else (other, one) for one, other in pairs]
    compared = _compared(pairs)
    return [c for c, (_, other) in zip(compared, pairs, strict=True) if other is best]


def _compared(pairs: Sequence[tuple[_Group, _Group]]) -> list[Comparison]:
    differences = [accuracy_difference(one.right, other.right) for one, other in pairs]
    corrected = holm([difference.p_value for difference in differences])
    mcnemar = holm([mcnemar_over_seeds(*one.paired(other)) for one, other in pairs])
    return [
        Comparison(one.arm.name, other.arm.name, one.fraction, difference, p_value, models)
        for (one, other), difference, p_value, models in zip(
            pairs, differences, corrected, mcnemar, strict=True
        )
    ]
