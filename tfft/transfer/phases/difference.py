"""How far an engine that a recipe names is from Keras, measured in the run that trains on it."""

from collections.abc import Sequence
from dataclasses import asdict

from tfft.system.tensorflow import keras

import numpy as np

from tfft.runs.run import record_engine
from tfft.transfer.frozen.engine import difference
from tfft.transfer.frozen.function import keras_outputs
from tfft.transfer.phases.session import Session
from tfft.transfer.plan.plan import PhasePlan

# Examples that are compared, from all over the training images.
_COMPARED = 32


def compared_positions(examples: int) -> np.ndarray:
    """Returns which of so many examples are compared, int64 [n]."""
    return np.unique(np.linspace(0, examples - 1, min(examples, _COMPARED)).astype(np.int64))


def note_difference(
    session: Session,
    plan: PhasePlan,
    prefix: keras.Model,
    engine: str,
    inputs: np.ndarray,
    actual: Sequence[np.ndarray],
) -> None:
    """Compares what a phase trains on with what Keras computes; says and records how far it is.

    Args:
        session: What the phases share.
        plan: The plan of the phase.
        prefix: The model below its cut.
        engine: What computed `actual`, as runs note it.
        inputs: Inputs of some examples, [n, ...].
        actual: The tensors at the cut that the phase trains on, [n, ...] each.
    """
    found = difference(actual, keras_outputs(prefix, inputs))
    why = f" ({plan.engine_reason})" if plan.engine_reason else ""
    session.progress.message(f"phase {plan.number}: frozen part by {engine}{why}; {found}")
    record_engine(session.run, plan.number, engine, asdict(found))
