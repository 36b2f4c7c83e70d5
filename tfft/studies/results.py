"""What the runs of a comparison reached and cost, and how sure their differences are."""

import csv
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.errors import DataError, UsageError
from tfft.evaluate.answers import Answers, load_answers
from tfft.metrics.intervals import Interval, bootstrap_interval, seeds_interval
from tfft.metrics.paired import Difference, accuracy_difference, holm, mcnemar_over_seeds
from tfft.studies.arms import Arm
from tfft.studies.compare import Cell, Study
from tfft.studies.process import COST_FILE
from tfft.system.files import read_json


@dataclass(frozen=True)
class Row:
    """One arm on one part of the data.

    Attributes:
        arm: its name; fraction: of the training images; scratch: nothing is transferred.
        seeds: number of runs; train_images: that each was trained on.
        top1: on the test images, mean over the runs.
        by_seed: top-1 of each run.
        over_images: 95 % interval by bootstrap over test images, of these models.
        over_seeds: 95 % interval by Student's t over runs, on these images, within 0 to 1; None for
            one run.
        validation_top1: mean over the runs.
        seconds: of a run, wall time with start and loading, mean; cpu_seconds: likewise. Features
            that another run has cached are not counted again.
        seconds_to_target: of training until validation top-1 is `target`, median of the runs that
            reach it; None if fewer than half do.
        images_seen: images that went through training steps, mean.
        trainable_parameters: most of any phase.
        peak_memory_mb: resident, largest of the runs.
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
        over_seeds = self.over_seeds and [self.over_seeds.low, self.over_seeds.high]
        over_images = [self.over_images.low, self.over_images.high]
        return {**asdict(self), "over_images": over_images, "over_seeds": over_seeds}


@dataclass(frozen=True)
class Comparison:
    """An arm against another one on the same part of the data.

    Attributes:
        arm: compared; other: with what.
        difference: of top-1, arm less other.
        p_corrected: its p-value, corrected by Holm for the number of comparisons.
        mcnemar: p-value of McNemar's exact test on these models (twice the median over seeds),
            corrected likewise.
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
        head: whose answers were compared; test_images: their number.
        target: validation top-1 that `seconds_to_target` is about, by fraction.
        rows: by fraction and arm.
        with_scratch: each arm against the first one from scratch; empty without such an arm.
        with_best: each arm against the best of its fraction.
    """

    head: str
    test_images: int
    target: dict[float, float | None]
    rows: tuple[Row, ...]
    with_scratch: tuple[Comparison, ...]
    with_best: tuple[Comparison, ...]

    @property
    def fractions(self) -> list[float]:
        return sorted({row.fraction for row in self.rows})

    def at(self, fraction: float) -> list[Row]:
        """Returns the rows of one part of the data."""
        return [row for row in self.rows if row.fraction == fraction]


@dataclass(frozen=True, eq=False)
class _Group:
    """The finished cells of one arm and fraction."""

    arm: Arm
    fraction: float
    cells: tuple[Cell, ...]
    right: np.ndarray


def collect(study: Study, target: float | None = None) -> Results:
    """Reads the finished runs of a study.

    Args:
        study: as `run_study` returned it.
        target: validation top-1 for `seconds_to_target`; default: for each fraction the highest
            that every arm reaches.

    Raises:
        UsageError: No run has a head for classes, or none is finished.
        DataError: The runs were not tested on the same images.
    """
    finished = [cell for cell in study.cells if str(cell.run) not in study.failed]
    if not finished:
        reasons = "\n".join(dict.fromkeys(study.failed.values()))
        raise UsageError(f"no run of {study.path} finished:\n{reasons}")
    head = _head(study.arms)
    answers = [load_answers(cell.run, "test") for cell in finished]
    _require_same_images(finished, answers, head)
    right = {cell.run: answer.right(head) for cell, answer in zip(finished, answers, strict=True)}
    groups = []
    for fraction in sorted({cell.fraction for cell in finished}):
        for arm in study.arms:
            cells = tuple(c for c in finished if (c.arm, c.fraction) == (arm.name, fraction))
            if cells:
                found = np.stack([right[cell.run] for cell in cells])
                groups.append(_Group(arm, fraction, cells, found))
    targets = {g.fraction: target or _common_target(groups, g.fraction, head) for g in groups}
    rows = tuple(_row(group, head, targets[group.fraction]) for group in groups)
    return Results(
        head,
        len(answers[0].ids),
        targets,
        rows,
        tuple(c for fraction in targets for c in _with_scratch(groups, fraction)),
        tuple(c for fraction in targets for c in _with_best(groups, fraction)),
    )


def _head(arms: Sequence[Arm]) -> str:
    """The first head for classes that all arms have."""
    for name in arms[0].recipe.heads:
        kinds = [getattr(arm.recipe.heads.get(name), "kind", None) for arm in arms]
        if set(kinds) == {"classification"}:
            return name
    raise UsageError(
        f"the arms have no head for classes in common, which is what is compared. "
        f"Received: {', '.join(arms[0].recipe.heads)} of {arms[0].name}"
    )


def _require_same_images(cells: Sequence[Cell], answers: Sequence[Answers], head: str) -> None:
    first = answers[0]
    for cell, other in zip(cells, answers, strict=True):
        if not (
            np.array_equal(first.ids, other.ids)
            and np.array_equal(first.targets[head], other.targets[head])
        ):
            raise DataError(
                f"{cells[0].run} and {cell.run} were not tested on the same images: "
                f"{len(first.ids)} and {len(other.ids)}. Compare runs on the same data."
            )


def _row(group: _Group, head: str, target: float | None) -> Row:
    by_seed = group.right.mean(axis=1).tolist()
    costs = [read_json(c.run / COST_FILE) for c in group.cells if (c.run / COST_FILE).is_file()]
    histories = [read_history(cell.run) for cell in group.cells]
    plans = [read_json(cell.run / "plan.json") for cell in group.cells]
    validated = [reached for rows in histories if (reached := _reached(rows, head)) is not None]
    images = plans[0]["images"]["train"]
    return Row(
        arm=group.arm.name,
        fraction=group.fraction,
        scratch=group.arm.is_scratch,
        seeds=len(group.cells),
        train_images=images,
        top1=float(np.mean(by_seed)),
        by_seed=tuple(by_seed),
        over_images=bootstrap_interval(group.right.mean(axis=0)),
        over_seeds=_of_shares(seeds_interval(by_seed)),
        validation_top1=statistics.mean(validated) if validated else None,
        seconds=_mean(costs, "seconds"),
        cpu_seconds=_mean(costs, "cpu_seconds"),
        seconds_to_target=_seconds_to(histories, head, target),
        images_seen=round(statistics.mean(_images_seen(rows, images) for rows in histories)),
        trainable_parameters=max(p["trained_parameters"] for plan in plans for p in plan["phases"]),
        peak_memory_mb=max((cost["peak_memory_mb"] for cost in costs), default=None),
    )


def _of_shares(interval: Interval | None) -> Interval | None:
    """The part of an interval that shares can be in: of two runs it may be wider than 0 to 1."""
    if interval is None:
        return None
    return Interval(interval.mean, max(interval.low, 0.0), min(interval.high, 1.0))


def _mean(costs: Sequence[dict[str, Any]], name: str) -> float | None:
    return round(statistics.mean(cost[name] for cost in costs), 1) if costs else None


def read_history(run: Path) -> list[dict[str, float]]:
    """Returns the rows of a run's ``history.csv`` with numbers; a figure that is missing is not."""
    with (run / "history.csv").open(encoding="utf-8", newline="") as stream:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(stream)]


def _reached(history: Sequence[dict[str, float]], head: str) -> float | None:
    """The best validation top-1 of a run."""
    return max((r[name] for r in history if (name := f"validation/{head}/top1") in r), default=None)


def _common_target(groups: Sequence[_Group], fraction: float, head: str) -> float | None:
    """The highest validation top-1 that at least half of the runs of every arm reach."""
    best = []
    for group in (g for g in groups if g.fraction == fraction):
        found = [_reached(read_history(cell.run), head) for cell in group.cells]
        best.append(statistics.median_low([f for f in found if f is not None] or [0.0]))
    return min(best) or None


def _seconds_to(
    histories: Sequence[Sequence[dict[str, float]]], head: str, target: float | None
) -> float | None:
    if target is None:
        return None
    name = f"validation/{head}/top1"
    times = [
        next((r["elapsed_seconds"] for r in rows if r.get(name, -1) >= target), None)
        for rows in histories
        if all("elapsed_seconds" in r for r in rows)
    ]
    known = [seconds for seconds in times if seconds is not None]
    return round(statistics.median(known), 1) if 2 * len(known) >= max(len(times), 1) else None


def _images_seen(history: Sequence[dict[str, float]], train_images: int) -> float:
    """Images in gradient steps, and each image once in a solved phase."""
    return sum(
        row["images_per_second"] * row["seconds"] if "images_per_second" in row else train_images
        for row in history
    )


def _with_scratch(groups: Sequence[_Group], fraction: float) -> list[Comparison]:
    there = [group for group in groups if group.fraction == fraction]
    scratch = next((group for group in there if group.arm.is_scratch), None)
    if scratch is None:
        return []
    return _compared([(group, scratch) for group in there if not group.arm.is_scratch])


def _with_best(groups: Sequence[_Group], fraction: float) -> list[Comparison]:
    """Against the best, corrected for all pairs: the best was found on the same images."""
    there = [group for group in groups if group.fraction == fraction]
    best = max(there, key=lambda group: group.right.mean())
    pairs = [(one, other) for i, one in enumerate(there) for other in there[i + 1 :]]
    pairs = [(one, other) if other is best else (other, one) for one, other in pairs]
    compared = _compared(pairs)
    return [c for c, (_, other) in zip(compared, pairs, strict=True) if other is best]


def _compared(pairs: Sequence[tuple[_Group, _Group]]) -> list[Comparison]:
    differences = [accuracy_difference(one.right, other.right) for one, other in pairs]
    corrected = holm([difference.p_value for difference in differences])
    mcnemar = holm([mcnemar_over_seeds(one.right, other.right) for one, other in pairs])
    return [
        Comparison(one.arm.name, other.arm.name, one.fraction, difference, p_value, models)
        for (one, other), difference, p_value, models in zip(
            pairs, differences, corrected, mcnemar, strict=True
        )
    ]
