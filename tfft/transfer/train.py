"""Trains a recipe: data, model and plan together, then one phase after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tfft.system.tensorflow import keras

from tfft.backbones.record import FILE_NAME, backbone_to_json
from tfft.config.model import HubBackbone, is_random
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.model.assemble import Classifier
from tfft.runs.diagnosis import Finding, diagnose
from tfft.runs.history import History
from tfft.runs.run import Run, create_run, open_run, record, require_same_data
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.system.files import atomic_path, read_json, write_json
from tfft.system.progress import SILENT, Progress
from tfft.transfer.checkpoints import Checkpoints, TrainingState
from tfft.transfer.estimate import Stopwatch
from tfft.transfer.phases.gradient import train_by_gradient
from tfft.transfer.phases.session import Training
from tfft.transfer.phases.solved import train_by_solver
from tfft.transfer.phases.source_start import start_from_source_classes
from tfft.transfer.plan.plan import FreezePlan, PhasePlan, make_plan
from tfft.transfer.prepare import (
    Prepared,
    build_of_recipe,
    load_of_recipe,
    prepare,
    prepare_with,
)
from tfft.transfer.step.average import WeightAverage
from tfft.transfer.step.batch_norm import Momenta, keep_up_from_scratch
from tfft.transfer.step.optimizers import PhaseOptimizer, build_optimizer
from tfft.version import __version__


def dry_run(recipe: Recipe, progress: Progress = SILENT, *, measure: bool = False) -> FreezePlan:
    """Returns the freeze plan of a recipe; loads data and weights, and trains nothing.

    Args:
        recipe: what would be done.
        progress: where the work is reported.
        measure: estimate the time of each phase from a short measurement.

    Raises:
        TfftError: As `train`.
    """
    prepared = prepare(recipe, progress)
    classifier = prepared.classifier
    plan = make_plan(recipe, classifier, prepared.counts)
    if not measure:
        return plan
    stopwatch = Stopwatch(
        classifier,
        _optimizer(recipe, classifier),
        prepared.examples("train"),
        recipe.train.batch_size,
        {name: head.config.target for name, head in classifier.heads.items()},
        progress,
    )
    return stopwatch.measured(plan, recipe.train.cache.max_gb)


def train(recipe: Recipe, *, run: Path | None = None, progress: Progress = SILENT) -> Run:
    """Trains a recipe and returns its run, whose ``model.keras`` has the best weights.

    Ctrl-C leaves a run with the best weights so far, which `resume` goes on with.

    Args:
        recipe: what to do.
        run: directory to make; default: ``runs/<name>``, or ``runs/<name>-<n>`` if that exists.
        progress: where the work is reported.

    Raises:
        RecipeError: The schedule does not fit the model.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights are not to be had.
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
        ModelFileError: `path` is no run, or its checkpoint is of another model.
        DataError: The images are not those that it was started with.
        TfftError: As `train`.
    """
    opened, recipe = open_run(path)
    finished = _finished(opened)
    if finished is not None:
        progress.message(f"{opened.path} is finished: there is nothing left to train")
        return finished
    data = load_of_recipe(recipe, progress)
    require_same_data(opened, data)
    prepared = prepare_with(recipe, data, progress)
    plan = make_plan(recipe, prepared.classifier, prepared.counts, _decided(opened))
    return _train(recipe, opened, prepared, plan, progress)


def _finished(run: Run) -> Run | None:
    """The run with its figures, if it is finished."""
    if read_json(run.record_file)["status"] != "finished" or not run.model_file.is_file():
        return None
    found = read_json(run.metrics_file)
    diagnosis = tuple(Finding(**finding) for finding in found["diagnosis"])
    return Run(run.path, found["validation"], diagnosis)


def _decided(run: Run) -> list[bool]:
    """Whether each phase is cached, as the run was started: room on the disk may have changed."""
    if not run.plan_file.is_file():
        return []
    return [bool(phase["cached"]) for phase in read_json(run.plan_file)["phases"]]


def prepare_training(recipe: Recipe, run: Run, progress: Progress = SILENT) -> Training:
    """Loads data and weights, plans, and returns what the phases of `run` work on.

    Raises:
        TfftError: As `train`.
    """
    prepared = prepare(recipe, progress)
    plan = make_plan(recipe, prepared.classifier, prepared.counts)
    return _training(recipe, run, prepared, plan, progress)


def _training(
    recipe: Recipe, run: Run, prepared: Prepared, plan: FreezePlan, progress: Progress
) -> Training:
    classifier = prepared.classifier
    scratch = is_random(recipe.backbone)
    momenta = keep_up_from_scratch(classifier, plan) if scratch else Momenta()
    optimizer = _optimizer(recipe, classifier)
    averaged = any(getattr(phase, "ema_decay", None) for phase in recipe.train.phases)
    average = WeightAverage(_float_variables(classifier)) if averaged else None
    beside = [*optimizer.variables, *(average.variables if average else ())]
    return Training(
        recipe,
        prepared.examples("train"),
        prepared.examples("validation"),
        classifier,
        plan,
        optimizer,
        average,
        Checkpoints(run.checkpoints, classifier.model.variables, beside),
        History(run.path),
        progress,
        run,
        momenta,
    )


def _train(
    recipe: Recipe, run: Run, prepared: Prepared, plan: FreezePlan, progress: Progress
) -> Run:
    training = _training(recipe, run, prepared, plan, progress)
    state = training.checkpoints.restore() or TrainingState()
    if state.saves:
        progress.message(f"going on in phase {state.phase + 1} after {_done(state)}")
    write_json(run.plan_file, plan.to_json())
    write_json(run.path / FILE_NAME, backbone_to_json(prepared.classifier.backbone))
    record(run, status="running", data=_data_record(prepared.data), seed=recipe.seed)
    with _what_is_left_is_usable(run, training, prepared, state):
        if not state.saves:
            start_from_source_classes(training, state)
        for phase in plan.phases[state.phase :]:
            run_phase(training, phase, state)
    finished = _finish(run, training, prepared, state)
    record(run, status="finished", finished=datetime.now(UTC).isoformat(timespec="seconds"))
    return finished


def _optimizer(recipe: Recipe, classifier: Classifier) -> PhaseOptimizer:
    return build_optimizer(
        recipe.train.optimizer,
        classifier.weights,
        loss_scaling=recipe.train.mixed_precision == "mixed_float16",
        keep_start=any(getattr(phase, "l2sp", None) for phase in recipe.train.phases),
    )


def _float_variables(classifier: Classifier) -> list[keras.Variable]:
    return [v for v in classifier.model.variables if v.dtype.startswith("float")]


def _done(state: TrainingState) -> str:
    epochs = f"{state.epoch} epoch{'' if state.epoch == 1 else 's'}"
    if not state.epoch_step:
        return epochs
    return f"{epochs} and {state.epoch_step} step{'' if state.epoch_step == 1 else 's'}"


def run_phase(training: Training, plan: PhasePlan, state: TrainingState) -> None:
    """Trains what of a phase `state` has not done yet."""
    if plan.config.solver == "linear":
        train_by_solver(training, plan, plan.config, state)
    else:
        train_by_gradient(training, plan, plan.config, state)
    state.next_phase()
    training.checkpoints.save(state)


@contextmanager
def _what_is_left_is_usable(
    run: Run, training: Training, prepared: Prepared, state: TrainingState
) -> Iterator[None]:
    """On Ctrl-C, writes the model with the best weights so far; notes on it say how to go on."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if state.best is not None:
            _finish(run, training, prepared, state)
            interrupt.add_note(f"{run.path} has the best weights so far and can be used as it is.")
        record(run, status="interrupted")
        interrupt.add_note(f"Go on with: tfft train --resume {run.path}")
        raise
    finally:
        training.history.close()


def _finish(run: Run, training: Training, prepared: Prepared, state: TrainingState) -> Run:
    """Writes the model with the best weights, what it says of itself, and its metrics."""
    training.checkpoints.restore_best(state.best)
    training.momenta.restore()
    classifier = training.classifier
    for block in range(len(classifier.backbone.blocks)):
        for layer in classifier.batch_norms(block):
            layer.trainable = True
    model = _in_float32(training.recipe, prepared)
    with atomic_path(run.model_file) as temporary:
        model.save(temporary)
    write_json(run.model_info_file, _model_info(training.recipe, prepared).to_json())
    best = state.best
    metrics = best.metrics if best else {}
    place = {"phase": best.phase + 1, "epoch": best.epoch} if best else {}
    validation_images = training.plan.images["validation"]
    diagnosis = tuple(diagnose(state.history, training.recipe, validation_images))
    found = [finding.to_json() for finding in diagnosis]
    write_json(run.metrics_file, {"validation": metrics, "best": place, "diagnosis": found})
    return Run(run.path, metrics, diagnosis)


def _in_float32(recipe: Recipe, prepared: Prepared) -> keras.Model:
    """The model as it is exported: in float32, whatever policy it was trained with."""
    classifier = prepared.classifier
    if recipe.train.mixed_precision == "float32":
        return classifier.model
    untrained = recipe.backbone
    if not isinstance(untrained, HubBackbone):
        untrained = untrained.model_copy(update={"weights": "random"})
    rebuilt = build_of_recipe(
        recipe.model_copy(update={"backbone": untrained}), prepared.data, "float32", SILENT
    )
    rebuilt.model.set_weights(classifier.model.get_weights())
    return rebuilt.model


def _model_info(recipe: Recipe, prepared: Prepared) -> ModelInfo:
    classifier, data = prepared.classifier, prepared.data
    return ModelInfo(
        name=recipe.export.name or recipe.name,
        pixels=prepared.pixels,
        heads={
            name: HeadInfo(head.kind, tuple(data.class_names.get(head.target, ())), head.target)
            for name, head in recipe.heads.items()
        },
        backbone=classifier.backbone.spec.name,
        licence=classifier.backbone.spec.licence,
        data=recipe.data.model_dump(mode="json"),
        tfft_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _data_record(data: ImageData) -> dict[str, object]:
    return {
        "name": data.name,
        "fingerprint": data.fingerprint(),
        "images": data.counts,
        "skipped": [{"path": bad.path, "reason": bad.reason} for bad in data.skipped],
    }
