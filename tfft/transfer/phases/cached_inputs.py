"""Inputs of a cached phase: the tensors at its cut, of all images, in place of the images."""

from collections.abc import Callable, Sequence

import numpy as np

from tfft.cache.store import StoredRows
from tfft.cache.tensors import RESIDENT_BYTES, Rows
from tfft.data.examples import Examples
from tfft.runs.run import record_engine
from tfft.transfer.frozen.build import frozen_part
from tfft.transfer.frozen.engine import declared_engine
from tfft.transfer.frozen.part import View, inputs_of
from tfft.transfer.phases.difference import compared_positions, note_difference
from tfft.transfer.phases.inputs import CachedTensors
from tfft.transfer.phases.session import Session
from tfft.transfer.plan.plan import PhasePlan, plans_of_one_pass


def cached_inputs(session: Session, plan: PhasePlan) -> CachedTensors:
    """Returns the inputs of a cached phase; tensors that are not in the cache are computed.

    Tensors that later phases need of the same weights are computed in the same pass over the
    images. Augmented views are computed one by one, each in the epoch that first needs it. The run
    notes what computed the tensors, now or when they came into the cache, and how far they are from
    Keras's if the recipe names what computes them.
    """
    phases = plans_of_one_pass(session.plan.phases, plan, session.recipe.train.cache.max_gb)
    frozen = frozen_part(
        session.recipe,
        session.classifier,
        [phase.frozen_blocks for phase in phases],
        session.progress,
    )
    augmentation = getattr(plan.config, "augment", "none")
    declared = declared_engine(session.recipe.train.cache)
    engines: set[str] = set()

    def outputs(examples: Examples, split: str, view: View | None = None) -> StoredRows:
        found = frozen.outputs(examples, split, view)
        if declared and not engines:
            compare(declared, found, examples, view)
        if more := set(found.said("engine")) - engines:
            engines.update(more)
            record_engine(session.run, plan.number, ", ".join(sorted(engines)))
        return found

    def compare(engine: str, rows: StoredRows, examples: Examples, view: View | None) -> None:
        some = compared_positions(len(examples))
        inputs = np.concatenate(list(inputs_of(examples, some, view)))
        prefix = session.classifier.below([plan.frozen_blocks])
        tensors = [tensor[some] for tensor in rows.tensors]
        note_difference(session, plan, prefix, engine, inputs, tensors)

    rows = _OpenRows(resident=plan.cache_bytes <= RESIDENT_BYTES)

    def train(epoch: int) -> Sequence[Rows]:
        number = epoch % plan.views if plan.views else None
        view = None if number is None else View(augmentation, session.recipe.seed, number)
        return rows.get(number, lambda: outputs(session.train, "train", view))

    try:
        if not plan.views:
            train(0)
        validation = rows.get("validation", lambda: outputs(session.validation, "validation"))
    except BaseException:
        rows.close()
        raise
    return CachedTensors(
        train,
        _by_head(session, session.train),
        validation,
        _by_head(session, session.validation),
        session.recipe.train.batch_size,
        session.order,
        rows.close,
    )


class _OpenRows:
    """Rows of the cache that a phase has open, held in memory if they are small."""

    def __init__(self, resident: bool) -> None:
        self._resident = resident
        self._open: list[StoredRows] = []
        self._found: dict[object, Sequence[Rows]] = {}

    def get(self, name: object, make: Callable[[], StoredRows]) -> Sequence[Rows]:
        if name not in self._found:
            rows = make()
            if self._resident:
                self._found[name] = [tensor[:] for tensor in rows.tensors]
                rows.close()
            else:
                self._found[name] = rows.tensors
                self._open.append(rows)
        return self._found[name]

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


def _by_head(session: Session, examples: Examples) -> dict[str, np.ndarray]:
    values = examples.exact_targets()
    return {head: values[target] for head, target in session.targets.items()}
