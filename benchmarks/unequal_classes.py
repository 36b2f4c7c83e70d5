"""What class weights, the focal loss and balanced sampling change on unequal classes, by class.

The set is made from photos of flowers: each class has half the training photos of the one before
it, drawn anew for each seed; the test photos are all of them. The heads of EfficientNet-Lite0 are
trained by steps on cached features, alike but for the method. Each cell is a `tfft train` and a
`tfft evaluate`, stored in results/unequal-classes.json at once; run the script again to continue.
`unequal_classes.py --table` writes the tables into docs/strategies.md.

    python benchmarks/unequal_classes.py --shared ../shared/data
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from cells import Cells, run_tfft
from tables import interval_text, put_into, table_text

DOCS = Path(__file__).parents[1] / "docs" / "strategies.md"
# Training photos of each class, validation photos among them.
PHOTOS = {"tulip": 256, "dandelion": 128, "rose": 64, "daisy": 32, "sunflower": 16}
SEEDS = (0, 1, 2)
SIZE_PX, EPOCHS = 160, 30
_WEIGHTED, _FOCAL = {"class_weights": "balanced"}, {"loss": "focal"}
# What the head's section and the section `train` have beside what all have.
METHODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "class_weights: balanced": (_WEIGHTED, {}),
    "loss: focal": (_FOCAL, {}),
    "both": ({**_WEIGHTED, **_FOCAL}, {}),
    "train.sampling: balanced": ({}, {"sampling": "balanced"}),
}


def write_photos(shared: Path, root: Path, seed: int) -> None:
    """Copies the photos of a seed into a folder for each split and class."""
    generator = np.random.default_rng(seed)
    flowers = shared / "flowers160"
    for kind, count in PHOTOS.items():
        photos = sorted((flowers / "train" / kind).iterdir())
        (root / "train" / kind).mkdir(parents=True)
        for position in generator.choice(len(photos), count, replace=False):
            shutil.copy(photos[position], root / "train" / kind)
        shutil.copytree(flowers / "test" / kind, root / "test" / kind)


def recipe_of(photos: Path, method: str, seed: int) -> dict[str, Any]:
    """The recipe of a cell."""
    head, train = METHODS[method]
    phase = {"unfreeze": "none", "epochs": EPOCHS, "learning_rate": 1e-3}
    data = {"kind": "image_folder", "path": str(photos), "split_seed": seed}
    return {
        "name": "cell",
        "seed": seed,
        "data": {**data, "validation_fraction": 0.15},
        "image": {"size_px": SIZE_PX, "fit": "stretch"},
        "backbone": {"kind": "lite"},
        "heads": {"label": head},
        "train": {"phases": [phase], **train},
    }


def measure(photos: Path, method: str, seed: int, cache: Path) -> dict[str, Any]:
    """Trains and evaluates a cell."""
    with tempfile.TemporaryDirectory() as directory:
        recipe, run = Path(directory) / "recipe.yaml", Path(directory) / "run"
        recipe.write_text(yaml.safe_dump(recipe_of(photos, method, seed)))
        _, cost = run_tfft("train", str(recipe), "--run", str(run), cache=cache)
        evaluated, _ = run_tfft("evaluate", str(run), cache=cache)
    found = evaluated["metrics"]["label"]
    return {
        **cost,
        "examples": evaluated["examples"],
        **{name: found[name] for name in ("loss", "top1", "macro_recall", "macro_f1", "ece")},
        "classes": {
            row["label"]: {"precision": row["precision"] or 0.0, "recall": row["recall"]}
            for row in found["per_class"]
        },
    }


def write_tables(cells: Cells) -> None:
    """Writes the tables of what has been measured into the page."""
    found = {m: [c for c in cells.cells if c["key"]["method"] == m] for m in METHODS}
    found = {method: measured for method, measured in found.items() if measured}
    rows = [
        [f"`{method}`", *(_of_class(measured, kind) for kind in PHOTOS)]
        for method, measured in found.items()
    ]
    heads = [f"{kind} ({count})" for kind, count in PHOTOS.items()]
    put_into(DOCS, "unequal-by-class", table_text(["against it", *heads], rows))
    metrics = {"macro_recall": "macro recall", "macro_f1": "macro F1", "top1": "top-1"}
    metrics |= {"loss": "loss", "ece": "ECE"}
    rows = [
        [f"`{method}`", *(interval_text(measured, metric) for metric in metrics)]
        for method, measured in found.items()
    ]
    put_into(DOCS, "unequal", table_text(["against it", *metrics.values()], rows))


def _of_class(measured: list[dict[str, Any]], kind: str) -> str:
    """Mean recall and precision of a class."""
    of_class = [cell["classes"][kind] for cell in measured]
    recall, precision = (
        statistics.mean(each[metric] for each in of_class) for metric in ("recall", "precision")
    )
    return f"{recall:.3f} / {precision:.3f}"


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with flowers160")
    parser.add_argument("--table", action="store_true", help="write the tables and stop")
    options = parser.parse_args()
    cells = Cells("unequal-classes")
    keys = [{"seed": seed, "method": method} for seed, method in product(SEEDS, METHODS)]
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            for key in keys:
                if cells.get(**key) is None:
                    photos = place / f"photos-{key['seed']}"
                    if not photos.is_dir():
                        write_photos(options.shared.absolute(), photos, key["seed"])
                    print(*key.values(), flush=True)
                    cells.put(measure(photos, key["method"], key["seed"], place / "cache"), **key)
    write_tables(cells)


if __name__ == "__main__":
    sys.exit(main())
