"""What the loop costs: first run, audit, retraining after 5 relabelled and after 20 added photos.

`tfft train classifier`, `tfft.audit_data` and `tfft compare` beside the script of the Keras guide
(`guide.py`), which trains its head again from the start each time, on the same photos, splits,
backbone and size. A round starts with an empty cache and takes the steps of both sides in turn;
medians over rounds. Stored in results/loop.json and written into docs/retrain.md.

    python benchmarks/loop.py --shared ../shared/data
    python benchmarks/loop.py --shared ../shared/data --data flowers --rounds 1
    python benchmarks/loop.py --table
"""

import argparse
import csv
import statistics
import tempfile
from pathlib import Path
from typing import Any

from cells import TFFT, Cells, run_tfft
from crops import HEADS, SIZE_PX, Crops, Splits
from tables import put_into, table_text

DOCS = Path(__file__).parents[1] / "docs" / "retrain.md"
FIRST, AUDIT, RELABELLED, ADDED, COMPARED = (
    *("first run", "audit of all photos", "5 photos relabelled", "20 photos added"),
    "the new run compared with the first",
)
STEPS = (FIRST, AUDIT, RELABELLED, ADDED, COMPARED)
OF_GUIDE = (FIRST, RELABELLED, ADDED)
AUDIT_OF_RUN = "import sys, tfft; tfft.audit_data(sys.argv[1]); print('{}')"
EPOCHS = 10
BACKBONE = "EfficientNetLite0"
SIZE = [f"--set=image.size_px={SIZE_PX}", f"--set=image.resize_px={SIZE_PX}"]


class Flowers(Crops):
    """The flowers, which are files already; a tenth of those for training is for validation."""

    def _unpacked(self, share: float) -> Splits:
        found: Splits = {}
        for split in ("train", "test"):
            classes = sorted((self.shared / "flowers160" / split).iterdir())
            files = [(str(f), k) for k, c in enumerate(classes) for f in sorted(c.iterdir())]
            found[split] = files[:: round(1 / share)]
        train = found["train"]
        return {
            "train": [row for k, row in enumerate(train) if k % 10],
            "validation": train[::10],
            "test": found["test"],
        }


DATA = {"flowers": Flowers, "crops": Crops}


class Round:
    """The steps of one round, in a directory of its own.

    Args:
        photos: The set.
        place: Directory for lists of photos, runs and the cache.
    """

    def __init__(self, photos: Crops, place: Path) -> None:
        self._photos, self._place = photos, place
        train = photos.splits["train"]
        every = len(train) // 20
        self._later = train[::every][:20]
        later = set(self._later)
        self._splits = photos.splits | {"train": [row for row in train if row not in later]}
        self._relabelled = self._splits["train"][:: len(self._splits["train"]) // 5][:5]

    def tfft(self, step: str) -> dict[str, Any]:
        """Takes a step with tfft; those that train are measured on the test photos afterwards."""
        first, run = self._place / "first", self._place / step.replace(" ", "-")
        if step == FIRST:
            run = first
            measured = self._run("train", "classifier", *self._data(), *SIZE, "--run", first)
        elif step == AUDIT:
            return self._run(first, program=AUDIT_OF_RUN)
        elif step == COMPARED:
            return self._run("compare", first, self._place / ADDED.replace(" ", "-"))
        else:
            again = ["train", first / "recipe.yaml", "--run", run]
            if step == RELABELLED:
                again += ["--labels", self._labels()]
            else:
                self._list(self._grown())
            measured = self._run(*again)
        evaluated, _ = self._tfft("evaluate", run)
        return {**measured, "top1": evaluated["metrics"]["label"]["top1"]}

    def guide(self, step: str) -> dict[str, Any]:
        """Trains as the guide does, on the photos and labels of a step."""
        splits = self._splits
        if step == RELABELLED:
            wrong = set(self._relabelled)
            moved = [
                (file, 1 - min(k, 1) if (file, k) in wrong else k) for file, k in splits["train"]
            ]
            splits = splits | {"train": moved}
        if step == ADDED:
            splits = self._grown()
        return self._photos.guide(BACKBONE, HEADS, epochs=EPOCHS, evaluate=True, splits=splits)

    def _run(self, *arguments: object, program: str = TFFT) -> dict[str, Any]:
        return dict(self._tfft(*arguments, program=program)[1])

    def _tfft(
        self, *arguments: object, program: str = TFFT
    ) -> tuple[dict[str, Any], dict[str, float]]:
        words = [str(word) for word in arguments]
        place = self._place / "cache"
        return run_tfft(*words, cache=place, log=self._photos.log, program=program)

    def _grown(self) -> Splits:
        return self._splits | {"train": self._splits["train"] + self._later}

    def _data(self) -> list[object]:
        return ["--data", self._list(self._splits)]

    def _list(self, splits: Splits) -> Path:
        """Writes the list of photos that the runs read."""
        file = self._place / "photos.csv"
        with file.open("w", newline="") as stream:
            rows = [(f, f"{k:03d}", split) for split, of in splits.items() for f, k in of]
            csv.writer(stream).writerows([("path", "label", "split"), *rows])
        return file

    def _labels(self) -> Path:
        """Writes the labels file: each of five photos as of another class."""
        file = self._place / "fixes.csv"
        with file.open("w", newline="") as stream:
            rows = [(path, f"{k:03d}") for path, k in map(_other, self._relabelled)]
            csv.writer(stream).writerows([("path", "label"), *rows])
        return file


def _other(row: tuple[str, int]) -> tuple[str, int]:
    """Returns a photo as of another class."""
    path, label = row
    return path, 0 if label else 1


def measure(cells: Cells, photos: Crops, name: str, number: int) -> None:
    """Takes the steps of a round, unless it was measured before."""
    sides = [("tfft", step) for step in STEPS] + [("guide", step) for step in OF_GUIDE]
    if all(cells.get(data=name, step=step, round=number, side=side) for side, step in sides):
        return
    with tempfile.TemporaryDirectory(dir=photos.directory) as place:
        steps = Round(photos, Path(place))
        for step in STEPS:
            key = {"data": name, "step": step, "round": number}
            sides = {"tfft": steps.tfft, "guide": steps.guide if step in OF_GUIDE else None}
            for side, take in sides.items():
                if take is not None:  # later steps need what earlier ones leave
                    cells.put(take(step), **key, side=side)
                    print(name, number, step, side, cells.get(**key, side=side))


def table(cells: Cells, name: str) -> str:
    """Returns the medians over rounds of one set: seconds by the clock, and of the processors."""
    rows = []
    for step in STEPS:
        row = [step]
        for side in ("tfft", "guide"):
            found = [
                cell
                for cell in cells.cells
                if cell["key"].items() >= {"data": name, "step": step, "side": side}.items()
            ]
            if not found:
                row += ["-", "-"]
                continue
            clock, processors = (
                statistics.median(cell[kind] for cell in found)
                for kind in ("seconds", "cpu_seconds")
            )
            row.append(f"{clock:.0f} / {processors:.0f}")
            row.append(f"{found[0]['top1']:.3f}" if "top1" in found[0] else "-")
        rows.append(row)
    columns = [f"{name}, seconds", "tfft", "top-1", "Keras guide", "top-1"]
    return table_text(columns, rows)


def main() -> None:
    """Measures what is not stored yet, or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory of the data")
    parser.add_argument("--data", choices=[*DATA, "all"], default="all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the photos, to try the script")
    parser.add_argument("--name", default="loop", help="of the file of results")
    parser.add_argument("--table", action="store_true", help="write the tables into the docs")
    options = parser.parse_args()
    cells = Cells(options.name)
    names = [name for name in DATA if options.data in (name, "all")]
    if not options.table:
        for name in names:
            with tempfile.TemporaryDirectory() as directory:
                photos = DATA[name](options.shared, Path(directory), options.share)
                for number in range(options.rounds):
                    measure(cells, photos, name, number)
    shown = [name for name in DATA if any(cell["key"]["data"] == name for cell in cells.cells)]
    if options.name == "loop":
        put_into(DOCS, "loop", "\n\n".join(table(cells, name) for name in shown))


if __name__ == "__main__":
    main()
