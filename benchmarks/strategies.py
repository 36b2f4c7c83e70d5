"""Strategies side by side: test accuracy, time and memory, with intervals over seeds.

Each cell is a `tfft train` and a `tfft evaluate`, each in its own process and without cached
features. Each cell is stored in results/strategies.json at once; run the script again to continue.
Then `strategies.py --table` writes the tables into docs/strategies.md.

    python benchmarks/strategies.py --shared ../shared/data
"""

import argparse
import csv
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from cells import Cells, run_tfft
from tables import interval_text, put_into, table_text

WORK = Path(__file__).parent / "work" / "strategies"
DOCS = Path(__file__).parents[1] / "docs" / "strategies.md"
BACKBONES = ("EfficientNetLite0", "MobileNet-0.25")
# Seeds of weights, order, augmentation and of the validation split.
SEEDS = {"flowers": (0, 1, 2), "dogs": (0,)}
SIZE_PX = 96
_TUNED = {"epochs": 5, "augment": "random_crop"}
STRATEGIES: dict[str, dict[str, Any]] = {
    "head, solved": {"phases": [{"solver": "linear"}]},
    "feature_extraction": {"strategy": "feature_extraction"},
    "partial": {"strategy": {"kind": "partial", **_TUNED}},
    "progressive": {"strategy": {"kind": "progressive", **_TUNED, "epochs": 2}},
    "lp_ft": {"strategy": {"kind": "lp_ft", **_TUNED}},
    "full": {"strategy": {"kind": "full", **_TUNED, "epochs": 8}},
}
# How L2-SP is compared: the same schedule with and without, on a part and on all of the data, with
# the optimizer and the strengths of Li, Grandvalet and Davoine 2018.
L2SP_BACKBONE = "MobileNet-0.25"
L2SP_FRACTIONS = (0.1, 1.0)
L2SP_RATE = 0.001
L2SP = {"none": None, "alpha 0.1": {"alpha": 0.1, "beta": 0.01}}


def cells_to_measure() -> Iterator[dict[str, Any]]:
    """Yields the keys of all cells, cheap ones first."""
    for data, backbone in product(SEEDS, reversed(BACKBONES)):
        for seed, strategy in product(SEEDS[data], STRATEGIES):
            yield {"table": "strategies", **_key(data, backbone, seed), "strategy": strategy}
    for fraction, seed, penalty in product(L2SP_FRACTIONS, SEEDS["flowers"], L2SP):
        key = {"table": "l2sp", **_key("flowers", L2SP_BACKBONE, seed), "learning_rate": L2SP_RATE}
        yield {**key, "fraction": fraction, "penalty": penalty}


def _key(data: str, backbone: str, seed: int) -> dict[str, Any]:
    return {"data": data, "backbone": backbone, "seed": seed}


def measure(key: dict[str, Any], shared: Path, directory: Path) -> dict[str, Any]:
    """Trains and evaluates one cell."""
    cache = WORK / key["data"]
    recipe = directory / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(recipe_of(key, shared)))
    run = directory / "run"
    # Listing and scanning the images is not part of a strategy; computing features is.
    shutil.rmtree(cache / "activations", ignore_errors=True)
    if not cache.is_dir():
        run_tfft("data", "check", str(recipe), cache=cache)
    trained, cost = run_tfft("train", str(recipe), "--run", str(run), cache=cache)
    evaluated, _ = run_tfft("evaluate", str(run), cache=cache)
    metrics = evaluated["metrics"]["label"]
    return {
        **cost,
        "top1": metrics["top1"],
        "top1_interval": metrics["top1_interval"],
        "ece": metrics["ece"],
        "examples": evaluated["examples"],
        "validation_top1": trained["metrics"]["label"]["top1"],
        "validation_top1_by_phase": _by_phase(run / "history.csv"),
        "kept_phase": json.loads((run / "metrics.json").read_text())["best"]["phase"],
    }


def recipe_of(key: dict[str, Any], shared: Path) -> dict[str, Any]:
    """The recipe of a cell."""
    seed = key["seed"]
    return {
        "name": "cell",
        "seed": seed,
        "data": {**_data(key, shared), "split_seed": seed, "validation_fraction": 0.15},
        "image": {"size_px": SIZE_PX, "fit": "stretch"},
        "backbone": _backbone(key["backbone"], shared),
        "train": _train(key),
    }


def _data(key: dict[str, Any], shared: Path) -> dict[str, Any]:
    if key["data"] == "flowers":
        source = {"kind": "image_folder", "path": str(shared / "flowers160")}
        return {**source, "fraction": key.get("fraction", 1.0)}
    archives = str(shared / "stanford_dogs_crops160")
    source = {"kind": "tfds", "name": "stanford_dogs", "archives": archives, "subset": True}
    return {**source, "crop_to_box": True, "fraction": 0.1}


def _backbone(name: str, shared: Path) -> dict[str, Any]:
    if name == "EfficientNetLite0":
        return {"kind": "lite"}
    weights = str(shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
    application = {"kind": "application", "name": "MobileNet", "weights": weights}
    return {**application, "arguments": {"alpha": 0.25}}


def _train(key: dict[str, Any]) -> dict[str, Any]:
    if key["table"] == "strategies":
        return STRATEGIES[key["strategy"]]
    # A part of the data has fewer steps per epoch.
    epochs = 8 if key["fraction"] == 1.0 else 20
    phase = {"unfreeze": "all", "epochs": epochs, "learning_rate": key["learning_rate"]}
    return {
        "optimizer": {"name": "sgd", "momentum": 0.9},
        "phases": [{**phase, "augment": "random_crop", "l2sp": L2SP[key["penalty"]]}],
    }


def _by_phase(history: Path) -> list[float]:
    """The best validation accuracy of each phase."""
    best: dict[str, float] = {}
    with history.open() as stream:
        for row in csv.DictReader(stream):
            top1 = float(row["validation/label/top1"])
            best[row["phase"]] = max(best.get(row["phase"], 0.0), top1)
    return list(best.values())


def write_tables(cells: Cells) -> None:
    """Writes the tables of the measured cells into the page."""
    for data, title in (("flowers", "flowers"), ("dogs", "dogs")):
        rows = []
        for backbone, strategy in product(BACKBONES, STRATEGIES):
            found = _found(cells, table="strategies", data=data, backbone=backbone)
            found = [cell for cell in found if cell["key"]["strategy"] == strategy]
            if found:
                rows.append([backbone, f"`{strategy}`", *_measurements(found)])
        columns = ["backbone", "strategy", "test top-1", "kept phase", "CPU s", "peak MB"]
        put_into(DOCS, f"strategies-{title}", table_text(columns, rows))
    rows = []
    for fraction, penalty in product(L2SP_FRACTIONS, L2SP):
        found = _found(cells, table="l2sp", fraction=fraction, penalty=penalty)
        if found:
            rows.append([f"{fraction:.0%}", penalty, *_measurements(found)])
    columns = ["training data", "penalty", "test top-1", "kept phase", "CPU s", "peak MB"]
    put_into(DOCS, "l2sp", table_text(columns, rows))


def _found(cells: Cells, **wanted: Any) -> list[dict[str, Any]]:
    return [cell for cell in cells.cells if wanted.items() <= cell["key"].items()]


def _measurements(found: list[dict[str, Any]]) -> list[str]:
    kept = "/".join(str(cell["kept_phase"]) for cell in found)
    seconds = statistics.mean(cell["cpu_seconds"] for cell in found)
    memory = max(cell["peak_memory_mb"] for cell in found)
    return [interval_text(found), kept, f"{seconds:.0f}", f"{memory:,}"]


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with flowers160 and the crops")
    parser.add_argument("--table", action="store_true", help="write the tables and stop")
    options = parser.parse_args()
    cells = Cells("strategies")
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        for key in cells_to_measure():
            if cells.get(**key) is None:
                print(*key.values(), flush=True)
                with tempfile.TemporaryDirectory() as directory:
                    cells.put(measure(key, options.shared.absolute(), Path(directory)), **key)
    write_tables(cells)
    print(DOCS.read_text())


if __name__ == "__main__":
    sys.exit(main())
