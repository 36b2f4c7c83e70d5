"""Trains a phase by gradient steps."""

import time
from contextlib import closing, nullcontext
from dataclasses import dataclass

from tfft.system.tensorflow import keras

import numpy as np

from tfft.config.train import GradientPhase
from tfft.errors import TfftError
from tfft.model.assemble import Cut
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.phases.cached_inputs import cached_inputs
from tfft.transfer.phases.inputs import PhaseInputs
from tfft.transfer.phases.session import HeadMetrics, Totals, Training, columns, end_epoch, validate
from tfft.transfer.plan.learning_rates import learning_rates
from tfft.transfer.plan.plan import PhasePlan
from tfft.transfer.plan.unfreeze import Unfrozen, unfrozen
from tfft.transfer.step.average import WeightAverage
from tfft.transfer.step.batch_norm import set_batch_norm
from tfft.transfer.step.optimizers import inner_optimizer
from tfft.transfer.step.step import EvaluationStep, TrainStep
from tfft.transfer.step.update_rules import update_rules


@dataclass(frozen=True, eq=False)
class PreparedPhase:
    """What a phase is trained with: set up for it, and nothing trained yet.

    Its inputs may hold files open: close them.
    """

    inputs: PhaseInputs
    step: TrainStep
    evaluation: EvaluationStep
    average: WeightAverage | None


def prepare_phase(
    training: Training, plan: PhasePlan, phase: GradientPhase, *, new: bool = True
) -> PreparedPhase:
    """Sets the model and the optimizer up for a phase; `new`: from its first step on."""
    classifier, config = training.classifier, training.recipe.train
    trained = unfrozen(classifier, phase.unfreeze)
    set_batch_norm(classifier, trained, phase.batch_norm)
    cut = classifier.cut(plan.unchanged_blocks)
    if plan.cached:
        cut = Cut(None, cut.suffix)
    rules = update_rules(classifier, phase, trained)
    variables = [variable for variable, _ in rules]
    inner_optimizer(training.optimizer).begin_phase(rules)
    average = training.average if phase.ema_decay else None
    if average is not None and phase.ema_decay:
        average.begin_phase([*variables, *_statistics(phase, trained)], phase.ema_decay, new)
    step = TrainStep(
        cut,
        classifier.heads,
        training.optimizer,
        variables,
        micro_batch_size=config.micro_batch_size,
        class_weights=training.class_weights,
        mix=phase.mix,
        seed=training.recipe.seed,
        after_update=average.update if average else None,
    )
    inputs = _inputs(training, plan, phase)
    return PreparedPhase(inputs, step, EvaluationStep(cut, classifier.heads), average)


def train_by_gradient(
    training: Training, plan: PhasePlan, phase: GradientPhase, state: TrainingState
) -> None:
    """Trains what of the phase `state` has not done yet, exactly as if it had never stopped."""
    new = state.epoch == 0 and state.epoch_step == 0
    prepared = prepare_phase(training, plan, phase, new=new)
    with closing(prepared.inputs):
        _train_epochs(training, plan, phase, state, prepared)


def _train_epochs(
    training: Training,
    plan: PhasePlan,
    phase: GradientPhase,
    state: TrainingState,
    prepared: PreparedPhase,
) -> None:
    inputs, average, config = prepared.inputs, prepared.average, training.recipe.train
    rates = learning_rates(
        phase.learning_rate,
        phase.schedule,
        steps=plan.steps,
        steps_per_epoch=plan.steps_per_epoch,
    )
    while state.epoch < plan.epochs and not _has_stopped(phase, state):
        first = state.epoch * plan.steps_per_epoch
        row = _train_epoch(
            training,
            plan,
            inputs,
            prepared.step,
            state,
            rates[first : first + plan.steps_per_epoch],
        )
        with average.in_place() if average else nullcontext():
            validated = validate(training, inputs, prepared.evaluation)
            end_epoch(training, state, {**row, **columns("validation", validated)}, validated)
        training.checkpoints.save_epoch(config.checkpoint_seconds, state)
    if average is not None:
        average.keep()


def _train_epoch(
    training: Training,
    plan: PhasePlan,
    inputs: PhaseInputs,
    step: TrainStep,
    state: TrainingState,
    rates: np.ndarray,
) -> dict[str, float]:
    """Trains what is left of an epoch and returns its figures."""
    batch_size = training.recipe.train.batch_size
    images = min(training.plan.images["train"], len(rates) * batch_size)
    phases = len(training.plan.phases)
    title = f"phase {plan.number}/{phases} epoch {state.epoch + 1}/{plan.epochs}"
    task = training.progress.start(title, images)
    totals = Totals(training.classifier.heads, state.epoch_sums)
    if state.epoch_step:
        task.advance(state.epoch_step * batch_size)
    # Epochs count through the whole run, so that no two phases see the same order.
    before = sum(p.epochs for p in training.plan.phases[: plan.number - 1] if p.steps)
    spent, started = state.epoch_seconds, time.perf_counter()
    try:
        for piece in inputs.train_epoch(step, before + state.epoch, rates, state.epoch_step):
            totals.add(piece.sums)
            task.advance(piece.images, **_shown(totals.metrics()))
            if not totals.finite:
                raise TfftError(
                    "the loss is not finite (NaN or infinite), so the training stops. "
                    f"{training.checkpoints.advice()}"
                )
            state.epoch_step += piece.steps
            state.step += piece.steps
            state.epoch_sums = totals.values
            state.epoch_seconds = spent + time.perf_counter() - started
            state.elapsed_seconds += training.stopwatch.lap()
            training.checkpoints.save_if_older(training.recipe.train.checkpoint_seconds, state)
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


def _shown(metrics: HeadMetrics) -> dict[str, float]:
    """What the progress bar shows: the figures of the first head that has any."""
    return next(iter(metrics.values()), {})


def _has_stopped(phase: GradientPhase, state: TrainingState) -> bool:
    return phase.early_stop is not None and state.stale_epochs >= phase.early_stop.patience_epochs


def _statistics(phase: GradientPhase, trained: Unfrozen) -> list[keras.Variable]:
    """The moving statistics that the phase changes."""
    if phase.batch_norm == "frozen":
        return []
    layers = [layer for block in trained.batch_norms for layer in block]
    return [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]


def _inputs(training: Training, plan: PhasePlan, phase: GradientPhase) -> PhaseInputs:
    if plan.cached:
        return cached_inputs(training, plan)
    return training.stream(phase.augment)
