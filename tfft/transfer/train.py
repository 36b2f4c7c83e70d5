"""Trains a recipe. The order of a training is told here, and each step where it is at home:

1. **Data and model** (`prepare`): the images of the recipe, its backbone with a front and heads.
2. **Plan** (`plan.plan`): what each phase trains, at which rates, above which cut.
3. **Run** (`runs.run`, `phases.session`): the directory, and what all phases share: one optimizer
   over every weight that will ever train, averaged weights, checkpoints, the history.
4. **Phases**, one after the other: by gradient steps (`phases.gradient`, `step.step`) or solved
   (`phases.solved`), on batches of images or on what is frozen, computed once
   (`phases.cached_inputs`, `frozen.part`). Checkpoints on the way hold all that goes on.
5. **What is left**: the best weights as one model, what it says of itself, its metrics and what the
   epochs show; and the model converted, for what is asked of it next (`runtime.convert_model`).
"""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tfft.system.tensorflow import ONEDNN, keras

from tfft.backbones.record import FILE_NAME, backbone_to_json
from tfft.config.model import targets_of
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData, shown
from tfft.data.kept_splits import write_kept_splits
from tfft.data.load import new_files
from tfft.errors import ModelFileError
from tfft.runs.finding import Finding
from tfft.runs.hold import held
from tfft.runs.run import Run, new_run, open_run, record, require_free, require_same_data
from tfft.runtime.convert_model import convert_model
from tfft.runtime.converted_predictor import may_convert
from tfft.system.digests import file_sha256
from tfft.system.files import TEMPORARY, atomic_path, remove_abandoned
from tfft.system.formats import BACKBONE, METRICS, PLAN, RUN, described
from tfft.system.onednn import VARIABLE
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import command_text, counted
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.description import load_of_recipe
from tfft.transfer.keep_template import keep_template
from tfft.transfer.phases.gradient import train_by_gradient
from tfft.transfer.phases.session import Session, open_session
from tfft.transfer.phases.solved import train_by_solver
from tfft.transfer.phases.source_start import start_from_source_classes
from tfft.transfer.plan.plan import FreezePlan, PhasePlan, make_plan
from tfft.transfer.plan.too_large import solvable_recipe
from tfft.transfer.precision import warn_if_slower
from tfft.transfer.prepare import (
    Prepared,
    model_in_float32,
    prepare_with,
)
from tfft.transfer.results import write_results
from tfft.transfer.stopping import finishing, recorded_if_stopped
from tfft.transfer.thresholds import chosen_thresholds


def train(
    recipe: Recipe,
    *,
    run: Path | None = None,
    progress: Progress = SILENT,
    data: ImageData | None = None,
) -> Run:
    """Trains a recipe and returns its run, whose ``model.keras`` has the best weights.

    Ctrl-C leaves a run with the best weights so far, which `resume` goes on with. What a user calls
    is `tfft.transfer.start.train`, which comes here unless it can do without.

    Args:
        recipe: The recipe, resolved.
        run: Directory to make; default: ``runs/<name>``, or ``runs/<name>-<n>`` if that exists.
        progress: Where the work is reported.
        data: The images of the recipe, if they are loaded.

    Raises:
        RecipeError: The schedule does not fit the model.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights cannot be found.
        UsageError: `run` holds something already, or another process holds it.
        NotFiniteError: A loss or a weight is NaN or infinite.
        TfftError: The disk is full, …
    """
    if run is not None:  # before the minutes that images and weights may take
        require_free(run)
    prepared = prepare_with(recipe, data or load_of_recipe(recipe, progress), progress)
    recipe = solvable_recipe(recipe, prepared.classifier, progress)
    plan = make_plan(recipe, prepared.classifier, prepared.counts)
    with new_run(recipe, run) as opened:
        progress.message(f"run: {opened.path}")
        return _train(recipe, opened, prepared, plan, progress)


def train_in(run: Run, recipe: Recipe, data: ImageData, progress: Progress) -> Run:
    """Does what `train` does in the directory of a run that is made, on images that are loaded."""
    prepared = prepare_with(recipe, data, progress)
    plan = make_plan(recipe, prepared.classifier, prepared.counts)
    return _train(recipe, run, prepared, plan, progress)


def resume(path: Path, *, finish: bool = False, progress: Progress = SILENT) -> Run:
    """Goes on with a run from its last checkpoint, which ends as if it had never stopped.

    A run that is finished is returned as it is. What a killed process left half written in the run
    is removed.

    Args:
        path: Directory of the run.
        finish: Train no further, but make the model of the best weights so far.
        progress: Where the work is reported.

    Raises:
        ModelFileError: `path` is not a run, its checkpoint is of another model, or there are no
            weights yet to `finish` with.
        DataError: The images are not those that it was started with.
        UsageError: Another process holds the run.
        TfftError: As `train`.
    """
    run, recipe = open_run(path)
    if _is_finished(run):
        return _finished(run, recipe, progress)
    with held(path):
        if _is_finished(run):  # by the process that held it before
            return _finished(run, recipe, progress)
        remove_abandoned(run.path, f"**/.*{TEMPORARY}*")
        return _resume(run, recipe, finish, progress)


def _is_finished(run: Run) -> bool:
    return RUN.read(run.record_file).get("status") == "finished" and run.model_file.is_file()


def _finished(run: Run, recipe: Recipe, progress: Progress) -> Run:
    progress.message(f"{run.path} is finished: there is nothing left to train")
    _say_what_is_new(run, recipe, progress)
    kept = METRICS.read(run.metrics_file)
    diagnosis = described(tuple[Finding, ...], kept["diagnosis"], run.metrics_file, METRICS.what)
    notes = tuple(RUN.read(run.record_file).get("data", {}).get("notes", ()))
    return replace(run, metrics=kept["validation"], diagnosis=diagnosis, notes=notes)


def _resume(run: Run, recipe: Recipe, finish: bool, progress: Progress) -> Run:
    data = load_of_recipe(recipe, progress, run.kept_splits())
    require_same_data(run, data)
    prepared = prepare_with(recipe, data, progress)
    # What is cached stays as it was decided at the start: the room on the disk may have changed.
    phases = PLAN.read_if_there(run.plan_file).get("phases", [])
    cached = [bool(phase["cached"]) for phase in phases]
    plan = make_plan(recipe, prepared.classifier, prepared.counts, cached)
    if finish:
        return _finish_early(recipe, run, prepared, plan, progress)
    if RUN.read(run.record_file).get("status") == "not finite":
        progress.message(
            f"{run.path} was stopped by values that are not finite, and comes to them again if "
            f"nothing has changed. A model of the weights before them: {finishing(run)}"
        )
    return _train(recipe, run, prepared, plan, progress)


def _say_what_is_new(run: Run, recipe: Recipe, progress: Progress) -> None:
    """Says which photos came after a finished run, and how to train on them too."""
    kept = run.kept_splits()
    new = new_files(recipe.data, targets_of(recipe.heads), kept) if kept else ()
    if new:
        again = command_text("train", run.recipe_file, "--set", f"data.split_like={run.path}")
        progress.message(
            f"{counted(len(new), 'image')} new since then: {', '.join(shown(new))}\n"
            f"To train on them too, with the same test images: {again}"
        )


def _train(
    recipe: Recipe, run: Run, prepared: Prepared, plan: FreezePlan, progress: Progress
) -> Run:
    is_converted = may_convert()
    session = open_session(recipe, run, prepared, plan, progress)
    state = session.checkpoints.restore() or TrainingState()
    if state.saves:
        progress.message(f"going on in phase {state.phase + 1} after {state.done}")

    def finish() -> bool:
        if state.best is not None:
            _finish(session, prepared, state)
        return state.best is not None

    with (
        closing(session.history),
        recorded_if_stopped(run, finish=finish, has_weights=lambda: state.saves > 0),
    ):
        if not run.splits_file.is_file():
            write_kept_splits(run.splits_file, prepared.data)
        PLAN.write(run.plan_file, plan.to_json())
        BACKBONE.write(run.path / FILE_NAME, backbone_to_json(prepared.classifier.backbone))
        record(
            run,
            status="running",
            data=prepared.data.to_json(),
            splits_sha256=file_sha256(run.splits_file),
            seed=recipe.seed,
            onednn=onednn_so_far(run, progress),
        )
        if not state.saves:
            warn_if_slower(recipe, prepared, plan, progress)
            start_from_source_classes(session, state)
        for phase in plan.phases[state.phase :]:
            run_phase(session, phase, state)
        finished, model = _finish(session, prepared, state)
        record(run, status="finished", finished=datetime.now(UTC).isoformat(timespec="seconds"))
    conversion = None
    if is_converted:  # what is asked of the run next then starts neither TensorFlow nor Keras
        conversion = convert_model(model, run.model_file, prepared.info(recipe))
    keep_template(finished, recipe, prepared, plan, conversion)
    return finished


def onednn_so_far(run: Run, progress: Progress) -> str:
    """Returns whether the run has been computed with oneDNN, and says so where that changes."""
    before = RUN.read(run.record_file).get("onednn", "")
    if run.onednn in (None, ONEDNN):
        return before or ONEDNN
    progress.message(
        f"{run.path} was computed with oneDNN {run.onednn} so far and goes on with it {ONEDNN}, as "
        f"{VARIABLE} or this machine has it: its weights will be those of a run without a break "
        "only to rounding"
    )
    return f"{before}, then {ONEDNN}"


def run_phase(session: Session, plan: PhasePlan, state: TrainingState) -> None:
    """Trains what of a phase `state` has not done yet, and saves a checkpoint."""
    if plan.config.solver == "linear":
        train_by_solver(session, plan, plan.config, state)
    else:
        train_by_gradient(session, plan, plan.config, state)
    state.next_phase()
    session.checkpoints.save(state)


def _finish_early(
    recipe: Recipe, run: Run, prepared: Prepared, plan: FreezePlan, progress: Progress
) -> Run:
    """Makes the model of the best weights so far, or of the last state if no epoch has ended."""
    session = open_session(recipe, run, prepared, plan, progress)
    session.history.close()
    state = session.checkpoints.restore() or TrainingState()
    state = session.checkpoints.last_best(state.saves) or state
    if not state.saves:
        raise ModelFileError(
            f"{run.path} has no weights yet to make a model of: no epoch has ended. Go on with it: "
            f"{command_text('train', '--resume', run.path)}"
        )
    finished, _ = _finish(session, prepared, state)
    if RUN.read(run.record_file).get("status") != "not finite":
        record(run, status="interrupted")
    return finished


def _finish(session: Session, prepared: Prepared, state: TrainingState) -> tuple[Run, keras.Model]:
    """Writes the model with the best weights, what it says of itself, and its metrics.

    Returns:
        The run with its metrics, and the model as it is saved, in float32.
    """
    recipe, run, best = session.recipe, session.run, state.best
    session.checkpoints.restore_best(best)
    session.momenta.restore()
    for block in range(len(session.classifier.backbone.blocks)):
        for layer in session.classifier.batch_norms(block):
            layer.trainable = True
    model = model_in_float32(recipe, prepared)
    with atomic_path(run.model_file) as temporary:
        model.save(temporary)
    finished = write_results(
        run,
        recipe,
        prepared.info(recipe).with_thresholds(chosen_thresholds(session, model, best)),
        prepared.data,
        (session.train, session.validation),
        state.history,
        ({"phase": best.phase + 1, "epoch": best.epoch}, best.metrics) if best else ({}, {}),
    )
    return finished, model
