"""What computes the frozen part of a phase that is not cached, beside its steps."""

import numpy as np

from tfft.model.assemble import Cut
from tfft.runs.run import record_engine
from tfft.system.formats import RUN
from tfft.transfer.frozen.engine import FrozenFunction, declared_engine
from tfft.transfer.frozen.function import function_of
from tfft.transfer.phases.difference import compared_positions, note_difference
from tfft.transfer.phases.session import Session
from tfft.transfer.plan.plan import PhasePlan

# Examples on which it is compared with Keras: the same ones in a run that is resumed.
_SAMPLE = 8


def frozen_function(
    session: Session, plan: PhasePlan, cut: Cut, new: bool
) -> FrozenFunction | None:
    """Returns the function for the part below a cut; None: it stays in the graph of the steps.

    The run keeps what was decided, so that it goes on with the same numbers when it is resumed.

    Args:
        session: What the phases share.
        plan: The plan of the phase.
        cut: The model in two parts.
        new: Whether the phase starts with its first step; False: it is resumed.
    """
    if cut.prefix is None:
        return None
    kept = RUN.read(session.run.record_file).get("engines", {}).get(str(plan.number))
    if kept is None and not new:  # started by a version that knew the graph only
        kept = "keras"
    if plan.engine == "keras" or kept == "keras":
        found = None
    else:
        (sample,) = _inputs(session, np.arange(min(_SAMPLE, len(session.train))))
        name, cache = session.classifier.backbone.spec.name, session.recipe.train.cache
        function = function_of(cache, name, cut.prefix, sample)
        found = function if function.engine != "keras" else None
    engine = found.engine if found else "keras"
    if kept not in (None, engine):
        session.progress.message(
            f"phase {plan.number} was started with {kept} for its frozen part and goes on with "
            f"{engine}: its weights will be those of a run without a break only to rounding"
        )
    record_engine(session.run, plan.number, engine)
    if found is not None and engine == declared_engine(session.recipe.train.cache):
        (inputs,) = _inputs(session, compared_positions(len(session.train)))
        (tensors,) = found([inputs])
        note_difference(session, plan, cut.prefix, engine, inputs, tensors)
    return found


def _inputs(session: Session, positions: np.ndarray) -> list[np.ndarray]:
    """Returns the inputs of some training examples in one batch."""
    batches = session.train.take(positions).exact_batches(len(positions))
    return [batch["inputs"].numpy() for batch in batches]
