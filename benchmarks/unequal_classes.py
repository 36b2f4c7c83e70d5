"""What weights of classes and the focal loss change on a set of unequal classes, class by class.

Flowers in five classes whose sizes differ up to eightfold and a class of other things, as in
`advice.py`, at 96 px: the head is trained by steps on the features of EfficientNet-Lite0, with
three seeds, which decide the split. Cells are stored in results/unequal-classes.json; run the
script again to continue. `unequal_classes.py --table` writes the table into docs/strategies.md.

    python benchmarks/unequal_classes.py --shared ../shared/data
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from advice import make_unequal
from cells import Cells
from tables import interval_text, put_into, table_text

from tfft.config.loading.load import recipe_from_dict
from tfft.evaluation.evaluate import evaluate
from tfft.transfer.train import train

DOCS = Path(__file__).parents[1] / "docs" / "strategies.md"
WORK = Path(__file__).parent / "work" / "unequal-classes"
SEEDS = (0, 1, 2)
RAREST = "tulip"
LOSSES: dict[str, dict[str, Any]] = {
    "cross-entropy": {},
    "`class_weights: balanced`": {"class_weights": "balanced"},
    f"`class_weights: {{{RAREST}: 4}}`": {"class_weights": {RAREST: 4.0}},
    "`loss: focal`": {"loss": "focal"},
    "`loss: focal`, balanced": {"loss": "focal", "class_weights": "balanced"},
}
PHASE = {"unfreeze": "none", "epochs": 30, "learning_rate": 1e-3}


def measure(loss: str, seed: int, photos: Path) -> dict[str, Any]:
    """Trains a head, and evaluates it on the test images."""
    started = time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        recipe = recipe_from_dict(
            {
                "name": "unequal",
                "seed": seed,
                "data": {"kind": "image_folder", "path": str(photos), "split_seed": seed},
                "image": {"size_px": 96, "fit": "stretch"},
                "backbone": {"kind": "lite"},
                "heads": {"label": LOSSES[loss]},
                "train": {"phases": [PHASE]},
            }
        )
        run = train(recipe, run=Path(directory) / "run")
        metrics = evaluate(run.path).metrics["label"]
    shown = ("top1", "macro_recall", "macro_f1", "loss", "ece")
    return {
        **{name: metrics[name] for name in shown},
        "recall": {row["label"]: row["recall"] for row in metrics["per_class"]},
        "precision": {row["label"]: row["precision"] for row in metrics["per_class"]},
        "images": {row["label"]: row["examples"] for row in metrics["per_class"]},
        "examples": sum(row["examples"] for row in metrics["per_class"]),
        "cpu_seconds": round(time.process_time() - started, 1),
    }


def table(cells: Cells) -> str:
    """A row for each loss: means over the seeds, and recall and precision of each class."""
    images = cells.cells[0]["images"]
    classes = sorted(images, key=lambda name: -images[name])
    rows = []
    for loss in LOSSES:
        found = [cell for cell in cells.cells if cell["key"]["loss"] == loss]
        by_class = []
        for name in classes:
            recall = statistics.mean(cell["recall"][name] for cell in found)
            precision = statistics.mean(cell["precision"][name] or 0.0 for cell in found)
            by_class.append(f"{recall:.2f} / {precision:.2f}")
        metrics = [interval_text(found, name) for name in ("top1", "macro_f1", "loss")]
        rows.append([loss, *metrics, *by_class])
    named = [f"{name} ({images[name]})" for name in classes]
    return table_text(["loss", "top-1", "macro F1", "test loss", *named], rows)


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with flowers160 and the crops")
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells = Cells("unequal-classes")
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        os.environ["TFFT_CACHE_DIR"] = str(WORK / "cache")
        photos = WORK / "photos"
        if not photos.is_dir():
            make_unequal(options.shared.absolute(), photos)
        for loss in LOSSES:
            for seed in SEEDS:
                if cells.get(loss=loss, seed=seed) is None:
                    print(loss, seed, flush=True)
                    cells.put(measure(loss, seed, photos), loss=loss, seed=seed)
    put_into(DOCS, "unequal-classes", table(cells))
    print(DOCS.read_text())


if __name__ == "__main__":
    sys.exit(main())
