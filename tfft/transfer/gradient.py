"""Trains a phase by gradient steps."""

import time

import numpy as np

from tfft.config.train import GradientPhase
from tfft.model.assemble import Classifier, Cut
from tfft.system.tensorflow import start_tensorflow
from tfft.transfer.features import cached_features
from tfft.transfer.inputs import ImageStream, PhaseInputs
from tfft.transfer.optimizers import inner_optimizer
from tfft.transfer.plan import PhasePlan
from tfft.transfer.schedule import learning_rates
from tfft.transfer.state import TrainingState
from tfft.transfer.step import EvaluationStep, TrainStep
from tfft.transfer.training import HeadMetrics, Training, columns, end_epoch, summed, validate

start_tensorflow()
import keras  # noqa: E402


def train_by_gradient(
    training: Training, plan: PhasePlan, phase: GradientPhase, state: TrainingState
) -> None:
    """Trains the epochs of the phase that `state` has not done yet."""
    _set_batch_norm(training.classifier, plan, phase.batch_norm)
    cut = training.classifier.cut(plan.frozen_blocks)
    inputs = _inputs(training, plan, phase, cut)
    if plan.cached:
        cut = Cut(None, cut.suffix)
    inner_optimizer(training.optimizer).begin_phase(phase.weight_decay)
    heads = training.classifier.heads
    step = TrainStep(cut, heads, training.optimizer, _trained(training.classifier, plan))
    evaluation = EvaluationStep(cut, heads)
    rates = learning_rates(
        phase.learning_rate,
        phase.schedule,
        epochs=phase.epochs,
        steps_per_epoch=plan.steps_per_epoch,
    ).reshape(phase.epochs, plan.steps_per_epoch)
    while state.epoch < phase.epochs and not _has_stopped(phase, state):
        started = time.perf_counter()
        trained = _train_epoch(training, plan, inputs, step, state, rates[state.epoch])
        seconds = time.perf_counter() - started
        validated = validate(training, inputs, evaluation)
        state.epoch += 1
        state.step += plan.steps_per_epoch
        row = {
            "learning_rate": float(rates[state.epoch - 1][-1]),
            **columns("train", trained),
            **columns("validation", validated),
            "seconds": seconds,
            "images_per_second": training.plan.images["train"] / seconds,
        }
        end_epoch(training, state, row, validated)


def _train_epoch(
    training: Training,
    plan: PhasePlan,
    inputs: PhaseInputs,
    step: TrainStep,
    state: TrainingState,
    rates: np.ndarray,
) -> HeadMetrics:
    phases, epochs = len(training.plan.phases), plan.config.epochs
    title = f"phase {plan.number}/{phases} epoch {state.epoch + 1}/{epochs}"
    task = training.progress.start(title, training.plan.images["train"])
    # Epochs count through the whole run, so that no two phases see the same order.
    epoch = sum(
        p.config.epochs for p in training.plan.phases[: plan.number - 1] if p.steps_per_epoch
    )
    try:
        return summed(
            inputs.train_epoch(step, epoch + state.epoch, rates), training.classifier, task
        )
    finally:
        task.close()


def _has_stopped(phase: GradientPhase, state: TrainingState) -> bool:
    return phase.early_stop is not None and state.stale_epochs >= phase.early_stop.patience_epochs


def _trained(classifier: Classifier, plan: PhasePlan) -> list[keras.Variable]:
    above = classifier.block_weights[plan.frozen_blocks :]
    return [*(v for weights in above for v in weights), *classifier.head_weights]


def _set_batch_norm(classifier: Classifier, plan: PhasePlan, mode: str) -> None:
    """Makes BatchNormalization of trained blocks adapt or not; elsewhere it never does.

    Keras runs a BatchNormalization layer that is not trainable with its moving statistics, in
    training too. Which variables a phase trains is not decided by this flag.
    """
    for block in range(len(classifier.backbone.blocks)):
        for layer in classifier.batch_norms(block):
            layer.trainable = mode == "adapt" and block >= plan.frozen_blocks


def _inputs(training: Training, plan: PhasePlan, phase: GradientPhase, cut: Cut) -> PhaseInputs:
    if plan.cached:
        return cached_features(training, cut)
    return ImageStream(
        training.train_images,
        training.validation_images,
        training.pixels,
        training.targets,
        training.recipe.train.batch_size,
        phase.augment,
        training.recipe.seed,
    )
