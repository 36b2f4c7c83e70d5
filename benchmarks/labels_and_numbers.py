"""Solved heads for labels and numbers against scikit-learn's, on the same features and splits.

The pictures are made of photos of flowers, two by two: the labels of one are the kinds that it
shows, and its number is how many of its photos show a rose. scikit-learn solves one regression for
each label (one-vs-rest) and a ridge regression, for the same penalties, of which the same
validation images choose; then both solve again on training and validation images. Cells are stored
in results/labels-and-numbers.json; run the script again to continue.
`labels_and_numbers.py --table` writes the table into docs/strategies.md.

    python benchmarks/labels_and_numbers.py --shared ../shared/data
"""

import argparse
import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cells, run_tfft
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from tables import interval_text, put_into, table_text

from tfft.config.loading.load import recipe_from_dict
from tfft.config.train import LinearPhase
from tfft.metrics.multi_label import best_thresholds, multi_label_metrics
from tfft.metrics.regression import regression_metrics
from tfft.runtime.predictor import sigmoid
from tfft.system.progress import SILENT
from tfft.transfer.frozen.build import frozen_part, read_outputs
from tfft.transfer.linear.penalty import solve_linear_head
from tfft.transfer.prepare import prepare

DOCS = Path(__file__).parents[1] / "docs" / "strategies.md"
WORK = Path(__file__).parent / "work" / "labels-and-numbers"
SEEDS = (0, 1, 2)
IMAGES = {"train": 720, "test": 300}
TILE_PX, COUNTED = 96, "roses"
CANDIDATES = LinearPhase(solver="linear").inverse_regularization
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def make_pictures(shared: Path, root: Path) -> Path:
    """Writes the pictures and ``list.csv`` with their labels, numbers and splits."""
    generator = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    rows = []
    for split, count in IMAGES.items():
        kinds = sorted((shared / "flowers160" / split).iterdir())
        photos = {kind.name: sorted(kind.iterdir()) for kind in kinds}
        for number in range(count):
            # From one to four kinds, some of them more often than others.
            among = generator.choice(list(photos), generator.integers(1, 5), replace=False)
            shown = [str(generator.choice(among)) for _ in range(4)]
            picture = Image.new("RGB", (2 * TILE_PX, 2 * TILE_PX))
            for place, kind in enumerate(shown):
                photo = photos[kind][int(generator.integers(len(photos[kind])))]
                tile = Image.open(photo).convert("RGB").resize((TILE_PX, TILE_PX))
                picture.paste(tile, (TILE_PX * (place % 2), TILE_PX * (place // 2)))
            name = f"{split}{number:04}.jpg"
            picture.save(root / name, quality=90)
            rows.append(
                {
                    "path": name,
                    "labels": "|".join(sorted(set(shown))),
                    COUNTED: sum(COUNTED[:-1] in kind for kind in shown),
                    "split": split,
                }
            )
    path = root / "list.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def features_of(path: Path) -> tuple[Arrays, tuple[str, ...]]:
    """Returns features, labels and numbers of all pictures, and the names of the labels."""
    phase = {"solver": "linear", "inverse_regularization": [1.0]}
    recipe = recipe_from_dict(
        {
            "name": "pictures",
            "data": {"kind": "manifest", "path": str(path), "validation_fraction": 0.0},
            "image": {"size_px": 2 * TILE_PX},
            "backbone": {"kind": "lite"},
            "heads": {
                "labels": {"kind": "multi_label", "target": "labels"},
                COUNTED: {"kind": "regression", "target": COUNTED},
            },
            "train": {"phases": [phase]},
        }
    )
    prepared = prepare(recipe, SILENT)
    frozen = frozen_part(recipe, prepared.classifier, [len(prepared.classifier.backbone.blocks)])
    parts = []
    for split in IMAGES:
        examples = prepared.examples(split)
        (features,) = read_outputs(frozen, examples, split)
        parts.append((features, examples.targets["labels"], examples.targets[COUNTED]))
    features, labels, numbers = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return (features, labels, numbers), prepared.data.class_names["labels"]


def parts_of(everything: Arrays, seed: int) -> dict[str, Arrays]:
    """Returns the pictures anew in training, validation and test images."""
    order = np.random.default_rng(seed).permutation(len(everything[0]))
    tested, validated = IMAGES["test"], IMAGES["train"] // 6
    places = np.split(order, [tested, tested + validated])
    names = ("test", "validation", "train")
    return {
        name: (everything[0][at], everything[1][at], everything[2][at])
        for name, at in zip(names, places, strict=True)
    }


def measure_tfft(parts: dict[str, Arrays], names: tuple[str, ...]) -> dict[str, Any]:
    """Solves with tfft, as a phase `solver: linear` with refit does."""
    (features, labels, numbers), (unseen, wanted, counts) = parts["train"], parts["validation"]
    mean, deviation = numbers.mean(), numbers.std()
    started = time.process_time()
    shared = {"candidates": CANDIDATES, "choose_by": "loss", "refit": True}
    of_labels = solve_linear_head(
        features, labels, unseen, wanted, outputs=len(names), kind="multi_label", **shared
    )
    of_numbers = solve_linear_head(
        features,
        (numbers - mean) / deviation,
        unseen,
        (counts - mean) / deviation,
        outputs=1,
        kind="regression",
        **shared,
    )
    seconds = time.process_time() - started
    assert of_labels.refitted is not None and of_numbers.refitted is not None
    held_out = sigmoid(of_labels.chosen.outputs(unseen))
    said = sigmoid(of_labels.refitted.outputs(parts["test"][0]))
    found = of_numbers.refitted.outputs(parts["test"][0]) * deviation + mean
    limits = best_thresholds(held_out, wanted)
    return {**_metrics(parts, names, said, limits, found[:, 0]), "cpu_seconds": round(seconds, 1)}


def measure_scikit_learn(parts: dict[str, Arrays], names: tuple[str, ...]) -> dict[str, Any]:
    """Solves with scikit-learn; its labels apply above one half."""
    (features, labels, numbers), (unseen, wanted, counts) = parts["train"], parts["validation"]
    started = time.process_time()
    scaler = StandardScaler().fit(features)
    scaled, scaled_unseen = scaler.transform(features), scaler.transform(unseen)
    losses, errors = {}, {}
    for c in CANDIDATES:
        solved = _one_vs_rest(c).fit(scaled, labels)
        said = np.clip(solved.predict_proba(scaled_unseen), 1e-7, 1 - 1e-7)
        losses[c] = -np.where(wanted > 0.5, np.log(said), np.log(1 - said)).mean()
        ridge = Ridge(alpha=1 / c).fit(scaled, numbers[:, 0])
        errors[c] = ((ridge.predict(scaled_unseen) - counts[:, 0]) ** 2).mean()
    every = np.concatenate([scaled, scaled_unseen])
    solved = _one_vs_rest(min(losses, key=losses.__getitem__))
    solved.fit(every, np.concatenate([labels, wanted]))
    ridge = Ridge(alpha=1 / min(errors, key=errors.__getitem__))
    ridge.fit(every, np.concatenate([numbers, counts])[:, 0])
    seconds = time.process_time() - started
    tested = scaler.transform(parts["test"][0])
    metrics = _metrics(parts, names, solved.predict_proba(tested), (), ridge.predict(tested))
    return {**metrics, "cpu_seconds": round(seconds, 1)}


def _one_vs_rest(c: float) -> OneVsRestClassifier:
    return OneVsRestClassifier(LogisticRegression(C=c, max_iter=1000))


def _metrics(
    parts: dict[str, Arrays],
    names: tuple[str, ...],
    said: np.ndarray,
    limits: tuple[float, ...],
    found: np.ndarray,
) -> dict[str, Any]:
    _, labels, numbers = parts["test"]
    of_labels = multi_label_metrics(said, labels, names, limits)
    of_numbers = regression_metrics(found, numbers[:, 0])
    shown = ("loss", "f1", "macro_f1", "map", "macro_auc", "exact")
    halves = multi_label_metrics(said, labels, names)
    return {
        **{name: of_labels[name] for name in shown},
        "macro_f1_at_one_half": halves["macro_f1"],
        **{name: of_numbers[name] for name in ("mae", "rmse", "r2")},
        "examples": len(labels),
    }


def measure_recipe(path: Path) -> Mapping[str, Any]:
    """Trains the bundled recipe on the pictures and evaluates it on their test images."""
    with tempfile.TemporaryDirectory() as directory:
        place, run = Path(directory), Path(directory) / "run"
        _, cost = run_tfft("train", "labels", "--data", str(path), "--run", str(run), cache=place)
        evaluated, _ = run_tfft("evaluate", str(run), cache=place)
        return {**cost, "examples": evaluated["examples"], **evaluated["metrics"]["labels"]}


def table(cells: Cells) -> str:
    """A row for each side, means over the splits."""
    columns = {
        "loss": "loss",
        "macro_f1_at_one_half": "macro F1 at one half",
        "macro_f1": "macro F1 at thresholds",
        "map": "mAP",
        "rmse": "RMSE of the number",
    }
    rows = []
    for side in ("scikit-learn", "tfft"):
        found = [cell for cell in cells.cells if cell["key"].get("side") == side]
        if found:
            shown = [interval_text(found, name) for name in columns]
            shown[2] = "-" if side == "scikit-learn" else shown[2]
            seconds = statistics.mean(cell["cpu_seconds"] for cell in found)
            rows.append([side, *shown, f"{seconds:.1f}"])
    return table_text(["solver", *columns.values(), "CPU s"], rows)


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with flowers160")
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells = Cells("labels-and-numbers")
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        path = make_pictures(options.shared.absolute(), WORK)
        if cells.get(recipe="labels") is None:
            cells.put(measure_recipe(path), recipe="labels")
        everything, names = features_of(path)
        for seed in SEEDS:
            for side, measure in (("tfft", measure_tfft), ("scikit-learn", measure_scikit_learn)):
                if cells.get(side=side, seed=seed) is None:
                    print(side, seed, flush=True)
                    parts = parts_of(everything, seed)
                    cells.put(measure(parts, names), side=side, seed=seed)
    put_into(DOCS, "labels-and-numbers", table(cells))
    print(DOCS.read_text())


if __name__ == "__main__":
    sys.exit(main())
