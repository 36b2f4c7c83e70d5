"""`tfft rank` on the dogs against the order after training: does the ranking tell the truth?

Each backbone is ranked on a share of the Stanford Dogs crops, then its head is solved on them and
evaluated on the test images. Cells are stored in results/ranking.json; run the
script again to continue. Then `ranking.py --table` writes the table into docs/rank.md.

    python benchmarks/ranking.py --shared ../shared/data
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from cells import Cells, run_tfft
from scipy.stats import kendalltau
from tables import interval_text, put_into, table_text

DOCS = Path(__file__).parents[1] / "docs" / "rank.md"
FRACTION = 0.1
BACKBONES = ("EfficientNetLite0", "MobileNet-0.25", "EfficientNetLite0-random")


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with stanford_dogs_crops160")
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells = Cells("ranking")
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        with tempfile.TemporaryDirectory() as directory:
            for name in BACKBONES:
                key = {"data": "dogs", "fraction": FRACTION, "backbone": name}
                if cells.get(**key) is None:
                    print(name, flush=True)
                    cells.put(measure(name, options.shared.absolute(), Path(directory)), **key)
    put_into(DOCS, "ranking", table(cells))
    print(DOCS.read_text())


def measure(name: str, shared: Path, directory: Path) -> dict[str, Any]:
    """Ranks one backbone, then solves a head on it and evaluates the head."""
    recipe, cache, run = directory / f"{name}.yaml", directory / "cache", directory / name
    recipe.write_text(yaml.safe_dump(recipe_of(name, shared)))
    ranking, cost = run_tfft("rank", str(recipe), "--backbones", str(recipe), cache=cache)
    run_tfft("train", str(recipe), "--run", str(run), cache=cache)
    evaluated, _ = run_tfft("evaluate", str(run), cache=cache)
    (ranked,) = ranking["backbones"]
    metrics = evaluated["metrics"]["label"]
    return {
        **cost,
        **{key: ranked[key] for key in ("logme", "h_score", "probe_top1", "multiply_adds")},
        "images": ranking["images"],
        "top1": metrics["top1"],
        "examples": evaluated["examples"],
    }


def recipe_of(name: str, shared: Path) -> dict[str, Any]:
    """A head solved on the crops."""
    return {
        "name": "ranking",
        "data": {
            "kind": "tfds",
            "name": "stanford_dogs",
            "archives": str(shared / "stanford_dogs_crops160"),
            "subset": True,
            "crop_to_box": True,
            "fraction": FRACTION,
            "validation_fraction": 0.25,
        },
        "image": {"size_px": 160, "fit": "stretch"},
        "backbone": _backbone(name, shared),
        "train": {"phases": [{"solver": "linear"}]},
    }


def _backbone(name: str, shared: Path) -> dict[str, Any]:
    if name == "MobileNet-0.25":
        weights = str(shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
        application = {"kind": "application", "name": "MobileNet", "weights": weights}
        return {**application, "arguments": {"alpha": 0.25}}
    return {"kind": "lite", "weights": "random" if name.endswith("random") else "imagenet"}


def table(cells: Cells) -> str:
    """The table, and how far each estimate agrees with the order after training."""
    found = sorted(cells.cells, key=lambda cell: -cell["top1"])
    rows = [
        [
            cell["key"]["backbone"],
            f"{cell['multiply_adds'] / 1e9:.2f} G",
            f"{cell['logme']:.3f}",
            f"{cell['h_score']:.2f}",
            f"{cell['probe_top1']:.3f}",
            interval_text([cell]),
            f"{cell['cpu_seconds']:.0f}",
        ]
        for cell in found
    ]
    columns = ["backbone", "multiply-adds", "LogME", "H-score", "probe top-1"]
    text = table_text([*columns, "test top-1 after training", "CPU s of `tfft rank`"], rows)
    reached = [cell["top1"] for cell in found]
    taus = {
        name: kendalltau([cell[key] for cell in found], reached).statistic
        for name, key in (("LogME", "logme"), ("H-score", "h_score"), ("probe", "probe_top1"))
    }
    agreement = ", ".join(f"{name} {tau:+.2f}" for name, tau in taus.items())
    return f"{text}\n\nKendall's tau with the order after training: {agreement}."


if __name__ == "__main__":
    sys.exit(main())
