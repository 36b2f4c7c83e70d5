"""Trains a phase by gradient steps."""

import time
from contextlib import closing, nullcontext
from dataclasses import dataclass

import numpy as np

from tfft.config.train import GradientPhase
from tfft.errors import NotFiniteError
from tfft.model.assemble import Cut
from tfft.runs.history import columns
from tfft.transfer.checkpoints import NOT_FINITE_ADVICE, TrainingState
from tfft.transfer.phases.cached_inputs import cached_inputs
from tfft.transfer.phases.frozen_function import frozen_function
from tfft.transfer.phases.inputs import PhaseInputs
from tfft.transfer.phases.session import Session, Totals, end_epoch, validate
from tfft.transfer.plan.learning_rates import learning_rates
from tfft.transfer.plan.plan import PhasePlan
from tfft.transfer.plan.unfreeze import unfrozen
from tfft.transfer.step.average import WeightAverage
from tfft.transfer.step.batch_norm import set_batch_norm
from tfft.transfer.step.folding import folded
from tfft.transfer.step.optimizers import inner_optimizer
from tfft.transfer.step.step import EvaluationStep, TrainStep
from tfft.transfer.step.update_rules import update_rules


@dataclass(frozen=True, eq=False)
class PreparedPhase:
    """A phase that is set up and not trained yet.

    Attributes:
        inputs: What feeds the steps; they may hold files open, and have to be closed.
        step: The compiled training step.
        evaluation: The compiled evaluation step.
        average: Averages of the weights, if the phase keeps them.
    """

    inputs: PhaseInputs
    step: TrainStep
    evaluation: EvaluationStep
    average: WeightAverage | None


def prepare_phase(
    session: Session, plan: PhasePlan, phase: GradientPhase, *, new: bool = True
) -> PreparedPhase:
    """Sets the model and the optimizer up for a phase.

    Args:
        session: What the phases share.
        plan: The plan of the phase.
        phase: The phase in the recipe.
        new: Whether the phase starts with its first step; False: it is resumed.
    """
    classifier, config = session.classifier, session.recipe.train
    trained = unfrozen(classifier, phase.unfreeze)
    set_batch_norm(classifier, trained, phase.batch_norm)
    cut = classifier.cut(plan.unchanged_blocks)
    frozen = None if plan.cached else frozen_function(session, plan, cut, new)
    if plan.cached or frozen is not None:
        cut = Cut(None, cut.suffix)
    cut = folded(cut)
    rules = update_rules(classifier, phase, trained)
    variables = [variable for variable, _ in rules]
    inner_optimizer(session.optimizer).begin_phase(rules)
    average = session.average if phase.ema_decay else None
    if average is not None and phase.ema_decay:
        averaged = list(variables)
        if phase.batch_norm == "adapt":  # the moving statistics change too
            layers = [layer for block in trained.batch_norms for layer in block]
            averaged += [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]
        average.begin_phase(averaged, phase.ema_decay, new)
    step = TrainStep(
        cut,
        classifier.heads,
        session.optimizer,
        variables,
        micro_batch_size=config.micro_batch_size,
        class_weights=session.class_weights,
        mix=phase.mix,
        seed=session.recipe.seed,
        after_update=average.update if average else None,
    )
    inputs = cached_inputs(session, plan) if plan.cached else session.stream(phase.augment, frozen)
    return PreparedPhase(inputs, step, EvaluationStep(cut, classifier.heads), average)


def train_by_gradient(
    session: Session, plan: PhasePlan, phase: GradientPhase, state: TrainingState
) -> None:
    """Trains the rest of a phase from `state` on, exactly as if it had never stopped."""
    new = state.epoch == 0 and state.epoch_step == 0
    prepared = prepare_phase(session, plan, phase, new=new)
    average, patience = prepared.average, phase.early_stop
    rates = learning_rates(
        phase.learning_rate,
        phase.schedule,
        steps=plan.steps,
        steps_per_epoch=plan.steps_per_epoch,
    )
    with closing(prepared.inputs):
        while state.epoch < plan.epochs:
            if patience is not None and state.stale_epochs >= patience.patience_epochs:
                break
            first = state.epoch * plan.steps_per_epoch
            of_epoch = rates[first : first + plan.steps_per_epoch]
            row = _train_epoch(session, plan, prepared, state, of_epoch)
            with average.in_place() if average else nullcontext():
                validated = validate(session, prepared.inputs, prepared.evaluation)
                end_epoch(session, state, {**row, **columns("validation", validated)}, validated)
            session.checkpoints.save_epoch(session.recipe.train.checkpoint_seconds, state)
    if average is not None:
        average.keep()


def _train_epoch(
    session: Session,
    plan: PhasePlan,
    prepared: PreparedPhase,
    state: TrainingState,
    rates: np.ndarray,
) -> dict[str, float]:
    """Trains what is left of an epoch and returns its row of the history."""
    batch_size = session.recipe.train.batch_size
    images = min(session.plan.images["train"], len(rates) * batch_size)
    phases = len(session.plan.phases)
    title = f"phase {plan.number}/{phases} epoch {state.epoch + 1}/{plan.epochs}"
    task = session.progress.start(title, images)
    totals = Totals(session.classifier.heads, state.epoch_sums)
    if state.epoch_step:
        task.advance(state.epoch_step * batch_size)
    # Epochs count through the whole run, so that no two phases see the same order.
    before = sum(p.epochs for p in session.plan.phases[: plan.number - 1] if p.steps)
    spent, started = state.epoch_seconds, time.perf_counter()
    try:
        for piece in prepared.inputs.train_epoch(
            prepared.step, before + state.epoch, rates, state.epoch_step
        ):
            totals.add(piece.sums)
            of_first_head = next(iter(totals.metrics().values()), {})
            task.advance(piece.images, **of_first_head)
            if not totals.finite:
                raise NotFiniteError(
                    "the loss is not finite (NaN or infinite), so the training stops. "
                    f"{NOT_FINITE_ADVICE}"
                )
            state.epoch_step += piece.steps
            state.step += piece.steps
            state.epoch_sums = totals.values
            state.epoch_seconds = spent + time.perf_counter() - started
            state.elapsed_seconds += session.stopwatch.lap()
            session.checkpoints.save_if_older(session.recipe.train.checkpoint_seconds, state)
    finally:
        task.close()
    seconds = state.epoch_seconds
    state.next_epoch()
    return {
        "learning_rate": float(rates[-1]),
        **columns("train", totals.metrics()),
        "seconds": seconds,
        "images_per_second": images / seconds,
    }
