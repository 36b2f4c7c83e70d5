"""How long things take: tfft now, tfft at an earlier commit, and the Keras guide's way.

Each cell is measured in rounds, in which every side runs once, in turn (every second round the
other way round), each in a process of its own. Clock and processor seconds are stored in
results/speed.json as they are measured; run the script again to continue. Then `speed.py --table`
writes the tables into docs/caching.md, with the median of the rounds.

The earlier commit is checked out into tfft's cache directory, with an environment of its own;
`--earlier DIR` takes a checkout that is there, with the Python that runs this script.

    python benchmarks/speed.py list
    python benchmarks/speed.py measure --shared ../shared/data --rounds 3
    python benchmarks/speed.py measure crops-first relabel --shared ../shared/data
    python benchmarks/speed.py --table
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from cells import Cells, run_json, run_tfft
from crops import (
    BACKBONES,
    FULL,
    HEADS,
    LAST,
    LAST_SIX,
    LAST_TWO,
    Crops,
    Splits,
    epoch_seconds,
)
from tables import put_into, table_text

from tfft.system.caches import cache_directory

DOCS = Path(__file__).parents[1] / "docs" / "caching.md"
ROOT = Path(__file__).parents[1]
EARLIER = "66682e7"
GUIDE, BEFORE, NOW = "guide", "earlier", "tfft"
# Photos whose label changes, and photos that come new.
RELABELLED, ADDED = 5, 20
IMPORT = "import tensorflow, keras; print('{}')"
# Decoding alone, and the forward pass alone: the least that predicting photos takes. They print
# what they take without imports and conversion.
DECODING = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec
from tfft.system.machine import processors
described = json.loads((Path(sys.argv[1]) / "model.json").read_text())["input"]
spec = PixelSpec.from_json({k: v for k, v in described.items() if k != "kind"})
files = sorted(Path(sys.argv[2]).rglob("*.jpg"))
wall, cpu = time.perf_counter(), time.process_time()
with ThreadPoolExecutor(processors()) as pool:
    list(pool.map(lambda file: encoded_to_pixels(file.read_bytes(), spec), files))
seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
print(json.dumps(seconds))
"""
FORWARD = """
import json, sys, time
from pathlib import Path
import numpy as np
from tfft.system.tensorflow import keras
from tfft.transfer.frozen.function import fastest_function
model = keras.saving.load_model(Path(sys.argv[1]) / "model.keras", compile=False)
pixels = np.random.default_rng(0).uniform(0, 255, (32, *model.input_shape[1:])).astype("float32")
count = len(list(Path(sys.argv[2]).rglob("*.jpg")))
function = fastest_function(model, pixels[:8])
wall, cpu = time.perf_counter(), time.process_time()
list(function([pixels] * (count // 32) + [pixels[: count % 32 or 1]]))
seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
print(json.dumps(seconds))
"""


@dataclass(frozen=True)
class Cell:
    """What is measured on several sides.

    Attributes:
        name: Name on the command line.
        table: Marker of its table in the page.
        label: First columns of its row.
        measure: Measures a side, in a round: seconds and what else a table needs.
        sides: The sides, in the order of the first round.
        epochs: Epochs of the guide's script that it is compared with; of these, one is measured.
        guide: Backbone, part and augmentation of the guide's script; None: it has no part in it.
    """

    name: str
    table: str
    label: tuple[str, ...]
    measure: Callable[["Bench", "Side", int], dict[str, Any]]
    sides: tuple[str, ...] = (GUIDE, BEFORE, NOW)
    epochs: int = 0
    guide: tuple[str, str, bool] | None = None


@dataclass(frozen=True)
class Side:
    """One version of tfft.

    Attributes:
        name: Name of the side.
        python: Its interpreter, which finds that version first.
        environment: What it needs in its environment.
    """

    name: str
    python: tuple[str, ...]
    environment: dict[str, str]


class Bench:
    """What the cells share, in a directory of their own.

    Args:
        shared: Directory with the photos and the weights.
        directory: Directory for photos, runs and caches.
        earlier: Checkout of the earlier commit; None: one is made.
        share: Share of the crops that is used; below 1 only to try the benchmark.

    Attributes:
        trained_crops: By side and round, the place in which the crops' recipe was trained first.
    """

    def __init__(self, shared: Path, directory: Path, earlier: Path | None, share: float) -> None:
        self.shared = shared
        self.directory = directory
        self._earlier = earlier
        self._share = share
        self._flowers: dict[tuple[str, int], Flowers] = {}
        self.trained_crops: dict[tuple[str, int], Path] = {}

    @cached_property
    def crops(self) -> Crops:
        place = self.directory / "crops"
        place.mkdir()
        return Crops(self.shared, place, self._share)

    @cached_property
    def sides(self) -> dict[str, Side]:
        earlier = earlier_python() if self._earlier is None else (sys.executable, "-P")
        checkout = earlier_checkout() if self._earlier is None else self._earlier
        return {
            BEFORE: Side(BEFORE, earlier, {"PYTHONPATH": str(checkout)}),
            NOW: Side(NOW, (sys.executable, "-P"), {"PYTHONPATH": str(ROOT)}),
        }

    def tfft(self, side: Side, *arguments: object, cache: Path) -> tuple[Any, dict[str, float]]:
        """Runs a command of tfft in the version of a side."""
        words = [str(argument) for argument in arguments]
        return run_tfft(
            *words,
            cache=cache,
            log=self.log,
            python=side.python,
            environment=side.environment,
        )

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def scratch(self) -> Path:
        """Returns a new directory, which stays until all is measured."""
        return Path(tempfile.mkdtemp(dir=self.directory))

    def train_crops(self, side: Side, place: Path) -> dict[str, float]:
        """Trains the crops' recipe with the cache and the images that `place` has, if any."""
        recipe = ("train", "stanford_dogs_crops", "--run", Path(tempfile.mkdtemp(dir=place)) / "r")
        settings = [f"data.archives={self.shared / 'stanford_dogs_crops160'}", "data.subset=true"]
        settings.append(f"data.data_dir={place / 'tfds'}")
        words = [word for setting in settings for word in ("--set", setting)]
        return self.tfft(side, *recipe, *words, cache=place / "cache")[1]

    def flowers(self, side: Side, number: int) -> "Flowers":
        """Returns photos of flowers on which a run of this round has been trained."""
        if (side.name, number) not in self._flowers:
            self._flowers[side.name, number] = Flowers(self, side)
        return self._flowers[side.name, number]


class Flowers:
    """A user's photos, which are trained on once, and again after each change."""

    def __init__(self, bench: Bench, side: Side) -> None:
        self._bench, self._side = bench, side
        self._place = bench.scratch()
        self.photos = self._place / "photos"
        shutil.copytree(bench.shared / "flowers160" / "train", self.photos)
        every = sorted(self.photos.rglob("*.jpg"))
        self._new = every[:: len(every) // ADDED][:ADDED]
        self._later = self._place / "later"
        self._later.mkdir()
        for file in self._new:
            file.rename(self._later / file.name)
        self._runs = 0
        self.run = self._place / "run-0"
        self.train()

    def train(self) -> dict[str, float]:
        """Trains on the photos as they are."""
        self.run = self._place / f"run-{self._runs}"
        self._runs += 1
        words = ("train", "classifier", "--data", self.photos, "--run", self.run)
        return self._bench.tfft(self._side, *words, cache=self._place / "cache")[1]

    def relabel(self) -> None:
        """Moves photos into the folder of another class."""
        folders = sorted(folder for folder in self.photos.iterdir() if folder.is_dir())
        for file in sorted(folders[0].glob("*.jpg"))[:RELABELLED]:
            file.rename(folders[1] / f"moved-{file.name}")

    def add(self) -> None:
        """Adds the photos that were kept back."""
        for file in self._new:
            (self._later / file.name).rename(file)

    def predict(self, *paths: Path) -> dict[str, float]:
        """Predicts photos with the last run."""
        words = ("predict", self.run, *paths)
        return self._bench.tfft(self._side, *words, cache=self._place / "cache")[1]


def cells_to_measure() -> Iterator[Cell]:
    """Yields all cells, in the order of the tables."""
    heads = ("EfficientNetLite0", HEADS, False)
    solved = "crops, solved head"
    yield Cell("crops-first", "crops", (solved, "first run"), _crops_first, epochs=10, guide=heads)
    yield Cell("crops-second", "crops", (solved, "again"), _crops_second, epochs=10, guide=heads)
    for backbone in reversed(BACKBONES):
        short = "lite" if backbone == "EfficientNetLite0" else "mobilenet"
        for part, epochs in ((HEADS, 10), (HEADS, 30), (LAST, 10), (LAST_TWO, 10), (LAST_SIX, 10)):
            if part != LAST_SIX or short == "lite":
                name = f"{part.replace(' blocks', '').replace(' ', '-')}-{short}-{epochs}"
                yield _training(name, "time", backbone, part, epochs)
        yield _training(f"augmented-{short}", "augmented", backbone, HEADS, 1, augment=True)
        views = f"augmented-{short}-views"
        yield _training(views, "augmented", backbone, HEADS, 10, augment=True, views=2)
        yield _training(f"full-{short}", "full", backbone, FULL, 2)
    sides = ("import", BEFORE, NOW)
    yield Cell("relabel", "changed", (f"{RELABELLED} of 1,226 relabelled",), _relabelled, sides)
    yield Cell("add", "changed", (f"{ADDED} added to 1,226",), _added, sides)
    yield Cell("predict-one", "answers", ("one photo",), _predict_one, sides)
    least = ("decoding", "forward", BEFORE, NOW)
    yield Cell("predict-many", "answers", ("786 photos",), _predict_many, least)


def _training(
    name: str,
    table: str,
    backbone: str,
    part: str,
    epochs: int,
    augment: bool = False,
    views: int = 0,
) -> Cell:
    def measure(bench: Bench, side: Side, number: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=bench.directory) as scratch:
            place = Path(scratch)
            recipe = bench.crops.recipe(
                backbone,
                part,
                place,
                epochs=epochs,
                augment=augment,
                cache={"views": views} if views else {},
                splits=_splits(bench, part),
            )
            file, run = place / "recipe.yaml", place / "run"
            file.write_text(yaml.safe_dump(recipe))
            _, cost = bench.tfft(side, "train", file, "--run", run, cache=place / "cache")
            return {**cost, "epoch_seconds": epoch_seconds(run / "history.csv")}

    what = f"{part}, {views} views" if views else part
    label = (backbone, what, str(epochs))
    return Cell(name, table, label, measure, epochs=epochs, guide=(backbone, part, augment))


def _splits(bench: Bench, part: str) -> Splits:
    """The images; where all is trained, a part of them without validation: steps are compared."""
    splits = bench.crops.splits
    if part != FULL:
        return splits
    return {"train": splits["train"][: len(splits["train"]) // 5], "test": splits["test"]}


def _crops_first(bench: Bench, side: Side, number: int) -> dict[str, Any]:
    bench.trained_crops[side.name, number] = place = bench.scratch()
    return bench.train_crops(side, place)


def _crops_second(bench: Bench, side: Side, number: int) -> dict[str, Any]:
    if (side.name, number) not in bench.trained_crops:
        _crops_first(bench, side, number)
    return bench.train_crops(side, bench.trained_crops[side.name, number])


def _relabelled(bench: Bench, side: Side, number: int) -> dict[str, Any]:
    flowers = bench.flowers(side, number)
    flowers.relabel()
    return flowers.train()


def _added(bench: Bench, side: Side, number: int) -> dict[str, Any]:
    flowers = bench.flowers(side, number)
    flowers.add()
    return flowers.train()


def _predict_one(bench: Bench, side: Side, number: int) -> dict[str, Any]:
    flowers = bench.flowers(side, number)
    photo = next((bench.shared / "flowers160" / "test").rglob("*.jpg"))
    flowers.predict(photo)  # what it keeps is there afterwards
    return flowers.predict(photo)


def _predict_many(bench: Bench, side: Side, number: int) -> dict[str, Any]:
    photos = bench.shared / "flowers160" / "test"
    alone = side.name in ("decoding", "forward")
    flowers = bench.flowers(bench.sides[NOW] if alone else side, number)
    if alone:
        program = DECODING if side.name == "decoding" else FORWARD
        command = [*side.python, "-c", program, str(flowers.run), str(photos)]
        return run_json(command, side.environment, bench.log)[0]
    flowers.predict(next(photos.rglob("*.jpg")))
    return flowers.predict(photos)


def measure_side(bench: Bench, cell: Cell, side: str, number: int) -> dict[str, Any]:
    """Measures one side of a cell in a round."""
    if side == GUIDE:
        assert cell.guide is not None
        backbone, part, augment = cell.guide
        epochs = 2 if part == FULL else 1
        splits = _splits(bench, part)
        return bench.crops.guide(backbone, part, epochs=epochs, augment=augment, splits=splits)
    if side == "import":
        return run_json([sys.executable, "-P", "-c", IMPORT], log=bench.log)[1]
    version = bench.sides[side if side in bench.sides else NOW]
    return cell.measure(bench, replace(version, name=side), number)


def key_of(cell: Cell, side: str, number: int) -> dict[str, Any]:
    """The key of a measurement; that of the guide is shared by the cells that need it."""
    if side == GUIDE and cell.guide is not None:
        backbone, part, augment = cell.guide
        return {"guide": backbone, "part": part, "augment": augment, "round": number}
    return {"cell": cell.name, "side": side, "round": number}


def earlier_checkout() -> Path:
    """Returns a checkout of the earlier commit in the cache directory, which it makes."""
    place = cache_directory("speed-benchmark") / EARLIER
    if not (place / "pyproject.toml").is_file():
        print(f"checking {EARLIER} out into {place}", file=sys.stderr)
        command = ["git", "-C", str(ROOT), "worktree", "add", "--detach", str(place), EARLIER]
        subprocess.run(command, check=True)
    return place


def earlier_python() -> tuple[str, ...]:
    """Returns the Python of an environment with what the earlier commit depends on."""
    place, checkout = cache_directory("speed-benchmark") / "environment", earlier_checkout()
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.is_file():
        print(f"installing what {EARLIER} needs in {place}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        lock = checkout / "requirements" / "offline.lock"
        pip = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=True)
        subprocess.run([*pip, "--no-deps", "-e", str(checkout)], check=True)
        ready.touch()
    return str(python), "-P"


def measure(bench: Bench, cells: Cells, names: Sequence[str], rounds: int) -> None:
    """Measures what is missing of some cells."""
    chosen = [cell for cell in cells_to_measure() if not names or cell.name in names]
    for number in range(rounds):
        for cell in chosen:
            for side in cell.sides if number % 2 == 0 else reversed(cell.sides):
                key = key_of(cell, side, number)
                if cells.get(**key) is None:
                    print(cell.name, side, f"round {number + 1}", end=" ", flush=True)
                    started = time.perf_counter()
                    cells.put(measure_side(bench, cell, side, number), **key)
                    print(f"{time.perf_counter() - started:.0f} s", flush=True)


@dataclass(frozen=True)
class Seconds:
    """Medians over rounds.

    Attributes:
        wall: Clock seconds.
        cpu: Processor seconds.
        partly: Whether epochs were not measured but taken to be as long as the last.
    """

    wall: float
    cpu: float
    partly: bool = False

    def __str__(self) -> str:
        wall, cpu = (f"{s:,.{1 if s < 20 else 0}f}" for s in (self.wall, self.cpu))
        return f"{'≈ ' if self.partly else ''}{wall} / {cpu}"


def seconds_of(cells: Cells, cell: Cell, side: str) -> Seconds | None:
    """Returns the medians of a side of a cell; None if it has not been measured."""
    prefix = {k: v for k, v in key_of(cell, side, 0).items() if k != "round"}
    found = [each for each in cells.cells if prefix.items() <= each["key"].items()]
    if not found:
        return None
    pairs = [_pair(cell, side, each) for each in found]
    wall, cpu = (statistics.median(values) for values in zip(*pairs, strict=True))
    return Seconds(wall, cpu, side == GUIDE and cell.table != "full" and cell.epochs > 1)


def _pair(cell: Cell, side: str, found: dict[str, Any]) -> tuple[float, float]:
    """Clock and processor seconds of one measurement."""
    if cell.table == "full":  # only the steps of the second epoch
        wall = found["epoch_seconds"][-1]
        return wall, found["epoch_cpu_seconds"][-1] if side == GUIDE else float("nan")
    if side != GUIDE:
        return found["seconds"], found["cpu_seconds"]
    return tuple(
        found[f"setup_{kind}"] + cell.epochs * found[f"epoch_{kind}"][-1]
        for kind in ("seconds", "cpu_seconds")
    )


def table_of(cells: Cells, name: str) -> str:
    """Returns the table of the cells that have been measured; "" if none has been."""
    chosen = [cell for cell in cells_to_measure() if cell.table == name]
    sides = list(dict.fromkeys(side for cell in chosen for side in cell.sides))
    rows = []
    for cell in chosen:
        found = {side: seconds_of(cells, cell, side) for side in sides if side in cell.sides}
        now = found.get(NOW)
        if now is None:
            continue
        times = [str(found[side]) if found.get(side) else "" for side in sides]
        rows.append([*cell.label, *times, *(_ratio(found.get(s), now) for s in (GUIDE, BEFORE))])
    if not rows:
        return ""
    heads = [f"`{EARLIER}`" if side == BEFORE else side for side in sides]
    labels = ["backbone", "trained", "epochs"] if len(chosen[0].label) == 3 else ["what", ""]
    columns = [*labels[: len(chosen[0].label)], *(f"{head}, s" for head in heads)]
    columns += ["guide / tfft", f"`{EARLIER}` / tfft"]
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    return table_text([columns[i] for i in used], [[row[i] for i in used] for row in rows])


def _ratio(other: Seconds | None, now: Seconds) -> str:
    if other is None:
        return ""
    cpu = "" if now.cpu != now.cpu or other.cpu != other.cpu else f" / {other.cpu / now.cpu:.1f}x"
    return f"**{other.wall / now.wall:.1f}x**{cpu}"


def write_tables(cells: Cells) -> None:
    """Writes the tables of what has been measured into the page; others stay as they are."""
    for name in dict.fromkeys(cell.table for cell in cells_to_measure()):
        if text := table_of(cells, name):
            put_into(DOCS, name, text)
            print(text, end="\n\n")


def main() -> None:
    """Measures the missing rounds of the chosen cells, or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", nargs="?", choices=("measure", "list"), default="measure")
    parser.add_argument("cells", nargs="*", help="names that `list` prints; default: all")
    parser.add_argument("--shared", type=Path, help="directory with the photos and the weights")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="write the tables and stop")
    parser.add_argument("--earlier", type=Path, help=f"a checkout of {EARLIER} that is there")
    parser.add_argument("--share", type=float, default=1.0, help="of the crops, to try it")
    parser.add_argument("--name", default="speed", help="of the file of results")
    options = parser.parse_args()
    names = [cell.name for cell in cells_to_measure()]
    cells = Cells(options.name)
    if options.table:
        write_tables(cells)
        return
    if options.command == "list":
        print("\n".join(names))
        return
    if unknown := [name for name in options.cells if name not in names]:
        parser.error(f"no cell is called {', '.join(unknown)}; `speed.py list` names them")
    if options.shared is None:
        parser.error("--shared DIR is needed to measure")
    with tempfile.TemporaryDirectory() as directory:
        earlier = options.earlier and options.earlier.absolute()
        bench = Bench(options.shared.absolute(), Path(directory), earlier, options.share)
        try:
            measure(bench, cells, options.cells, options.rounds)
        except subprocess.CalledProcessError:
            print(bench.log.read_text()[-4000:], file=sys.stderr)
            raise
    if options.share == 1.0 and options.name == "speed":
        write_tables(cells)


if __name__ == "__main__":
    main()
