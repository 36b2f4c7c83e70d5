"""Trains a recipe. The order of a training is told here, and each step where it is at home:

1. **Data and model** (`prepare`): the images of the recipe, its backbone with a front and heads.
2. **Plan** (`plan.plan`): what each phase trains, at which rates, above which cut.
3. **Run** (`runs.run`, `phases.session`): the directory, and what all phases share: one optimizer
   over every weight that will ever train, averaged weights, checkpoints, the history.
4. **Phases**, one after the other: by gradient steps (`phases.gradient`, `step.step`) or solved
   (`phases.solved`), on batches of images or on what is frozen, computed once
   (`phases.cached_inputs`, `frozen.part`). Checkpoints on the way hold all that goes on.
5. **What is left**: the best weights as one model, what it says of itself, its metrics and what the
   epochs show.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tfft.backbones.record import FILE_NAME, backbone_to_json
from tfft.config.recipe import Recipe
from tfft.runs.diagnosis import Finding, diagnose
from tfft.runs.run import Run, create_run, open_run, record, require_same_data
from tfft.system.files import atomic_path, write_json
from tfft.system.formats import BACKBONE, METRICS, PLAN, RUN, known
from tfft.system.progress import SILENT, Progress
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.phases.gradient import train_by_gradient
from tfft.transfer.phases.session import Session, open_session
from tfft.transfer.phases.solved import train_by_solver
from tfft.transfer.phases.source_start import start_from_source_classes
from tfft.transfer.plan.plan import FreezePlan, PhasePlan, make_plan
from tfft.transfer.prepare import (
    Prepared,
    load_of_recipe,
    model_in_float32,
    model_info,
    prepare,
    prepare_with,
)


def train(recipe: Recipe, *, run: Path | None = None, progress: Progress = SILENT) -> Run:
    """Trains a recipe and returns its run, whose ``model.keras`` has the best weights.

    Ctrl-C leaves a run with the best weights so far, which `resume` goes on with.

    Args:
        recipe: The recipe, resolved.
        run: Directory to make; default: ``runs/<name>``, or ``runs/<name>-<n>`` if that exists.
        progress: Where the work is reported.

    Raises:
        RecipeError: The schedule does not fit the model.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights cannot be found.
        TfftError: Values are not finite, the disk is full, …
    """
    prepared = prepare(recipe, progress)
    plan = make_plan(recipe, prepared.classifier, prepared.counts)
    opened = create_run(recipe, run)
    progress.message(f"run: {opened.path}")
    return _train(recipe, opened, prepared, plan, progress)


def resume(path: Path, *, progress: Progress = SILENT) -> Run:
    """Goes on with a run from its last checkpoint, which ends as if it had never stopped.

    A run that is finished is returned as it is.

    Raises:
        ModelFileError: `path` is not a run, or its checkpoint is of another model.
        DataError: The images are not those that it was started with.
        TfftError: As `train`.
    """
    run, recipe = open_run(path)
    if RUN.read(run.record_file)["status"] == "finished" and run.model_file.is_file():
        progress.message(f"{run.path} is finished: there is nothing left to train")
        kept = METRICS.read(run.metrics_file)
        diagnosis = tuple(Finding(**known(Finding, finding)) for finding in kept["diagnosis"])
        return replace(run, metrics=kept["validation"], diagnosis=diagnosis)
    data = load_of_recipe(recipe, progress)
    require_same_data(run, data)
    prepared = prepare_with(recipe, data, progress)
    # What is cached stays as it was decided at the start: the room on the disk may have changed.
    phases = PLAN.read_if_there(run.plan_file).get("phases", [])
    cached = [bool(phase["cached"]) for phase in phases]
    plan = make_plan(recipe, prepared.classifier, prepared.counts, cached)
    return _train(recipe, run, prepared, plan, progress)


def _train(
    recipe: Recipe, run: Run, prepared: Prepared, plan: FreezePlan, progress: Progress
) -> Run:
    session = open_session(recipe, run, prepared, plan, progress)
    state = session.checkpoints.restore() or TrainingState()
    if state.saves:
        progress.message(f"going on in phase {state.phase + 1} after {state.done}")
    PLAN.write(run.plan_file, plan.to_json())
    BACKBONE.write(run.path / FILE_NAME, backbone_to_json(prepared.classifier.backbone))
    record(run, status="running", data=prepared.data.to_json(), seed=recipe.seed)
    with _usable_if_interrupted(session, prepared, state):
        if not state.saves:
            start_from_source_classes(session, state)
        for phase in plan.phases[state.phase :]:
            run_phase(session, phase, state)
    finished = _finish(session, prepared, state)
    record(run, status="finished", finished=datetime.now(UTC).isoformat(timespec="seconds"))
    return finished


def run_phase(session: Session, plan: PhasePlan, state: TrainingState) -> None:
    """Trains what of a phase `state` has not done yet, and saves a checkpoint."""
    if plan.config.solver == "linear":
        train_by_solver(session, plan, plan.config, state)
    else:
        train_by_gradient(session, plan, plan.config, state)
    state.next_phase()
    session.checkpoints.save(state)


@contextmanager
def _usable_if_interrupted(
    session: Session, prepared: Prepared, state: TrainingState
) -> Iterator[None]:
    """On Ctrl-C, writes the model with the best weights so far; its notes say how to go on."""
    run = session.run
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if state.best is not None:
            _finish(session, prepared, state)
            interrupt.add_note(f"{run.path} has the best weights so far and can be used as it is.")
        record(run, status="interrupted")
        interrupt.add_note(f"Go on with: tfft train --resume {run.path}")
        raise
    finally:
        session.history.close()


def _finish(session: Session, prepared: Prepared, state: TrainingState) -> Run:
    """Writes the model with the best weights, what it says of itself, and its metrics."""
    recipe, run, best = session.recipe, session.run, state.best
    session.checkpoints.restore_best(best)
    session.momenta.restore()
    for block in range(len(session.classifier.backbone.blocks)):
        for layer in session.classifier.batch_norms(block):
            layer.trainable = True
    model = model_in_float32(recipe, prepared)
    with atomic_path(run.model_file) as temporary:
        model.save(temporary)
    write_json(run.model_info_file, model_info(recipe, prepared).to_json())
    metrics = best.metrics if best else {}
    place = {"phase": best.phase + 1, "epoch": best.epoch} if best else {}
    diagnosis = tuple(diagnose(state.history, recipe, session.plan.images["validation"]))
    found = [finding.to_json() for finding in diagnosis]
    METRICS.write(run.metrics_file, {"validation": metrics, "best": place, "diagnosis": found})
    return replace(run, metrics=metrics, diagnosis=diagnosis)
