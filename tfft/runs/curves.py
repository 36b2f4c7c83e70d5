"""What the curves of a head show: it overfits, underfits, stopped too early or lost accuracy.

Each rule has a margin that chance on that number of validation images does not explain. The rules
read the history of a run and its recipe, and name what to change in the recipe.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase
from tfft.runs.finding import Finding, instead_of

Row = Mapping[str, Any]

# Number of epochs that a phase needs before its curves are judged.
EPOCHS = 3
# The validation loss rises if it ends above this multiple of its lowest value.
_RISE = 1.05
# The validation loss still falls if it fell by this share over the last third of the epochs.
_FALL = 0.03
# Training and validation shares below this are low.
_LOW_SHARE = 0.9
# A training share this far above the validation share does not carry over to new images.
_WIDE_GAP = 0.1
# With this share right, nothing is left to gain.
_ALL = 0.995
# Chance explains a difference of this many standard errors.
_ERRORS = 2.0
# Standard deviation of the size of a normal error, as a share of its mean.
_ERROR_SPREAD = math.sqrt(math.pi / 2 - 1)
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Measure:
    """The metric by which heads of a kind are judged.

    Attributes:
        name: Its name in the history.
        text: Its name where a person reads it.
        is_share: Whether it is a share in 0..1, larger is better; otherwise a size of errors.
    """

    name: str
    text: str
    is_share: bool = True

    def better(self, value: float, other: float) -> float:
        """Returns by how much a value is better than another."""
        return value - other if self.is_share else other - value

    def chance(self, value: float, images: int) -> float:
        """Returns the difference of two values near `value` that chance explains on images.

        No mean of shares varies more than that of shares 0 and 1.
        """
        if not self.is_share:
            return _ERRORS * _ERROR_SPREAD * value / math.sqrt(images)
        share = min(max(value, 0.05), 0.95)
        return _ERRORS * math.sqrt(share * (1.0 - share) / images)

    def at_the_end(self, train: float, validation: float) -> str:
        """Returns a clause about a head's values after its last epoch."""
        if self.name == "top1":
            return (
                f"it is right on {train:.1%} of the training and {validation:.1%} of the "
                "validation images"
            )
        return (
            f"its {self.text} is {train:.3g} on the training and {validation:.3g} on the "
            "validation images"
        )


MEASURES = {
    "classification": Measure("top1", "top-1"),
    "multi_label": Measure("f1", "F1 of an image"),
    "regression": Measure("mae", "mean absolute error", is_share=False),
    "box": Measure("mean_iou", "mean IoU"),
}


@dataclass(frozen=True)
class _Curves:
    """The metrics of one head in one phase, by epoch."""

    phase: int
    config: GradientPhase
    head: str
    measure: Measure
    train_loss: list[float]
    loss: list[float]
    train_metric: list[float]
    metric: list[float]
    validation_images: int

    @property
    def epochs(self) -> int:
        return len(self.loss)

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss, counted from 1."""
        return self.loss.index(min(self.loss)) + 1

    @property
    def gap(self) -> float:
        """By how much the training metric is better than that of validation at the end."""
        return self.measure.better(self.train_metric[-1], self.metric[-1])

    @property
    def end(self) -> str:
        return self.measure.at_the_end(self.train_metric[-1], self.metric[-1])

    @property
    def where(self) -> str:
        return f"train.phases.{self.phase - 1}"

    def chance(self) -> float:
        """The difference of the metric that chance explains on the validation images."""
        return self.measure.chance(self.metric[-1], self.validation_images)


def of_curves(
    history: Sequence[Row], head: str, recipe: Recipe, validation_images: int
) -> list[Finding]:
    """Returns what the curves of a head show.

    Args:
        history: As in `tfft.runs.diagnosis.diagnose`.
        head: Name of the head.
        recipe: Recipe of the run.
        validation_images: Number of validation images, 1 or more.
    """
    measure = MEASURES[recipe.heads[head].kind]
    rows = [row for row in history if f"validation/{head}/{measure.name}" in row]
    findings = _lost(rows, head, recipe, validation_images)
    lost = {finding.phase for finding in findings}
    for phase, config, epochs in gradient_phases(rows, recipe):
        names = [f"{split}/{head}/{name}" for name in ("loss", measure.name) for split in SPLITS]
        # An epoch may have no training image with the target.
        complete = [row for row in epochs if all(name in row for name in names)]
        columns = ([float(row[name]) for row in complete] for name in names)
        curves = _Curves(
            phase,
            config,
            of_head(head, recipe),
            measure,
            *columns,
            validation_images=validation_images,
        )
        if curves.epochs >= EPOCHS:
            # A phase that did harm is not advised to go further.
            rules = (_overfits,) if phase in lost else _RULES
            findings += [f for rule in rules if (f := rule(curves, recipe)) is not None]
    return findings


def of_head(head: str, recipe: Recipe) -> str:
    """Names a head where there are several."""
    return f" (head {head})" if len(recipe.heads) > 1 else ""


def gradient_phases(
    rows: Sequence[Row], recipe: Recipe
) -> Iterator[tuple[int, GradientPhase, list[Row]]]:
    """Yields number, recipe and epochs of each phase that was trained by gradient steps."""
    for phase, group in groupby(rows, key=lambda row: int(row["phase"])):
        # Phase 0 is the heads taken from the source, before training.
        config = recipe.train.phases[phase - 1] if phase else None
        if isinstance(config, GradientPhase):
            yield phase, config, list(group)


def _overfits(curves: _Curves, recipe: Recipe) -> Finding | None:
    best, last = curves.best_epoch, curves.epochs
    rising = last - best >= 2 and curves.loss[-1] > _RISE * curves.loss[best - 1]
    learning = curves.train_loss[-1] < curves.train_loss[best - 1]
    if not (rising and learning and curves.gap > curves.chance()):
        return None
    changes = [
        f"epochs: {best}" if curves.config.early_stop else "early_stop: {patience_epochs: 2}"
    ]
    if curves.config.augment == "none":
        changes.append("augment: random_crop")
    if not curves.config.weight_decay and recipe.train.optimizer.name != "adam":
        changes.append("weight_decay: 0.05")
    if curves.config.l2sp is None and curves.config.unfreeze != "none":
        changes.append("l2sp: {alpha: 0.1}")
    return Finding(
        "overfits",
        curves.phase,
        f"phase {curves.phase} overfits{curves.head}: its validation loss was lowest, "
        f"{min(curves.loss):.3g}, in epoch {best} of {last} and rose to {curves.loss[-1]:.3g}, "
        f"while the training loss fell to {curves.train_loss[-1]:.3g}; at the end {curves.end}. "
        f"Set in {curves.where}: {', or '.join(changes)}; or unfreeze fewer blocks.",
    )


def _stopped_early(curves: _Curves, recipe: Recipe) -> Finding | None:
    before = curves.loss[-1 - max(1, curves.epochs // 3)]
    fall = 1.0 - curves.loss[-1] / before if before > 0 else 0.0
    if fall < _FALL or curves.best_epoch != curves.epochs:
        return None
    if curves.measure.is_share and curves.metric[-1] >= _ALL:
        return None
    more = f"epochs: {2 * curves.epochs}"
    if curves.config.early_stop is not None and curves.epochs < (curves.config.epochs or 0):
        more = f"early_stop: {{patience_epochs: {2 * curves.config.early_stop.patience_epochs}}}"
    return Finding(
        "stopped_early",
        curves.phase,
        f"phase {curves.phase} stopped too early{curves.head}: its validation loss still fell by "
        f"{fall:.0%} over the last {max(1, curves.epochs // 3)} of {curves.epochs} epochs, to "
        f"{curves.loss[-1]:.3g}, its lowest value. Set in {curves.where}: {more}, or a higher "
        "learning_rate (tfft lr-find).",
    )


def _underfits(curves: _Curves, recipe: Recipe) -> Finding | None:
    # With mix, training metrics are those of mixtures of two images; and no limit is known below
    # which an error, or an overlap of boxes, is bad.
    if curves.config.mix is not None or curves.measure.name not in ("top1", "f1"):
        return None
    low = max(curves.train_metric[-1], curves.metric[-1]) < _LOW_SHARE
    low = low and curves.gap < curves.chance()
    last = curves.phase == len(recipe.train.phases)
    if not (low and last) or _stopped_early(curves, recipe) is not None:
        return None
    changes = [] if curves.config.unfreeze == "all" else ["unfreeze more blocks"]
    changes.append("a higher learning_rate (tfft lr-find)")
    if curves.config.augment not in ("none", "flip"):
        changes.append("augment: flip")
    return Finding(
        "underfits",
        curves.phase,
        f"phase {curves.phase} underfits{curves.head}: at the end {curves.end}, and more such "
        f"epochs would change little. In {curves.where}: {', or '.join(changes)}; or take a larger "
        "backbone or image.",
    )


def _wide_gap(curves: _Curves, recipe: Recipe) -> Finding | None:
    """Training images learned by heart without harm, which stopping earlier would not cure."""
    last = curves.phase == len(recipe.train.phases)
    wide = curves.measure.is_share and curves.gap > max(_WIDE_GAP, curves.chance())
    if not (last and wide) or any(rule(curves, recipe) for rule in (_overfits, _stopped_early)):
        return None
    changes = ["more photos"]
    if curves.config.augment == "none":
        changes.append(f"augment: random_crop in {curves.where}")
    if curves.config.unfreeze != "none":
        changes.append("fewer unfrozen blocks")
    return Finding(
        "wide_gap",
        curves.phase,
        f"phase {curves.phase} knows its training images by heart{curves.head}: at the end "
        f"{curves.end}. Its validation loss did not rise, so that stopping earlier gains nothing. "
        f"What may help: {', '.join(changes)}, or another backbone (tfft rank).",
    )


def _lost(rows: Sequence[Row], head: str, recipe: Recipe, images: int) -> list[Finding]:
    """Phases that end worse than an earlier phase did, by more than chance explains."""
    measure, findings = MEASURES[recipe.heads[head].kind], []
    best, best_phase = math.nan, None
    for phase, group in groupby(rows, key=lambda row: int(row["phase"])):
        values = [float(row[f"validation/{head}/{measure.name}"]) for row in group]
        reached = max(values) if measure.is_share else min(values)
        if best_phase is not None and measure.better(best, reached) > measure.chance(best, images):
            before = f"phase {best_phase}" if best_phase else "the source's own classes"
            findings.append(
                Finding(
                    "lost",
                    phase,
                    f"phase {phase} lost what {before} had{of_head(head, recipe)}: validation "
                    f"{measure.text} {reached:.3f} at best, after {best:.3f}. "
                    + ("The better weights were kept. " if recipe.train.keep_best else "")
                    + instead_of(phase, recipe),
                )
            )
        if best_phase is None or measure.better(reached, best) > 0:
            best, best_phase = reached, phase
    return findings


_RULES: tuple[Callable[[_Curves, Recipe], Finding | None], ...] = (
    _overfits,
    _stopped_early,
    _underfits,
    _wide_gap,
)
