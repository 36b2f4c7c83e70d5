"""Trains a recipe. The order of a training is told here, and each step where it is at home:

1. **Data and model** (`description`, `prepare`): the images of the recipe, its backbone with a
   front and heads.
2. **Plan** (`plan.plan`): what each phase trains, at which rates, above which cut.
3. **Run** (`runs.run`, `run_files`, `phases.session`): the directory, and what all phases share:
   one optimizer over every weight that will ever train, averaged weights, checkpoints, the history.
4. **Phases**, one after the other: by gradient steps (`phases.gradient`, `step.step`) or solved
   (`phases.solved`), on batches of images or on what is frozen, computed once
   (`phases.cached_inputs`, `frozen.part`); before them heads that start from the source's
   classifier (`phases.source_start`). Checkpoints on the way hold all that `resume` needs.
5. **What is left**: the best weights as one model, what it says of itself, its metrics and what the
   epochs show; the model converted, for what is asked of it next (`runtime.convert_model`), and
   kept, for the next run to fill in (`keep_template`).
"""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tfft.system.tensorflow import ONEDNN, keras

from tfft.backbones.record import backbone_to_json
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.model.unlikeness import with_unlikeness
from tfft.runs.run import Run, new_run, record, require_free
from tfft.runtime.convert_model import convert_model
from tfft.runtime.converted_predictor import may_convert
from tfft.system.files import atomic_path
from tfft.system.formats import RUN
from tfft.system.onednn import VARIABLE
from tfft.system.progress import SILENT, Progress
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.description import head_sizes, load_of_recipe
from tfft.transfer.keep_template import keep_template
from tfft.transfer.phases.gradient import train_by_gradient
from tfft.transfer.phases.session import Session, open_session
from tfft.transfer.phases.solved import train_by_solver
from tfft.transfer.phases.source_start import start_from_source_classes
from tfft.transfer.phases.unlikeness import measured_unlikeness
from tfft.transfer.plan.plan import FreezePlan, PhasePlan, make_plan
from tfft.transfer.plan.too_large import solvable_recipe
from tfft.transfer.precision import warn_if_slower
from tfft.transfer.prepare import Prepared, classifier_in_float32, prepare_with
from tfft.transfer.run_files import begin_run, write_results
from tfft.transfer.stopping import recorded_if_stopped
from tfft.transfer.thresholds import chosen_thresholds
from tfft.transfer.unlikeness import Unlikeness, chosen_pooling


def train(
    recipe: Recipe,
    *,
    run: Path | None = None,
    progress: Progress = SILENT,
    data: ImageData | None = None,
) -> Run:
    """Trains a recipe and returns its run, whose ``model.keras`` has the best weights.

    Ctrl-C leaves a run with the best weights so far, which `tfft.transfer.resume` goes on with.
    What a user calls is `tfft.transfer.start.train`, which comes here unless it can do without.

    Args:
        recipe: The recipe, resolved.
        run: Directory to make; default: ``runs/<name>``, or ``runs/<name>-<n>`` if that exists.
        progress: Where the work is reported.
        data: The images of the recipe, if they are loaded.

    Raises:
        TfftError: As `tfft.train`.
    """
    if run is not None:  # before the minutes that images and weights may take
        require_free(run)
    prepared = prepare_with(recipe, data or load_of_recipe(recipe, progress), progress)
    classifier, sizes = prepared.classifier, head_sizes(recipe, prepared.data)
    features = classifier.cut_shapes(len(classifier.backbone.blocks))
    recipe = solvable_recipe(recipe, features, sizes, progress)
    plan = make_plan(recipe, classifier, prepared.counts)
    with new_run(recipe, run) as opened:
        progress.message(f"run: {opened.path}")
        return train_phases(recipe, opened, prepared, plan, progress)


def train_in(run: Run, recipe: Recipe, data: ImageData, progress: Progress) -> Run:
    """Trains a recipe in the directory of a run that is made, on images that are loaded.

    Its heads fit into memory: there was a template for it.
    """
    prepared = prepare_with(recipe, data, progress)
    plan = make_plan(recipe, prepared.classifier, prepared.counts)
    return train_phases(recipe, run, prepared, plan, progress)


def train_phases(
    recipe: Recipe, run: Run, prepared: Prepared, plan: FreezePlan, progress: Progress
) -> Run:
    """Trains what of a plan the run has not done yet, and writes the model and its results."""
    session = open_session(recipe, run, prepared, plan, progress)
    state = session.checkpoints.restore() or TrainingState()
    if state.saves:
        progress.message(f"going on in phase {state.phase + 1} after {state.done}")

    def keep_best() -> bool:
        if state.best is not None:  # at once: nobody who stops it waits for a pass over all images
            write_model(session, prepared, state, measured=False)
        return state.best is not None

    with (
        closing(session.history),
        recorded_if_stopped(run, keep_best=keep_best, has_weights=lambda: state.saves > 0),
    ):
        begin_run(
            run,
            prepared.data,
            plan.to_json(),
            backbone_to_json(prepared.classifier.backbone),
            seed=recipe.seed,
            onednn=onednn_so_far(run, progress),
        )
        if not state.saves:
            warn_if_slower(recipe, prepared, plan, progress)
            start_from_source_classes(session, state)
        for phase in plan.phases[state.phase :]:
            run_phase(session, phase, state)
        finished, model, unlikeness = write_model(session, prepared, state)
        record(run, status="finished", finished=datetime.now(UTC).isoformat(timespec="seconds"))
    conversion = None
    if may_convert():  # what is asked of the run next then starts neither TensorFlow nor Keras
        conversion = convert_model(model, run.model_file, prepared.info(recipe))
    keep_template(finished, recipe, prepared, plan, conversion, unlikeness)
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


def write_model(
    session: Session, prepared: Prepared, state: TrainingState, *, measured: bool = True
) -> tuple[Run, keras.Model, Unlikeness | None]:
    """Writes the model with the best weights, what it says of itself, and its metrics.

    Args:
        session: The session, trained.
        prepared: The data and the model.
        state: How far the training has come.
        measured: Whether the model is to measure how unlike its training images an image is.

    Returns:
        The run with its metrics, the model as it is saved, in float32, and what it measures.
    """
    recipe, run, best = session.recipe, session.run, state.best
    session.checkpoints.restore_best(best)
    session.momenta.restore()
    for block in range(len(session.classifier.backbone.blocks)):
        for layer in session.classifier.batch_norms(block):
            layer.trainable = True
    classifier = classifier_in_float32(recipe, prepared)
    unlikeness = measured_unlikeness(session, classifier) if measured else None
    model = classifier.model
    if unlikeness is not None:
        pooling = list(classifier.poolings)[chosen_pooling(list(classifier.poolings))]
        model = with_unlikeness(classifier, pooling, unlikeness.mean, unlikeness.axes)
    with atomic_path(run.model_file) as temporary:
        model.save(temporary)
    info = prepared.info(recipe).with_thresholds(chosen_thresholds(session, model, best))
    finished = write_results(
        run,
        recipe,
        replace(info, unsure=unlikeness.info if unlikeness else None),
        prepared.data,
        (session.train, session.validation),
        state.history,
        ({"phase": best.phase + 1, "epoch": best.epoch}, best.metrics) if best else ({}, {}),
    )
    return finished, model, unlikeness
