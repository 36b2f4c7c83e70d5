"""What the epochs of a run show: whether it diverged, learned anything, and how its curves ran.

A run is called fine only if no rule finds a fault, it is better than always giving the same answer,
and it has enough epochs to be judged.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tfft.config.recipe import Recipe
from tfft.runs.curves import (
    EPOCHS,
    MEASURES,
    SPLITS,
    Row,
    gradient_phases,
    of_curves,
    of_head,
)
from tfft.runs.finding import Finding, instead_of
from tfft.system.readable import counted

# A phase whose losses end above this multiple of that of guessing, and do not fall, diverged.
_BEYOND = 1.5
# So far above it, no validation loss is one of overfitting, and none is on its way down.
_FAR_BEYOND = 100.0
# The loss of guessing between two classes: no loss of a sound training is far above it for long.
_LEAST_GUESSING = math.log(2.0)
# A loss below this share of the one of guessing shows learning, also where few classes are common.
_LEARNED = 0.5


@dataclass(frozen=True)
class Baseline:
    """What a head reaches that gives every image the same answer, taken from the training targets.

    Attributes:
        answer: The answer, such as ``the commonest class, rose``, to follow "answering with".
        metric: Name of the metric that the head is judged by, as in the history: ``top1``.
        metric_text: The same where a person reads it: ``top-1``.
        value: The metric of that answer on the validation images.
        chance: The better end of the 95 % interval of `value`: as much is chance on these images.
        loss: Validation loss of the answer, or of a head that knows how common each class is.
        examples: Number of validation images that have the target.
    """

    answer: str
    metric: str
    metric_text: str
    value: float
    chance: float
    loss: float
    examples: int

    def is_beaten_by(self, value: float, loss: float) -> bool:
        """Whether a metric and a loss show more than chance explains."""
        error = self.metric == "mae"
        better = value < self.chance if error else value > self.chance
        return better or loss < _LEARNED * self.loss


def diagnose(
    history: Sequence[Row],
    recipe: Recipe,
    validation_images: int,
    baselines: Mapping[str, Baseline] = MappingProxyType({}),
) -> list[Finding]:
    """Returns what the epochs of a run show.

    All heads are asked: whether they diverged, whether they learned anything, how their curves ran.

    Args:
        history: Row of each epoch, as in the run's ``history.csv``, with numbers.
        recipe: Recipe of the run.
        validation_images: Number of validation images; without any, only a divergence is found.
        baselines: What each head reaches without looking at an image, by name of the head.
    """
    findings = list(_diverged(history, recipe, baselines))
    if not validation_images:
        return findings
    diverged = {finding.phase for finding in findings}
    sound = [row for row in history if int(row["phase"]) not in diverged]
    if history and int(history[-1]["phase"]) not in diverged:
        findings += _learned_nothing(sound, recipe, baselines)
    is_sound = not findings
    for head in recipe.heads:
        findings += of_curves(sound, head, recipe, validation_images)
    if diverged or any(finding.kind != "learned_nothing" for finding in findings):
        return findings
    too_few = _too_few_epochs(history, recipe)
    return findings + (too_few or (_fine(history, recipe) if is_sound else []))


def _diverged(
    history: Sequence[Row], recipe: Recipe, baselines: Mapping[str, Baseline]
) -> Iterator[Finding]:
    """Phases whose loss ends far above that of guessing, or not finite."""
    for phase, _, epochs in gradient_phases(history, recipe):
        for head in recipe.heads:
            known = baselines.get(head)
            guessing = max(known.loss if known else 0.0, _LEAST_GUESSING)
            names = {split: f"{split}/{head}/loss" for split in SPLITS}
            losses = {
                split: [float(row[name]) for row in epochs if name in row]
                for split, name in names.items()
            }
            if _is_divergence(losses, guessing, known is not None):
                ended = " and ".join(
                    f"its {'training' if split == 'train' else split} loss is {values[-1]:.3g}"
                    for split, values in losses.items()
                    if values
                )
                yield Finding(
                    "diverged",
                    phase,
                    f"phase {phase} diverged{of_head(head, recipe)}: at the end {ended}, where "
                    f"guessing has {guessing:.3g}. {instead_of(phase, recipe)} "
                    f"tfft lr-find --phase {phase} measures which learning rates are too high.",
                )
                break


def _is_divergence(losses: Mapping[str, Sequence[float]], guessing: float, exactly: bool) -> bool:
    """Whether the losses of a phase, by split and epoch, are those of a divergence.

    Args:
        losses: Losses of each epoch; none for a split that has none.
        guessing: Loss of guessing.
        exactly: Whether it is that of this head, and not only its scale.
    """
    by_split = [values for values in losses.values() if values]
    ends = [values[-1] for values in by_split]
    if not ends:
        return False
    if not all(map(math.isfinite, ends)) or ends[-1] > _FAR_BEYOND * guessing:
        return True
    rose = any(len(values) > 1 and values[-1] >= values[0] for values in by_split)
    return exactly and rose and min(ends) > _BEYOND * guessing


def _learned_nothing(
    history: Sequence[Row], recipe: Recipe, baselines: Mapping[str, Baseline]
) -> Iterator[Finding]:
    """Heads that are not shown to be better than always giving the same answer."""
    for head, baseline in baselines.items():
        value, loss = (f"validation/{head}/{name}" for name in (baseline.metric, "loss"))
        rows = [(float(row[value]), float(row[loss]), row) for row in history if value in row]
        if not rows:
            continue
        # The best of all epochs may be luck. These two are not chosen by their metric.
        kept = min(rows, key=lambda row: row[1])
        if any(baseline.is_beaten_by(row[0], row[1]) for row in (kept, rows[-1])):
            continue
        images = counted(baseline.examples, "validation image")
        yield Finding(
            "learned_nothing",
            int(kept[2]["phase"]),
            f"nothing learned that {images} can show{of_head(head, recipe)}: "
            f"{baseline.metric_text} {kept[0]:.3g} and loss {kept[1]:.3g}, against "
            f"{baseline.value:.3g} and {baseline.loss:.3g} of always answering with "
            f"{baseline.answer}; {baseline.chance:.3g} may be chance. Check the labels and the "
            "images (tfft data check), and the learning rate (tfft lr-find); train for more "
            "epochs, unfreeze more blocks, or validate on more images.",
        )


def _too_few_epochs(history: Sequence[Row], recipe: Recipe) -> list[Finding]:
    """The last phase of gradient steps, if it has too few epochs for its curves to be judged."""
    phases = list(gradient_phases(history, recipe))
    if not phases or len(phases[-1][2]) >= EPOCHS:
        return []
    phase, _, epochs = phases[-1]
    return [
        Finding(
            "too_few_epochs",
            phase,
            f"phase {phase} has {counted(len(epochs), 'epoch')}: with fewer than {EPOCHS}, nothing "
            "can be said about over- or underfitting.",
        )
    ]


def _fine(rows: Sequence[Row], recipe: Recipe) -> list[Finding]:
    """States the gap between training and validation of each head, where no rule found a fault."""
    clauses, phase = [], 0
    for head, config in recipe.heads.items():
        measure = MEASURES[config.kind]
        names = [f"{split}/{head}/{measure.name}" for split in SPLITS]
        if trained := [row for row in rows if all(name in row for name in names)]:
            train, validation = (float(trained[-1][name]) for name in names)
            clauses.append(f"{measure.at_the_end(train, validation)}{of_head(head, recipe)}")
            phase = int(trained[-1]["phase"])
    if not clauses:
        return []
    text = f"no sign of over- or underfitting: at the end {'; '.join(clauses)}."
    return [Finding("fine", phase, text)]
