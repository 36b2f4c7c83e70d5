"""Cached training compared with the Keras guide's script: time, accuracy and memory, in one run.

Each cell is a training run in its own process, with an empty cache: start-up, checking the images,
conversion and validation count on both sides. The guide's script (guide.py) decodes and runs the
whole model in each epoch; of a long run, one epoch is measured and the others are assumed to take
as long, which the tables say. Each cell is stored in results/caching.json at once; run the script
again to continue. Then `caching.py --table` writes the tables into docs/caching.md.

    python benchmarks/caching.py --shared ../shared/data
"""

import argparse
import csv
import json
import pstats
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from cells import TFFT, Cells, run_json, run_tfft
from tables import put_into, table_text

from tfft.config.base import Section

DOCS = Path(__file__).parents[1] / "docs" / "caching.md"
GUIDE = Path(__file__).with_name("guide.py")
SIZE_PX = 160
VALIDATION = 0.1
BACKBONES = ("EfficientNetLite0", "MobileNet-0.25")
HEADS, LAST, LAST_TWO, LAST_SIX, FULL = (
    *("heads only", "last block", "last two blocks", "last six blocks"),
    "everything",
)
UNFREEZE: dict[str, Any] = {
    HEADS: "none",
    LAST: {"last_blocks": 1},
    LAST_TWO: {"last_blocks": 2},
    LAST_SIX: {"last_blocks": 6},
    FULL: "all",
}
RATES = {HEADS: 1e-3, LAST: 1e-4, LAST_TWO: 1e-4, LAST_SIX: 1e-4, FULL: 1e-4}
# How many copies of the training images there are, for the tables of memory.
SIZES = (1, 4, 16)
# Scale and offset of pixels in 0..255 that the weights were trained with.
PIXELS = {"EfficientNetLite0": (1 / 128, -127 / 128), "MobileNet-0.25": (1 / 127.5, -1.0)}
# Caches below this size are held in memory: 0 makes every cached phase a streamed one.
STREAMED = "import tfft.transfer.phases.cached_inputs as f; f.RESIDENT_BYTES = 0; "
# What is timed in the profile, by file and function; one that calls another comes after it.
PROFILED = {
    "start TensorFlow and Keras": [("tensorflow.py", "<module>")],
    "list and check the images": [("load.py", "load_data")],
    "build the model": [("prepare.py", "build_of_recipe")],
    "convert the frozen part and compare it": [("frozen.py", "fastest_function")],
    "decode, and run the frozen part": [("frozen.py", "_compute")],
    "train": [("gradient.py", "_train_epoch")],
    "validate": [("training.py", "validate")],
    "checkpoints": [("state.py", "_write")],
    "write the model": [("train.py", "_finish")],
}


def cells_to_measure() -> Iterator[dict[str, Any]]:
    """Yields the keys of all cells: those that measure no time, then the cheap ones first."""
    for size in SIZES:
        for side in ("guide", "tfft, streamed", "tfft"):
            yield {**_key("memory", "MobileNet-0.25", LAST_TWO, side, 1), "size": size}
    for backbone in reversed(BACKBONES):
        yield from _without_augmentation(backbone)
        for side in ("guide", "tfft", "tfft, 2 views"):
            yield _key("augmented", backbone, HEADS, side, 10 if "views" in side else 1)
        yield _key("profile", backbone, HEADS, "tfft", 10)
        yield _key("profile", backbone, LAST_TWO, "tfft", 10)
    for side, epochs in (("guide", 1), ("tfft", 10)):
        yield _key("time", "EfficientNetLite0", LAST_SIX, side, epochs)


def _without_augmentation(backbone: str) -> Iterator[dict[str, Any]]:
    # Both sides train the heads to the end, so that accuracy is compared too.
    yield _key("time", backbone, HEADS, "guide", 10)
    yield _key("time", backbone, HEADS, "tfft", 10)
    yield _key("time", backbone, HEADS, "tfft", 30)
    for part in (LAST, LAST_TWO):
        yield _key("time", backbone, part, "guide", 1)
        yield _key("time", backbone, part, "tfft", 10)
    for side in ("guide", "tfft"):
        yield _key("full", backbone, FULL, side, 2)


def _key(table: str, backbone: str, part: str, side: str, epochs: int) -> dict[str, Any]:
    return {"table": table, "backbone": backbone, "part": part, "side": side, "epochs": epochs}


class Bench:
    """What all cells share, in its own directory.

    Args:
        shared: Directory with the crops and the weights.
        directory: Directory for photos, backbones and runs.
        share: Share of the training images that is used; below 1 only to try the benchmark.
    """

    def __init__(self, shared: Path, directory: Path, share: float) -> None:
        self._shared = shared
        self._directory = directory
        self.log = directory / "log"
        self._splits = self._unpack(share)
        self._bases: dict[str, dict[str, str]] = {}

    def measure(self, key: dict[str, Any]) -> dict[str, Any]:
        """Trains one cell."""
        images = self._images(key)
        if key["side"] == "guide":
            return self._guide(key, images)
        return self._tfft(key, images)

    def _images(self, key: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
        splits = dict(self._splits)
        if "size" in key:
            count = len(splits["train"]) * key["size"] // max(SIZES)
            splits["train"] = splits["train"][:count]
        elif key["table"] == "full":
            # Only the steps are compared: on a part of the images, without validation.
            splits = {"train": splits["train"][: len(splits["train"]) // 5], "test": splits["test"]}
        return splits

    def _tfft(self, key: dict[str, Any], images: dict[str, list]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self._directory) as scratch:
            place = Path(scratch)
            recipe = place / "recipe.yaml"
            recipe.write_text(yaml.safe_dump(self._recipe(key, images, place)))
            program, profile = TFFT, place / "profile"
            if key["side"] == "tfft, streamed":
                program = STREAMED + TFFT
            if key["table"] == "profile":
                program = (
                    "import cProfile; from tfft.cli.main import run; p = cProfile.Profile(); "
                    f"code = p.runcall(run); p.dump_stats({str(profile)!r}); raise SystemExit(code)"
                )
            run = place / "run"
            arguments = ("train", str(recipe), "--run", str(run))
            trained, cost = run_tfft(
                *arguments, cache=place / "cache", log=self.log, program=program
            )
            measured = {**cost, "epoch_seconds": _epoch_seconds(run / "history.csv")}
            if trained["metrics"]:
                measured["validation_top1"] = trained["metrics"]["label"]["top1"]
            if key["table"] == "profile":
                measured["parts"] = _parts(profile, cost["seconds"])
            if _has_accuracy(key):
                evaluated, _ = run_tfft("evaluate", str(run), cache=place / "cache", log=self.log)
                measured |= _accuracy(evaluated["metrics"]["label"], evaluated["examples"])
            return measured

    def _guide(self, key: dict[str, Any], images: dict[str, list]) -> dict[str, Any]:
        base = self._base(key["backbone"])
        with tempfile.TemporaryDirectory(dir=self._directory) as scratch:
            splits = Path(scratch) / "splits.json"
            columns = {
                split: {"files": [path for path, _ in rows], "labels": [label for _, label in rows]}
                for split, rows in images.items()
            }
            splits.write_text(json.dumps(columns))
            scale, offset = PIXELS[key["backbone"]]
            command = [sys.executable, str(GUIDE), "--base", base["file"], "--splits", str(splits)]
            command += [
                f"--scale={scale}",
                f"--offset={offset}",
                f"--train-from={base[key['part']]}",
            ]
            command += [f"--learning-rate={RATES[key['part']]}", f"--epochs={key['epochs']}"]
            command += ["--augment"] * (key["table"] == "augmented")
            command += ["--evaluate"] * (key["epochs"] > 1)
            report, cost = run_json(command, log=self.log)
        top1 = report.pop("top1", None)
        accuracy = {} if top1 is None else {"top1": top1, "examples": len(images["test"])}
        return {**cost, **report, **accuracy}

    def _recipe(self, key: dict[str, Any], images: dict[str, list], place: Path) -> dict[str, Any]:
        manifest = place / "photos.csv"
        with manifest.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["path", "label", "split"])
            for split, rows in images.items():
                writer.writerows([path, f"{label:03d}", split] for path, label in rows)
        phase = {
            "unfreeze": UNFREEZE[key["part"]],
            "epochs": key["epochs"],
            "learning_rate": RATES[key["part"]],
            "schedule": {"kind": "constant"},
            "augment": "random_crop" if key["table"] == "augmented" else "none",
        }
        cache = {"views": 2} if key["side"] == "tfft, 2 views" else {}
        cache |= {"mode": "on"} if key["table"] == "memory" else {}
        return {
            "name": "cell",
            "data": {"kind": "manifest", "path": str(manifest), "validation_fraction": 0.0},
            "image": {"size_px": SIZE_PX, "fit": "stretch"},
            "backbone": _backbone(key["backbone"], self._shared),
            "train": {"optimizer": {"name": "adam"}, "phases": [phase], "cache": cache},
        }

    def _base(self, name: str) -> dict[str, str]:
        """The backbone as a Keras file, and the layer from which each part is trained."""
        if name not in self._bases:
            from pydantic import TypeAdapter

            from tfft.backbones.build import build_backbone
            from tfft.config.model import BackboneConfig

            config: Section = TypeAdapter(BackboneConfig).validate_python(
                _backbone(name, self._shared)
            )
            backbone = build_backbone(config, SIZE_PX, 0)
            file = self._directory / f"{name}.keras"
            backbone.model.save(file)
            first = [block.layers[0].name for block in backbone.blocks]
            parts = {
                HEADS: "",
                LAST: first[-1],
                LAST_TWO: first[-2],
                LAST_SIX: first[-6],
                FULL: "all",
            }
            self._bases[name] = {"file": str(file), **parts}
        return self._bases[name]

    def _unpack(self, share: float) -> dict[str, list[tuple[str, int]]]:
        """Writes the crops as files and returns the path and class of each, by split."""
        from scipy.io import loadmat

        archives = self._shared / "stanford_dogs_crops160"
        for name in ("images", "lists"):
            with tarfile.open(archives / f"{name}.tar") as tar:
                tar.extractall(self._directory, filter="data")
        found = {}
        for split in ("train", "test"):
            listed = loadmat(next(self._directory.rglob(f"{split}_list.mat")))
            files = [str(row[0][0]) for row in listed["file_list"]]
            labels = [int(row[0]) - 1 for row in listed["labels"]]
            rows = [
                (str(self._directory / "Images" / f), k) for f, k in zip(files, labels, strict=True)
            ]
            random.Random(0).shuffle(rows)
            found[split] = rows[: max(1, round(share * len(rows)))]
        validation = round(VALIDATION * len(found["train"]))
        train = found["train"]
        return {
            "train": train[validation:],
            "validation": train[:validation],
            "test": found["test"],
        }


def _backbone(name: str, shared: Path) -> dict[str, Any]:
    if name == "EfficientNetLite0":
        return {"kind": "lite", "name": name}
    weights = str(shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
    application = {"kind": "application", "name": "MobileNet", "weights": weights}
    return {**application, "arguments": {"alpha": 0.25}}


def _epoch_seconds(history: Path) -> list[float]:
    """Seconds of the steps of each epoch."""
    with history.open() as stream:
        return [float(row["seconds"]) for row in csv.DictReader(stream)]


def _has_accuracy(key: dict[str, Any]) -> bool:
    return key["table"] == "time" and key["part"] == HEADS


def _accuracy(metrics: dict[str, Any], examples: int) -> dict[str, Any]:
    return {**{name: metrics[name] for name in ("top1", "top1_interval")}, "examples": examples}


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
    put_into(DOCS, "time", _time_table(cells, "time"))
    put_into(DOCS, "augmented", _time_table(cells, "augmented"))
    put_into(DOCS, "full", _full_table(cells))
    put_into(DOCS, "accuracy", _accuracy_table(cells))
    put_into(DOCS, "memory", _memory_table(cells))
    put_into(DOCS, "profile", _profile_table(cells))


def _found(cells: Cells, **wanted: Any) -> list[dict[str, Any]]:
    return [cell for cell in cells.cells if wanted.items() <= cell["key"].items()]


def _guide_seconds(cell: dict[str, Any], epochs: int) -> tuple[float, bool]:
    """Seconds of a number of epochs, and whether some of them were not measured."""
    measured = cell["epoch_seconds"]
    missing = epochs - len(measured)
    # The first epoch includes tracing; further ones are assumed to be as long as the last.
    return cell["setup_seconds"] + sum(measured[:epochs]) + max(missing, 0) * measured[
        -1
    ], missing > 0


def _time_table(cells: Cells, table: str) -> str:
    rows = []
    for cell in _found(cells, table=table):
        key = cell["key"]
        guides = _found(
            cells, table=table, backbone=key["backbone"], part=key["part"], side="guide"
        )
        if key["side"] == "guide" or not guides:
            continue
        seconds, extrapolated = _guide_seconds(guides[0], key["epochs"])
        rows.append(
            [
                key["backbone"],
                key["part"] + key["side"].removeprefix("tfft"),
                str(key["epochs"]),
                f"{'≈ ' if extrapolated else ''}{seconds:,.0f}",
                f"{cell['seconds']:,.0f}",
                f"**{seconds / cell['seconds']:.1f}x**",
            ]
        )
    return table_text(["backbone", "trained", "epochs", "guide, s", "tfft, s", "faster"], rows)


def _full_table(cells: Cells) -> str:
    rows = []
    for cell in _found(cells, table="full", side="tfft"):
        backbone = cell["key"]["backbone"]
        for guide in _found(cells, table="full", side="guide", backbone=backbone):
            seconds = [each["epoch_seconds"][-1] for each in (guide, cell)]
            ratio = seconds[0] / seconds[1]
            rows.append([backbone, *(f"{value:,.1f}" for value in seconds), f"{ratio:.2f}x"])
    return table_text(["backbone", "plain `fit`, s an epoch", "tfft, s an epoch", "faster"], rows)


def _accuracy_table(cells: Cells) -> str:
    rows = []
    for cell in _found(cells, table="time", part=HEADS):
        if "top1" in cell:
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


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with the crops and the weights")
    parser.add_argument("--table", action="store_true", help="write the tables and stop")
    parser.add_argument("--share", type=float, default=1.0, help="of the images, to try it")
    parser.add_argument("--backbone", choices=BACKBONES, help="measure the cells of one only")
    parser.add_argument("--name", default="caching", help="of the file of results")
    options = parser.parse_args()
    cells = Cells(options.name)
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        with tempfile.TemporaryDirectory() as directory:
            bench = Bench(options.shared.absolute(), Path(directory), options.share)
            for key in cells_to_measure():
                if cells.get(**key) is None and options.backbone in (None, key["backbone"]):
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
