"""Several ways of training, compared on the same data over seeds and parts of the data."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfft.config.model import targets_of
from tfft.config.recipe import Recipe
from tfft.data.load import load_data
from tfft.errors import DataError, UsageError
from tfft.evaluation.answers import answers_key, kept_answers
from tfft.evaluation.data import evaluation_images
from tfft.evaluation.evaluate import evaluate
from tfft.runs.run import Run, open_run, require_same_data
from tfft.runtime.load import load_predictor
from tfft.studies.arms import Arm
from tfft.studies.process import WorkerError, is_finished, owned_study, run_worker
from tfft.system.formats import RUN
from tfft.system.names import require_name
from tfft.system.progress import SILENT, Progress

STUDIES = Path("studies")
_TO_GET_IMAGES = {
    "validation": "set data.validation_fraction above 0",
    "test": "set data.test_fraction above 0, or name a test split",
}


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        arm: Name of the arm.
        fraction: Share of the training images.
        seed: Seed, counted from the recipe's own.
        run: Directory of the run.
        recipe: Recipe of the run; None for a finished run that is taken as it is.
    """

    arm: str
    fraction: float
    seed: int
    run: Path
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Study:
    """A comparison as it was planned, and how far it got.

    Attributes:
        path: Directory of the study.
        arms: The arms, in the order of the tables.
        cells: The runs, in the order in which they run: small parts of the data first.
        failed: Why a run has no result, by its directory.
    """

    path: Path
    arms: tuple[Arm, ...]
    cells: tuple[Cell, ...]
    failed: dict[str, str] = field(default_factory=dict)


def plan_study(
    arms: Sequence[Arm],
    *,
    seeds: int = 3,
    fractions: Sequence[float] = (1.0,),
    name: str | None = None,
) -> Study:
    """Returns the cells of a comparison and where they go.

    Args:
        arms: Arms that are compared.
        seeds: Runs of each arm and fraction on the same images; a seed decides weights, order and
            augmentation. Finished runs are taken as they are.
        fractions: Shares of the training images.
        name: Name of the directory in ``studies``. Default: derived from the arms and their
            recipes, so that the same comparison, also one with more seeds or fractions, continues
            where it stopped.

    Raises:
        UsageError: A number is out of its range, `name` is not one, or finished runs share no part
            of the data.
    """
    if seeds < 1:
        raise UsageError(f"a comparison needs at least 1 seed. Received: {seeds}")
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise UsageError(f"a fraction is above 0 and at most 1. Received: {fraction:g}")
    path = STUDIES / (_name(arms) if name is None else require_name(name))
    made = [arm for arm in arms if not arm.runs]
    cells = [
        Cell(
            arm.name,
            fraction,
            seed,
            path / "runs" / arm.name / f"{fraction:g}" / f"seed-{seed}",
            arm.recipe_at(fraction, seed),
        )
        for fraction in sorted(set(fractions))
        for seed in range(seeds)
        for arm in made
    ]
    taken = [(arm, run, open_run(run)[1]) for arm in arms for run in arm.runs]
    finished = [Cell(arm.name, its.data.fraction, its.seed, run) for arm, run, its in taken]
    study = Study(path, tuple(arms), (*finished, *cells))
    _require_pairs(study)
    return study


def run_study(study: Study, progress: Progress = SILENT) -> Study:
    """Runs what is missing from a comparison; a run that fails does not end the others.

    Returns:
        The study, with the runs that failed.

    Raises:
        KeyboardInterrupt: Raised with a note that says how to continue.
        UsageError: A run exists already with another recipe, or another process runs the study.
        DataError: There are no test images, or those of a finished run that is taken as it is have
            changed.
    """
    failed = {}
    with owned_study(study.path):
        to_do = (c.recipe for c in study.cells if c.recipe is not None and not is_finished(c.run))
        first = next(to_do, None)
        if first is not None:  # the data of all arms have the same test images
            require_images(first, "test", progress)
        for number, cell in enumerate(study.cells, start=1):
            title = (
                f"run {number} of {len(study.cells)}, {cell.arm}, {cell.fraction:.3g} of the data, "
                f"seed {cell.seed}"
            )
            try:
                if cell.recipe is None:
                    _evaluate_taken(cell.run, progress)
                    continue
                if not is_finished(cell.run):
                    progress.message(title)
                run_worker(cell.recipe, cell.run, "test", title=title, progress=progress)
            except WorkerError as error:
                progress.message(f"{title} failed: {error}")
                failed[str(cell.run)] = str(error)
    return Study(study.path, study.arms, study.cells, failed)


def require_images(recipe: Recipe, split: str, progress: Progress) -> None:
    """Requires that a recipe's data have images of the split by which runs are judged.

    Args:
        recipe: Recipe with the data.
        split: ``validation`` or ``test``.
        progress: Where the work is reported.

    Raises:
        DataError: There are none, or the data are not what the recipe says.
    """
    data = load_data(recipe.data, progress, targets_of(recipe.heads))
    if not len(data.splits.get(split, ())):
        raise DataError(
            f"{data.name} has no {split} images, by which runs are judged: {_TO_GET_IMAGES[split]}"
        )


def _evaluate_taken(run: Path, progress: Progress) -> None:
    """Evaluates a finished run on its test images, unless the kept answers are those of its model.

    Answers that a report kept have no targets, and a run that was resumed is another model. A run
    that does not keep the split of each image would, if the images changed, be judged on images
    that it was trained on.

    Raises:
        DataError: The images are not those that the run was trained with, or test images are gone.
    """
    predictor = load_predictor(run)
    index, data, _ = evaluation_images(predictor.info, "test", None, progress)
    if data.changes is None:
        require_same_data(Run(run), data)
    elif len(index) != RUN.read(Run(run).record_file)["data"]["images"]["test"]:
        missing = "\n".join(data.changes.lines())
        raise DataError(f"test images of {run} are missing: put them back.\n{missing}")
    kept = kept_answers(run, "test", answers_key(predictor, index))
    if kept is None or not kept.targets:
        evaluate(predictor, progress=progress)


def _require_pairs(study: Study) -> None:
    arms: dict[float, set[str]] = {}
    for cell in study.cells:
        arms.setdefault(cell.fraction, set()).add(cell.arm)
    if max(len(names) for names in arms.values()) < 2:
        parts = ", ".join(f"{cell.run}: {cell.fraction:g}" for cell in study.cells)
        raise UsageError(
            f"no two arms were trained on the same part of the data (data.fraction): {parts}"
        )


def _name(arms: Sequence[Arm]) -> str:
    """A name that stands for the arms: their own names, and a digest of recipes and runs."""
    identity = [arm.recipe.model_dump(mode="json") for arm in arms]
    runs = [[str(run.absolute()) for run in arm.runs] for arm in arms]
    digest = hashlib.sha256(json.dumps([identity, runs], sort_keys=True).encode()).hexdigest()
    return f"{'-'.join(arm.name for arm in arms)[:60]}-{digest[:6]}"
