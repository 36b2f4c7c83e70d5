"""Solves a heads-only phase to convergence."""

import time
from contextlib import closing

import numpy as np

from tfft.config.train import LinearPhase
from tfft.model.assemble import Cut
from tfft.model.heads import Head
from tfft.transfer.features import cached_inputs
from tfft.transfer.inputs import CachedTensors
from tfft.transfer.linear import LinearWeights, solve_linear_head
from tfft.transfer.plan import PhasePlan
from tfft.transfer.state import TrainingState
from tfft.transfer.step import EvaluationStep
from tfft.transfer.training import Training, columns, end_epoch, validate


def train_by_solver(
    training: Training, plan: PhasePlan, phase: LinearPhase, state: TrainingState
) -> None:
    """Solves the heads on the cached features and records the phase as one epoch.

    Validation figures are those before the solution is refitted on the validation images.
    """
    if state.epoch:
        return
    cut = training.classifier.cut(plan.frozen_blocks)
    with closing(cached_inputs(training, plan)) as features:
        started = time.perf_counter()
        refitted = _solve_heads(training, phase, features)
        evaluation = EvaluationStep(Cut(None, cut.suffix), training.classifier.heads)
        validated = validate(training, features, evaluation)
    for name, weights in refitted.items():
        _assign(training.classifier.heads[name], weights)
    state.next_epoch()
    row = {
        **columns("validation", validated),
        "seconds": time.perf_counter() - started,
    }
    end_epoch(training, state, row, validated)
    training.checkpoints.save(state)


def _solve_heads(
    training: Training, phase: LinearPhase, features: CachedTensors
) -> dict[str, LinearWeights]:
    """Gives each head its solution and returns those on validation images too, if asked for."""
    pooled = {kind: i for i, kind in enumerate(training.classifier.poolings)}
    train, validation = features.train(0), features.validation
    refitted: dict[str, LinearWeights] = {}
    for name, head in training.classifier.heads.items():
        column = pooled[head.config.pooling]
        solution = solve_linear_head(
            np.asarray(train[column][:], np.float32),
            features.train_targets[name],
            np.asarray(validation[column][:], np.float32),
            features.validation_targets[name],
            classes=head.size.outputs,
            class_weights=training.class_weights.get(name),
            candidates=phase.inverse_regularization,
            choose_by=phase.choose_by,
            refit=phase.refit,
            progress=training.progress,
        )
        _assign(head, solution.chosen)
        if solution.refitted is not None:
            refitted[name] = solution.refitted
    return refitted


def _assign(head: Head, weights: LinearWeights) -> None:
    head.dense.kernel.assign(weights.kernel)
    head.dense.bias.assign(weights.bias)
