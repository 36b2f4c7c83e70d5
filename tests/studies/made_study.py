"""Finished runs of a study without training: answers and costs as they would have been."""

from pathlib import Path

import numpy as np

from tfft.config.loading.load import dump_recipe
from tfft.evaluation.answers import Answers, save_answers
from tfft.studies.arms import make_arms
from tfft.studies.compare import Study, plan_study
from tfft.system.files import write_json, write_text

IMAGES = 400


def make_study(
    directory: Path, accuracy: dict[str, float], *, seeds: int = 3, fractions=(1.0,), spread=0.0
) -> Study:
    """A study whose arms are right on these shares of the test images, ±`spread` over seeds."""
    arms = make_arms(list(accuracy), recipe="quickstart")
    planned = plan_study(arms, seeds=seeds, fractions=fractions)
    study = Study(directory, planned.arms, tuple(_moved(c, directory) for c in planned.cells))
    generator = np.random.default_rng(0)
    order = generator.permutation(IMAGES)
    for cell in study.cells:
        share = accuracy[cell.arm] + generator.normal(0.0, spread)
        right = np.zeros(IMAGES, bool)
        right[order[: round(share * IMAGES)]] = True
        flip = generator.choice(IMAGES, 8, replace=False)
        right[flip] = ~right[flip]
        write_run(cell.run, right, cell.recipe)
    return study


def _moved(cell, directory: Path):
    from dataclasses import replace

    return replace(cell, run=directory / "runs" / cell.arm / f"{cell.fraction:g}-{cell.seed}")


def write_run(run: Path, right: np.ndarray, recipe) -> Path:
    """Writes what a comparison reads of a finished run."""
    labels = np.arange(len(right)) % 10
    predicted = np.where(right, labels, (labels + 1) % 10)
    ids = tuple(f"image-{number}" for number in range(len(right)))
    outputs = {"label": np.eye(10)[predicted]}
    save_answers(run, "test", Answers(np.array(ids), {"label": labels}, outputs))
    write_text(run / "recipe.yaml", dump_recipe(recipe))
    write_json(run / "run.json", {"status": "finished"})
    (run / "model.keras").touch()
    phases = [{"trained_parameters": 100}, {"trained_parameters": 2000}]
    write_json(run / "plan.json", {"images": {"train": 500}, "phases": phases})
    rows = ["phase,validation/label/top1,seconds,images_per_second,elapsed_seconds"]
    rows += ["1,0.5,2,,10", f"2,{right.mean()},10,100,25"]
    write_text(run / "history.csv", "\n".join(rows) + "\n")
    cost = {"seconds": 30.0, "cpu_seconds": 50.0, "peak_memory_mb": 900, "finished": True}
    write_json(run / "cost.json", cost)
    return run
