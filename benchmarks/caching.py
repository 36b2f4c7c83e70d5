"""Accuracy, memory and where the time goes in cached training, beside the Keras guide's script.

Each cell is a training run in its own process, with an empty cache, stored in results/caching.json
at once; run the script again to continue. Then `caching.py --table` writes the tables into
docs/caching.md. How long things take is measured by speed.py, side by side and in rounds.

    python benchmarks/caching.py --shared ../shared/data
"""

import argparse
import pstats
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from cells import TFFT, Cells, run_tfft
from crops import BACKBONES, HEADS, LAST_TWO, Crops, Splits
from tables import put_into, table_text

from tfft.system.files import read_json

DOCS = Path(__file__).parents[1] / "docs" / "caching.md"
# How many copies of the training images there are, for the tables of memory.
SIZES = (1, 4, 16)
# What computes frozen parts, as `train.cache.engine` names it.
ENGINES = ("auto", "openvino")
# Caches below this size are held in memory: 0 makes every cached phase a streamed one.
STREAMED = "import tfft.transfer.phases.cached_inputs as f; f.RESIDENT_BYTES = 0; "
# What is timed in the profile, by file and function; one that calls another comes after it.
PROFILED = {
    "start TensorFlow and Keras": [("tensorflow.py", "<module>")],
    "list and check the images": [("load.py", "load_data")],
    "build the model": [("prepare.py", "build_of_recipe")],
    "convert the frozen part and compare it": [("function.py", "function_of")],
    "decode, and run the frozen part": [("part.py", "_compute")],
    "train": [("gradient.py", "_train_epoch")],
    "validate": [("session.py", "validate")],
    "checkpoints": [("checkpoints.py", "_write")],
    "write the model": [("train.py", "_finish")],
}


def cells_to_measure() -> Iterator[dict[str, Any]]:
    """Yields the keys of all cells, the cheap ones first."""
    for size in SIZES:
        for side in ("guide", "tfft, streamed", "tfft"):
            yield {**_key("memory", "MobileNet-0.25", LAST_TWO, side, 1), "size": size}
    for backbone in reversed(BACKBONES):
        # Both sides train the heads to the end.
        yield _key("accuracy", backbone, HEADS, "guide", 10)
        yield _key("accuracy", backbone, HEADS, "tfft", 10)
        yield _key("accuracy", backbone, HEADS, "tfft", 30)
        yield _key("profile", backbone, HEADS, "tfft", 10)
        yield _key("profile", backbone, LAST_TWO, "tfft", 10)
    for engine in ENGINES:
        yield {"table": "openvino", "backbone": "EfficientNetLite0", "engine": engine}


def _key(table: str, backbone: str, part: str, side: str, epochs: int) -> dict[str, Any]:
    return {"table": table, "backbone": backbone, "part": part, "side": side, "epochs": epochs}


class _Bench:
    """The crops, which are made when a cell first needs them.

    Args:
        shared: Directory with the crops, the flowers and the weights.
        directory: Directory for photos and what is measured.
        share: Share of the crops that is used.
    """

    def __init__(self, shared: Path, directory: Path, share: float) -> None:
        self._shared, self._directory, self._share = shared, directory, share

    @property
    def log(self) -> Path:
        return self._directory / "log"

    @cached_property
    def _crops(self) -> Crops:
        return Crops(self._shared, self._directory, self._share)

    def measure(self, key: dict[str, Any]) -> dict[str, Any]:
        """Trains one cell."""
        if key["table"] == "openvino":
            return measure_engine(self._shared, key["engine"], self.log)
        return measure(self._crops, key)


def measure(crops: Crops, key: dict[str, Any]) -> dict[str, Any]:
    """Trains one cell of the crops."""
    splits = _splits(crops, key)
    accuracy = key["table"] == "accuracy"
    if key["side"] == "guide":
        return crops.guide(
            key["backbone"], key["part"], epochs=key["epochs"], evaluate=accuracy, splits=splits
        )
    with tempfile.TemporaryDirectory(dir=crops.directory) as scratch:
        place = Path(scratch)
        run, recipe, profile = place / "run", place / "recipe.yaml", place / "profile"
        cache = {"mode": "on"} if key["table"] == "memory" else {}
        values = crops.recipe(
            key["backbone"], key["part"], place, epochs=key["epochs"], cache=cache, splits=splits
        )
        recipe.write_text(yaml.safe_dump(values))
        program = STREAMED + TFFT if key["side"] == "tfft, streamed" else TFFT
        if key["table"] == "profile":
            program = (
                "import cProfile; from tfft.cli.main import run; p = cProfile.Profile(); "
                f"code = p.runcall(run); p.dump_stats({str(profile)!r}); raise SystemExit(code)"
            )
        arguments = ("train", str(recipe), "--run", str(run))
        _, cost = run_tfft(*arguments, cache=place / "cache", log=crops.log, program=program)
        if key["table"] == "profile":
            return {**cost, "parts": _parts(profile, cost["seconds"])}
        if not accuracy:
            return cost
        evaluated, _ = run_tfft("evaluate", str(run), cache=place / "cache", log=crops.log)
        found = evaluated["metrics"]["label"]
        reached = {name: found[name] for name in ("top1", "top1_interval")}
        return {**cost, **reached, "examples": evaluated["examples"]}


def measure_engine(shared: Path, engine: str, log: Path) -> dict[str, Any]:
    """Trains the head of the flowers' recipe on features that an engine computes."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        run, cache = place / "run", place / "cache"
        words = ("--data", str(shared / "flowers160"), "--set", f"train.cache.engine={engine}")
        arguments = ("train", "classifier", *words, "--run", str(run))
        _, cost = run_tfft(*arguments, cache=cache, log=log)
        evaluated, _ = run_tfft("evaluate", str(run), cache=cache, log=log)
        record = read_json(run / "run.json")
    counts = evaluated["metrics"]["label"]["confusion"]
    return {
        **cost,
        "engine": record["engines"]["1"],
        "difference": record.get("engine_differences", {}).get("1"),
        "right": sum(row[label] for label, row in enumerate(counts)),
        "examples": evaluated["examples"],
    }


def _splits(crops: Crops, key: dict[str, Any]) -> Splits:
    splits = dict(crops.splits)
    if "size" in key:
        splits["train"] = splits["train"][: len(splits["train"]) * key["size"] // max(SIZES)]
    return splits


def _parts(profile: Path, seconds: float) -> dict[str, float]:
    """Seconds of each part of a training, from the profile of its main thread."""
    stats: Any = pstats.Stats(str(profile))
    found = {
        part: sum(
            entry[3]
            for (file, _, function), entry in stats.stats.items()
            if (Path(file).name, function) in places and "tfft" in file
        )
        for part, places in PROFILED.items()
    }
    found["decode, and run the frozen part"] -= found["convert the frozen part and compare it"]
    found["the rest"] = seconds - sum(found.values())
    return {part: round(value, 1) for part, value in found.items()}


def write_tables(cells: Cells) -> None:
    """Writes the tables of the measured cells into the page."""
    put_into(DOCS, "accuracy", _accuracy_table(cells))
    put_into(DOCS, "memory", _memory_table(cells))
    put_into(DOCS, "profile", _profile_table(cells))
    if _found(cells, table="openvino"):
        put_into(DOCS, "openvino", _engine_table(cells))


def _found(cells: Cells, **wanted: Any) -> list[dict[str, Any]]:
    return [cell for cell in cells.cells if wanted.items() <= cell["key"].items()]


def _accuracy_table(cells: Cells) -> str:
    rows = []
    for cell in _found(cells, table="accuracy"):
        key = cell["key"]
        low, high = cell.get("top1_interval", (None, None))
        interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
        accuracy = f"{cell['top1']:.3f}{interval}"
        rows.append([key["backbone"], key["side"], str(key["epochs"]), accuracy])
    return table_text(["backbone", "side", "epochs", "test top-1 (95 % interval)"], rows)


def _memory_table(cells: Cells) -> str:
    rows = []
    for side in ("guide", "tfft", "tfft, streamed"):
        found = {cell["key"]["size"]: cell for cell in _found(cells, table="memory", side=side)}
        if found:
            row = [f"{found[s]['peak_memory_mb']:,}" if s in found else "" for s in SIZES]
            rows.append([side, *row])
    return table_text(["side", *(f"{size}x, MB" for size in SIZES)], rows)


def _profile_table(cells: Cells) -> str:
    found = _found(cells, table="profile")
    columns = [f"{c['key']['backbone']}, {c['key']['part']}" for c in found]
    rows = [
        [part, *(f"{cell['parts'][part]:.1f}" for cell in found)]
        for part in (*PROFILED, "the rest")
    ]
    rows.append(["**together**", *(f"{cell['seconds']:.1f}" for cell in found)])
    return table_text(["seconds", *columns], rows)


def _engine_table(cells: Cells) -> str:
    rows = []
    for cell in _found(cells, table="openvino"):
        difference = cell["difference"]
        far = [f"{difference[name]:.1e}" if difference else "-" for name in ("rms", "largest")]
        right = f"{cell['right']} of {cell['examples']}"
        rows.append([cell["engine"], f"{cell['cpu_seconds']:.0f}", *far, right])
    columns = ["engine", "training, CPU s", "difference, rms", "largest", "test images right"]
    return table_text(columns, rows)


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with the crops and the weights")
    parser.add_argument("--table", action="store_true", help="write the tables and stop")
    parser.add_argument("--share", type=float, default=1.0, help="of the images, to try it")
    parser.add_argument("--backbone", choices=BACKBONES, help="measure the cells of one only")
    parser.add_argument("--only", help="measure the cells of this table only")
    parser.add_argument("--name", default="caching", help="of the file of results")
    options = parser.parse_args()
    cells = Cells(options.name)
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        wanted = [
            key
            for key in cells_to_measure()
            if cells.get(**key) is None
            and options.backbone in (None, key["backbone"])
            and options.only in (None, key["table"])
        ]
        with tempfile.TemporaryDirectory() as directory:
            bench = _Bench(options.shared.absolute(), Path(directory), options.share)
            for key in wanted:
                print(*key.values(), flush=True)
                try:
                    cells.put(bench.measure(key), **key)
                except subprocess.CalledProcessError:
                    print(bench.log.read_text()[-4000:], file=sys.stderr)
                    raise
    if options.share == 1.0:
        write_tables(cells)
        print(DOCS.read_text())


if __name__ == "__main__":
    main()
