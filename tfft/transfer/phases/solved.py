"""Solves a heads-only phase to convergence."""

import time
from contextlib import closing

import numpy as np

from tfft.config.train import LinearPhase
from tfft.model.assemble import Cut
from tfft.model.heads import Head
from tfft.runtime.predictor import softmax
from tfft.system.files import write_arrays
from tfft.system.formats import BEFORE_REFIT
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.linear.head import solve_linear_head
from tfft.transfer.linear.weights import LinearWeights
from tfft.transfer.phases.cached_inputs import cached_inputs
from tfft.transfer.phases.inputs import CachedTensors
from tfft.transfer.phases.session import Session, columns, end_epoch, validate
from tfft.transfer.plan.plan import PhasePlan
from tfft.transfer.step.step import EvaluationStep


def train_by_solver(
    session: Session, plan: PhasePlan, phase: LinearPhase, state: TrainingState
) -> None:
    """Solves the heads on the cached features and records the phase as one epoch.

    Validation metrics are of the solution before it is refitted on the validation images. So are
    the answers that the run keeps: a calibration needs images that nothing was solved on.
    """
    cut = session.classifier.cut(plan.frozen_blocks)
    with closing(cached_inputs(session, plan)) as features:
        started = time.perf_counter()
        refitted, held_out = _solve_heads(session, phase, features)
        evaluation = EvaluationStep(Cut(None, cut.suffix), session.classifier.heads)
        validated = validate(session, features, evaluation)
    for name, weights in refitted.items():
        _assign(session.classifier.heads[name], weights)
    if held_out:
        arrays = {f"outputs/{name}": answers for name, answers in held_out.items()}
        write_arrays(session.run.before_refit_file, BEFORE_REFIT.stamped(arrays))
    state.next_epoch()
    row = {
        **columns("validation", validated),
        "seconds": time.perf_counter() - started,
    }
    end_epoch(session, state, row, validated)


def _solve_heads(
    session: Session, phase: LinearPhase, features: CachedTensors
) -> tuple[dict[str, LinearWeights], dict[str, np.ndarray]]:
    """Gives each head its solution.

    Returns:
        By head, and empty without a refit: the weights solved on training and validation images
        together; and of heads that classify, what the weights solved without them say about the
        validation images, as probabilities.
    """
    pooled = {kind: i for i, kind in enumerate(session.classifier.poolings)}
    train, validation = features.train(0), features.validation
    refitted: dict[str, LinearWeights] = {}
    held_out: dict[str, np.ndarray] = {}
    for name, head in session.classifier.heads.items():
        column = pooled[head.config.pooling]
        solution = solve_linear_head(
            train[column],
            _wanted(head, features.train_targets[name]),
            validation[column],
            _wanted(head, features.validation_targets[name]),
            kind=head.config.kind,
            outputs=head.size.outputs,
            class_weights=session.class_weights.get(name),
            candidates=phase.inverse_regularization,
            choose_by=phase.choose_by,
            refit=phase.refit,
            progress=session.progress,
        )
        _assign(head, solution.chosen)
        if solution.refitted is not None:
            refitted[name] = solution.refitted
            if head.config.kind == "classification":
                held_out[name] = softmax(solution.chosen.outputs(validation[column][:]))
    return refitted, held_out


def _wanted(head: Head, targets: np.ndarray) -> np.ndarray:
    """Returns what the head's dense layer should give: of a number, deviations from its mean."""
    if head.config.kind != "regression":
        return targets
    return (targets - head.size.mean) / head.size.deviation


def _assign(head: Head, weights: LinearWeights) -> None:
    head.dense.kernel.assign(weights.kernel)
    head.dense.bias.assign(weights.bias)
