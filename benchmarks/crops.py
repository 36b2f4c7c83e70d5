"""The crops of Stanford Dogs as recipes and as input of the Keras guide's script.

What `caching.py` and `speed.py` train: 12,000 images, a tenth of them for validation, and blocks of
two backbones.
"""

import csv
import json
import random
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from cells import run_json

from tfft.config.base import Section

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
# Scale and offset of pixels in 0..255 that the weights were trained with.
PIXELS = {"EfficientNetLite0": (1 / 128, -127 / 128), "MobileNet-0.25": (1 / 127.5, -1.0)}

# Path and class of images, by split.
Splits = dict[str, list[tuple[str, int]]]


class Crops:
    """The crops as files in a directory of their own, made once for all cells.

    Args:
        shared: Directory with the crops and the weights.
        directory: Directory for photos, backbones and what is measured.
        share: Share of the training images that is used; below 1 only to try the benchmark.

    Attributes:
        directory: As above.
        shared: As above.
        log: File to which the commands' stderr is appended.
        splits: Training, validation and test images.
    """

    def __init__(self, shared: Path, directory: Path, share: float = 1.0) -> None:
        self.shared = shared
        self.directory = directory
        self.log = directory / "log"
        self.splits = self._unpacked(share)
        self._bases: dict[str, dict[str, str]] = {}

    def guide(
        self,
        backbone: str,
        part: str,
        *,
        epochs: int,
        augment: bool = False,
        evaluate: bool = False,
        splits: Splits | None = None,
    ) -> dict[str, Any]:
        """Trains a part of a backbone with the Keras guide's script, in a process of its own."""
        splits, base = splits or self.splits, self._base(backbone)
        columns = {
            split: {"files": [path for path, _ in rows], "labels": [label for _, label in rows]}
            for split, rows in splits.items()
        }
        scale, offset = PIXELS[backbone]
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            file = Path(scratch) / "splits.json"
            file.write_text(json.dumps(columns))
            command = [sys.executable, str(GUIDE), "--base", base["file"], "--splits", str(file)]
            command += [f"--scale={scale}", f"--offset={offset}", f"--train-from={base[part]}"]
            command += [f"--learning-rate={RATES[part]}", f"--epochs={epochs}"]
            command += ["--augment"] * augment + ["--evaluate"] * evaluate
            report, cost = run_json(command, log=self.log)
        top1 = report.pop("top1", None)
        accuracy = {} if top1 is None else {"top1": top1, "examples": len(splits["test"])}
        return {**cost, **report, **accuracy}

    def recipe(
        self,
        backbone: str,
        part: str,
        place: Path,
        *,
        epochs: int,
        augment: bool = False,
        cache: dict[str, Any] | None = None,
        splits: Splits | None = None,
    ) -> dict[str, Any]:
        """A recipe that trains a part of a backbone as the guide's script does.

        Its list of images is written into `place`.
        """
        manifest = place / "photos.csv"
        with manifest.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["path", "label", "split"])
            for split, rows in (splits or self.splits).items():
                writer.writerows([path, f"{label:03d}", split] for path, label in rows)
        phase = {
            "unfreeze": UNFREEZE[part],
            "epochs": epochs,
            "learning_rate": RATES[part],
            "schedule": {"kind": "constant"},
            "augment": "random_crop" if augment else "none",
        }
        train = {"optimizer": {"name": "adam"}, "phases": [phase], "cache": cache or {}}
        return {
            "name": "cell",
            "data": {"kind": "manifest", "path": str(manifest), "validation_fraction": 0.0},
            "image": {"size_px": SIZE_PX, "fit": "stretch"},
            "backbone": backbone_section(backbone, self.shared),
            "train": train,
        }

    def _base(self, name: str) -> dict[str, str]:
        """The backbone as a Keras file, and the layer from which each part is trained."""
        if name not in self._bases:
            from pydantic import TypeAdapter

            from tfft.backbones.build import build_backbone
            from tfft.config.model import BackboneConfig

            config: Section = TypeAdapter(BackboneConfig).validate_python(
                backbone_section(name, self.shared)
            )
            backbone = build_backbone(config, SIZE_PX, 0)
            file = self.directory / f"{name}.keras"
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

    def _unpacked(self, share: float) -> Splits:
        """Writes the crops as files and returns the path and class of each, by split."""
        from scipy.io import loadmat

        archives = self.shared / "stanford_dogs_crops160"
        for name in ("images", "lists"):
            with tarfile.open(archives / f"{name}.tar") as tar:
                tar.extractall(self.directory, filter="data")
        found = {}
        for split in ("train", "test"):
            listed = loadmat(next(self.directory.rglob(f"{split}_list.mat")))
            files = [str(row[0][0]) for row in listed["file_list"]]
            labels = [int(row[0]) - 1 for row in listed["labels"]]
            rows = [
                (str(self.directory / "Images" / f), k) for f, k in zip(files, labels, strict=True)
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


def backbone_section(name: str, shared: Path) -> dict[str, Any]:
    """The `backbone` section of a recipe."""
    if name == "EfficientNetLite0":
        return {"kind": "lite", "name": name}
    weights = str(shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
    application = {"kind": "application", "name": "MobileNet", "weights": weights}
    return {**application, "arguments": {"alpha": 0.25}}


def epoch_seconds(history: Path) -> list[float]:
    """Seconds of the steps of each epoch of a run."""
    with history.open() as stream:
        return [float(row["seconds"]) for row in csv.DictReader(stream)]
