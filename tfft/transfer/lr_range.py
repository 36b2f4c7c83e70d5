"""Learning-rate range test: the loss while the rate rises, and the rate where it falls fastest."""

import math
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase
from tfft.errors import RecipeError, TfftError, UsageError
from tfft.runs.run import create_run
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.phases.gradient import PreparedPhase, prepare_phase
from tfft.transfer.phases.session import Session, Totals, prepare_session
from tfft.transfer.phases.source_start import set_source_heads
from tfft.transfer.plan.plan import PhasePlan
from tfft.transfer.train import run_phase

# The share of the running mean that is kept at each step.
_SMOOTHING = 0.9
# The test ends when the smoothed loss is this many times its lowest value.
_DIVERGED = 4.0
# A loss that falls by fewer than this many of its usual steps (up or down) counts as not falling.
# In simulated tests of 100 steps a loss that only differs by batch passes for falling in one of
# ten; without this rule, in four.
_FALL = 10.0
# The first steps say more of the batches than of the rate.
_IGNORED = 0.1


@dataclass(frozen=True, repr=False)
class RangeTest(Readable):
    """The outcome of a range test.

    Attributes:
        phase: Number of the tested phase, 1 for the first.
        learning_rates: Rate of each step, rising.
        losses: Smoothed training loss of each step, as long as it was finite.
        suggestion: Rate at which the loss falls fastest; None if it falls by no more than batches
            differ.
        diverged: Rate at which the loss had grown to four times its lowest value or was not
            finite; None if that did not happen.
        configured: Rate in the recipe.
    """

    phase: int
    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None
    diverged: float | None
    configured: float

    def lines(self) -> list[str]:
        if self.suggestion is None:
            found = "the loss falls at no learning rate"
        else:
            found = f"learning rate {self.suggestion:.3g} suggested"
        diverged = "" if self.diverged is None else f", diverged at {self.diverged:.3g}"
        return [
            f"phase {self.phase}: {found}, {self.configured:.3g} configured",
            f"{counted(len(self.losses), 'step')}{diverged}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft lr-find --json`` prints."""
        return asdict(self)


def find_learning_rate(
    recipe: Recipe,
    *,
    phase: int | None = None,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    progress: Progress = SILENT,
) -> RangeTest:
    """Raises the learning rate of a phase from `lowest` to `highest` and watches the loss.

    The phases before it are trained first, in a directory that is removed; nothing but cached
    features is kept. Heads start as they do in training, from the source's classes if the recipe
    says so.

    Args:
        recipe: Recipe with the phase to test.
        phase: Number of the phase, 1 for the first; default: the first with gradient steps.
        lowest: Learning rate of the first step.
        highest: Learning rate of the last step.
        steps: Number of steps; fewer are taken if the loss diverges.
        progress: Where the work is reported.

    Raises:
        RecipeError: The recipe has no such phase.
        UsageError: A number is out of its range.
        TfftError: As `train`.

    Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks".
    """
    if not 0 < lowest < highest < math.inf or steps < 10:
        raise UsageError(
            "a range test needs 0 < lowest < highest and 10 steps or more. "
            f"Received: lowest {lowest:g}, highest {highest:g}, {steps} steps"
        )
    number = _phase_number(recipe, phase)
    with tempfile.TemporaryDirectory() as directory:
        run = create_run(recipe, Path(directory) / "run")
        session = prepare_session(recipe, run, progress)
        try:
            set_source_heads(session)
            state = TrainingState()
            for before in session.plan.phases[: number - 1]:
                run_phase(session, before, state)
            return range_test(session, session.plan.phases[number - 1], lowest, highest, steps)
        finally:
            session.history.close()


def range_test(
    session: Session, plan: PhasePlan, lowest: float, highest: float, steps: int
) -> RangeTest:
    """Does the range test of one phase; model and optimizer are afterwards as they were."""
    config = plan.config
    if not isinstance(config, GradientPhase):
        raise ValueError("a solved phase has no learning rate")
    variables = [*session.classifier.model.variables, *session.optimizer.variables]
    before = [variable.numpy() for variable in variables]
    rates = np.geomspace(lowest, highest, steps).astype(np.float32)
    task = session.progress.start(f"phase {plan.number} range test", steps, "steps")
    losses: list[float] = []
    diverged: float | None = None
    try:
        smoothing = Smoothing()
        prepared = prepare_phase(session, plan, config)
        with closing(prepared.inputs):
            for loss, rate in zip(
                _losses(session, plan, prepared, rates), rates.tolist(), strict=False
            ):
                smoothed = smoothing.add(loss)
                if math.isfinite(smoothed):
                    losses.append(smoothed)
                    task.advance(1, learning_rate=rate, loss=smoothed)
                if not math.isfinite(smoothed) or smoothed > _DIVERGED * min(losses):
                    diverged = rate
                    break
    finally:
        task.close()
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    if not losses:
        raise TfftError(f"the loss is not finite at the lowest rate, {lowest:g}")
    tried = rates[: len(losses)].tolist()
    return RangeTest(
        plan.number,
        tuple(tried),
        tuple(losses),
        suggest(tried, losses),
        diverged,
        config.learning_rate,
    )


class Smoothing:
    """A running mean that is not drawn towards 0 at its start."""

    def __init__(self) -> None:
        self._mean, self._weight = 0.0, 0.0

    def add(self, value: float) -> float:
        self._mean = _SMOOTHING * self._mean + (1.0 - _SMOOTHING) * value
        self._weight = _SMOOTHING * self._weight + (1.0 - _SMOOTHING)
        return self._mean / self._weight


def suggest(learning_rates: list[float], losses: list[float]) -> float | None:
    """Returns the rate at which a smoothed loss falls fastest over the rate's logarithm.

    None where its fall is no more than batches differ, as in a phase that begins near its lowest
    loss: the steepest place would be chance.
    """
    first = round(_IGNORED * len(losses))
    # Past its lowest value a loss rises: what falls there is noise.
    last = int(np.argmin(losses)) + 1 if losses else 0
    if last - first < 2:
        return None
    if losses[first] - losses[last - 1] < _FALL * np.median(np.abs(np.diff(losses))):
        return None
    slopes = np.gradient(losses[:last], np.log(learning_rates[:last]))[first:]
    steepest = int(np.argmin(slopes))
    return learning_rates[first + steepest] if slopes[steepest] < 0 else None


def _phase_number(recipe: Recipe, phase: int | None) -> int:
    phases = recipe.train.phases
    gradient = [n for n, p in enumerate(phases, start=1) if isinstance(p, GradientPhase)]
    if not gradient:
        raise RecipeError(
            "the recipe has no phase with a learning rate: all are solved. "
            "Give one with gradient steps, such as --set train.strategy=partial"
        )
    if phase is None:
        return gradient[0]
    if phase not in gradient:
        raise RecipeError(
            f"phases with a learning rate: {', '.join(map(str, gradient))} of {len(phases)}. "
            f"Received: {phase}"
        )
    return phase


def _losses(
    session: Session, plan: PhasePlan, prepared: PreparedPhase, rates: np.ndarray
) -> Iterator[float]:
    """Yields the training loss of each step, averaged over heads, for as many epochs as needed.

    A step whose images have no target repeats the loss before it.
    """
    heads = session.classifier.heads
    done, loss = 0, math.nan
    while done < len(rates):
        epoch, first = divmod(done, plan.steps_per_epoch)
        # Cached features come as sums over many steps; asked for one by one, they are of one.
        wanted = 1 if plan.cached else len(rates) - done
        end = min(first + wanted, plan.steps_per_epoch)
        of_epoch = np.concatenate([np.zeros(first, np.float32), rates[done : done + end - first]])
        for piece in prepared.inputs.train_epoch(prepared.step, epoch, of_epoch, first):
            totals = Totals(heads)
            totals.add(piece.sums)
            found = totals.metrics()
            losses = [metrics["loss"] for metrics in found.values()]
            weights = [heads[name].config.weight for name in found]
            loss = float(np.average(losses, weights=weights)) if found else loss
            yield loss
        done += end - first
