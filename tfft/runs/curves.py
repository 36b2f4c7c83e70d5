"""What the curves of a run show: it overfits, underfits, stopped too early or lost accuracy.

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
# Training and validation top-1 below this are low.
_LOW_TOP1 = 0.9
# Training top-1 this far above validation top-1 does not carry over to new images.
_WIDE_GAP = 0.1
# Chance explains a difference of this many standard errors.
_ERRORS = 2.0
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class _Curves:
    """The metrics of one head in one phase, by epoch."""

    phase: int
    config: GradientPhase
    train_loss: list[float]
    loss: list[float]
    train_top1: list[float]
    top1: list[float]
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
        """Training top-1 minus validation top-1 after the last epoch."""
        return self.train_top1[-1] - self.top1[-1]

    @property
    def where(self) -> str:
        return f"train.phases.{self.phase - 1}"

    def chance(self) -> float:
        """The difference in top-1 that chance explains on the validation images."""
        return _chance(self.top1[-1], self.validation_images)


def _chance(top1: float, images: int) -> float:
    """The difference of two accuracies near `top1` that chance explains on this many images."""
    share = min(max(top1, 0.05), 0.95)
    return _ERRORS * math.sqrt(share * (1.0 - share) / images)


def of_curves(
    history: Sequence[Row], head: str, recipe: Recipe, validation_images: int
) -> list[Finding]:
    """Returns what the curves of a classification head show.

    Args:
        history: As in `tfft.runs.diagnosis.diagnose`.
        head: Name of the head.
        recipe: Recipe of the run.
        validation_images: Number of validation images, 1 or more.
    """
    rows = [row for row in history if f"validation/{head}/top1" in row]
    findings = _lost(rows, head, recipe, validation_images)
    lost = {finding.phase for finding in findings}
    for phase, config, epochs in gradient_phases(rows, recipe):
        names = (f"{split}/{head}/{name}" for name in ("loss", "top1") for split in SPLITS)
        columns = ([float(row[name]) for row in epochs] for name in names)
        curves = _Curves(phase, config, *columns, validation_images=validation_images)
        if curves.epochs >= EPOCHS:
            # A phase that did harm is not advised to go further.
            rules = (_overfits,) if phase in lost else _RULES
            findings += [f for rule in rules if (f := rule(curves, recipe)) is not None]
    return findings


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
        f"phase {curves.phase} overfits: its validation loss was lowest, "
        f"{min(curves.loss):.3g}, in epoch {best} of {last} and rose to {curves.loss[-1]:.3g}, "
        f"while the training loss fell to {curves.train_loss[-1]:.3g}; at the end it is right on "
        f"{curves.train_top1[-1]:.1%} of the training and {curves.top1[-1]:.1%} of the validation "
        f"images. Set in {curves.where}: {', or '.join(changes)}; or unfreeze fewer blocks.",
    )


def _stopped_early(curves: _Curves, recipe: Recipe) -> Finding | None:
    before = curves.loss[-1 - max(1, curves.epochs // 3)]
    fall = 1.0 - curves.loss[-1] / before if before > 0 else 0.0
    if fall < _FALL or curves.best_epoch != curves.epochs or curves.top1[-1] >= 0.995:
        return None
    more = f"epochs: {2 * curves.epochs}"
    if curves.config.early_stop is not None and curves.epochs < (curves.config.epochs or 0):
        more = f"early_stop: {{patience_epochs: {2 * curves.config.early_stop.patience_epochs}}}"
    return Finding(
        "stopped_early",
        curves.phase,
        f"phase {curves.phase} stopped too early: its validation loss still fell by {fall:.0%} "
        f"over the last {max(1, curves.epochs // 3)} of {curves.epochs} epochs, to "
        f"{curves.loss[-1]:.3g}, its lowest value. Set in {curves.where}: {more}, or a higher "
        "learning_rate (tfft lr-find).",
    )


def _underfits(curves: _Curves, recipe: Recipe) -> Finding | None:
    if curves.config.mix is not None:  # training metrics are then those of mixtures of two images
        return None
    low = max(curves.train_top1[-1], curves.top1[-1]) < _LOW_TOP1 and curves.gap < curves.chance()
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
        f"phase {curves.phase} underfits: it ends at {curves.train_top1[-1]:.1%} of the training "
        f"and {curves.top1[-1]:.1%} of the validation images, and more such epochs would change "
        f"little. In {curves.where}: {', or '.join(changes)}; or take a larger backbone or image.",
    )


def _wide_gap(curves: _Curves, recipe: Recipe) -> Finding | None:
    """Training images learned by heart without harm, which stopping earlier would not cure."""
    last = curves.phase == len(recipe.train.phases)
    wide = curves.gap > max(_WIDE_GAP, curves.chance())
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
        f"phase {curves.phase} knows its training images by heart: it ends right on "
        f"{curves.train_top1[-1]:.1%} of the training and {curves.top1[-1]:.1%} of the validation "
        f"images. Its validation loss did not rise, so that stopping earlier gains nothing. What "
        f"may help: {', '.join(changes)}, or another backbone (tfft rank).",
    )


def _lost(rows: Sequence[Row], head: str, recipe: Recipe, images: int) -> list[Finding]:
    """Phases that end worse than an earlier phase did, by more than chance explains."""
    findings, best, best_phase = [], -1.0, None
    for phase, group in groupby(rows, key=lambda row: int(row["phase"])):
        reached = max(float(row[f"validation/{head}/top1"]) for row in group)
        if best_phase is not None and best - reached > _chance(best, images):
            before = f"phase {best_phase}" if best_phase else "the source's own classes"
            findings.append(
                Finding(
                    "lost",
                    phase,
                    f"phase {phase} lost what {before} had: validation top-1 "
                    f"{reached:.3f} at best, after {best:.3f}. "
                    + ("The better weights were kept. " if recipe.train.keep_best else "")
                    + instead_of(phase, recipe),
                )
            )
        if reached > best:
            best, best_phase = reached, phase
    return findings


_RULES: tuple[Callable[[_Curves, Recipe], Finding | None], ...] = (
    _overfits,
    _stopped_early,
    _underfits,
    _wide_gap,
)
