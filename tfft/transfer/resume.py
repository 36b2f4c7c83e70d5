"""Goes on with a run that was stopped, or makes the model of its best weights so far."""

from dataclasses import replace
from pathlib import Path

from tfft.config.model import targets_of
from tfft.config.recipe import Recipe
from tfft.data.dataset import shown
from tfft.data.load import new_files
from tfft.errors import ModelFileError
from tfft.runs.finding import Finding
from tfft.runs.hold import held
from tfft.runs.run import Run, open_run, record, require_same_data
from tfft.system.files import TEMPORARY, remove_abandoned
from tfft.system.formats import METRICS, PLAN, RUN, described
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import command_text, counted
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.description import load_of_recipe
from tfft.transfer.phases.session import open_session
from tfft.transfer.plan.plan import FreezePlan, make_plan
from tfft.transfer.prepare import Prepared, prepare_with
from tfft.transfer.stopping import finish_command
from tfft.transfer.train import train_phases, write_model


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
        return _as_it_ended(run, recipe, progress)
    with held(path):
        if _is_finished(run):  # by the process that held it before
            return _as_it_ended(run, recipe, progress)
        remove_abandoned(run.path, f"**/.*{TEMPORARY}*")
        return _resume(run, recipe, finish, progress)


def _is_finished(run: Run) -> bool:
    return RUN.read(run.record_file).get("status") == "finished" and run.model_file.is_file()


def _as_it_ended(run: Run, recipe: Recipe, progress: Progress) -> Run:
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
        return _model_so_far(recipe, run, prepared, plan, progress)
    if RUN.read(run.record_file).get("status") == "not finite":
        progress.message(
            f"{run.path} was stopped by values that are not finite, and comes to them again if "
            f"nothing has changed. A model of the weights before them: {finish_command(run)}"
        )
    return train_phases(recipe, run, prepared, plan, progress)


def _say_what_is_new(run: Run, recipe: Recipe, progress: Progress) -> None:
    """Says which photos came after a finished run, and how to train on them too."""
    kept = run.kept_splits()
    new = new_files(recipe.data, targets_of(recipe.heads), kept) if kept else ()
    if new:
        command = command_text("train", run.recipe_file, "--set", f"data.split_like={run.path}")
        progress.message(
            f"{counted(len(new), 'image')} new since then: {', '.join(shown(new))}\n"
            f"To train on them too, with the same test images: {command}"
        )


def _model_so_far(
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
    finished, *_ = write_model(session, prepared, state)
    if RUN.read(run.record_file).get("status") != "not finite":
        record(run, status="interrupted")
    return finished
