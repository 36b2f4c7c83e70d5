"""Several ways of training on the same data, over seeds and parts of the data."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfft.config.recipe import Recipe
from tfft.errors import UsageError
from tfft.evaluation.answers import answers_key, kept_answers
from tfft.evaluation.data import evaluation_images
from tfft.evaluation.evaluate import evaluate
from tfft.runs.run import Run, open_run, require_same_data
from tfft.runtime.load import load_predictor
from tfft.studies.arms import Arm
from tfft.studies.images import require_images
from tfft.studies.process import WorkerError, is_finished, owned_study, run_worker
from tfft.system.progress import SILENT, Progress

STUDIES = Path("studies")


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        arm: its name.
        fraction: share of the training images.
        seed: counted from the recipe's own.
        run: its directory.
        recipe: None for a finished run that is taken as it is.
    """

    arm: str
    fraction: float
    seed: int
    run: Path
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Study:
    """A comparison as it was planned and as far as it got.

    Attributes:
        path: its directory.
        arms: in the order of the tables.
        cells: in the order in which they run: small parts of the data first.
        failed: why cells have no result, by their directory.
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
        arms: what is compared.
        seeds: runs of each arm and fraction; of weights, order and augmentation, on the same
            images. Finished runs are taken as they are.
        fractions: shares of the training images.
        name: of the directory in ``studies``; default: made of the arms and what they are, so that
            the same comparison, or one with more seeds or fractions, goes on where it stopped.

    Raises:
        UsageError: A number is out of its range, or finished runs share no part of the data.
    """
    if seeds < 1:
        raise UsageError(f"a comparison needs at least 1 seed. Received: {seeds}")
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise UsageError(f"a fraction is above 0 and at most 1. Received: {fraction:g}")
    path = STUDIES / (name or _name(arms))
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
    study = Study(path, tuple(arms), (*_taken(arms), *cells))
    _require_pairs(study)
    return study


def run_study(study: Study, progress: Progress = SILENT) -> Study:
    """Runs what is missing of a comparison; a run that fails does not end the others.

    Returns:
        The study, with what failed.

    Raises:
        KeyboardInterrupt: With a note that says how to go on.
        UsageError: A run is there already with another recipe, or another process runs the study.
        DataError: There are no test images, or those of a finished run that is taken as it is are
            not there any more.
    """
    failed = {}
    with owned_study(study.path):
        to_do = (c.recipe for c in study.cells if c.recipe is not None and not is_finished(c.run))
        first = next(to_do, None)
        if first is not None:  # the data of all arms have the same test images
            require_images(first, "test", progress)
        for number, cell in enumerate(study.cells, start=1):
            title = f"run {number} of {len(study.cells)}, {_title(cell)}"
            try:
                _run_cell(cell, title, progress)
            except WorkerError as error:
                progress.message(f"{title} failed: {error}")
                failed[str(cell.run)] = str(error)
    return Study(study.path, study.arms, study.cells, failed)


def _run_cell(cell: Cell, title: str, progress: Progress) -> None:
    if cell.recipe is None:
        _evaluate_taken(cell.run, progress)
    else:
        if not is_finished(cell.run):
            progress.message(title)
        run_worker(cell.recipe, cell.run, "test", title=title, progress=progress)


def _evaluate_taken(run: Path, progress: Progress) -> None:
    """Evaluates a finished run on its test images, unless it has done so as it is now.

    What a report keeps of a run has no targets, and a run that was gone on with is another model.
    Where images changed, the same seed splits them differently, and the run would be judged by some
    that it learned.

    Raises:
        DataError: The images are not those that it was trained with.
    """
    predictor = load_predictor(run)
    index, data, _ = evaluation_images(predictor.info, "test", None, progress)
    require_same_data(Run(run), data)
    kept = kept_answers(run, "test", answers_key(predictor, index))
    if kept is None or not kept.targets:
        evaluate(predictor, progress=progress)


def _taken(arms: Sequence[Arm]) -> Iterator[Cell]:
    """The cells of finished runs."""
    for arm in arms:
        for run in arm.runs:
            _, recipe = open_run(run)
            yield Cell(arm.name, recipe.data.fraction, recipe.seed, run)


def _require_pairs(study: Study) -> None:
    arms: dict[float, set[str]] = {}
    for cell in study.cells:
        arms.setdefault(cell.fraction, set()).add(cell.arm)
    if max(len(names) for names in arms.values()) < 2:
        parts = ", ".join(f"{cell.run}: {cell.fraction:g}" for cell in study.cells)
        raise UsageError(
            f"no two arms were trained on the same part of the data (data.fraction): {parts}"
        )


def _title(cell: Cell) -> str:
    return f"{cell.arm}, {cell.fraction:.3g} of the data, seed {cell.seed}"


def _name(arms: Sequence[Arm]) -> str:
    """A name that stands for the arms: their own names, and a digest of what they are."""
    identity = [arm.recipe.model_dump(mode="json") for arm in arms]
    runs = [[str(run.absolute()) for run in arm.runs] for arm in arms]
    digest = hashlib.sha256(json.dumps([identity, runs], sort_keys=True).encode()).hexdigest()
    return f"{'-'.join(arm.name for arm in arms)[:60]}-{digest[:6]}"
