"""Solves a heads-only phase to convergence."""

import time
from contextlib import closing

from tfft.config.train import LinearPhase
from tfft.runs.history import columns
from tfft.system.files import write_arrays
from tfft.system.formats import BEFORE_REFIT
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.linear.heads import Features, solve_heads
from tfft.transfer.phases.cached_inputs import cached_inputs
from tfft.transfer.phases.session import Session, end_epoch
from tfft.transfer.plan.plan import PhasePlan


def train_by_solver(
    session: Session, plan: PhasePlan, phase: LinearPhase, state: TrainingState
) -> None:
    """Solves the heads on the cached features and records the phase as one epoch.

    Validation metrics are of the solution before it is refitted on the validation images. So are
    the answers that the run keeps: a calibration needs images that nothing was solved on.
    """
    heads = session.classifier.heads
    with closing(cached_inputs(session, plan)) as cached:
        started = time.perf_counter()
        features = Features(
            cached.train(0),
            session.train.exact_targets(),
            cached.validation,
            session.validation.exact_targets(),
        )
        solved = solve_heads(
            {name: (head.config, head.size) for name, head in heads.items()},
            list(session.classifier.poolings),
            features,
            phase,
            session.progress,
        )
    for name, head in heads.items():
        head.dense.kernel.assign(solved[name].weights.kernel)
        head.dense.bias.assign(solved[name].weights.bias)
    held_out = {f"outputs/{n}": s.held_out for n, s in solved.items() if s.held_out is not None}
    if held_out:
        write_arrays(session.run.before_refit_file, BEFORE_REFIT.stamped(held_out))
    state.next_epoch()
    validated = {name: head.validation for name, head in solved.items() if head.validation}
    row = {
        **columns("validation", validated),
        "seconds": time.perf_counter() - started,
    }
    end_epoch(session, state, row, validated)
