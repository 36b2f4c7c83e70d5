"""What operating points keep on images that they were not chosen on.

Heads are solved on features of flowers160, on 20 random divisions into training, validation and
test images. On each, a threshold of each of the five classes is chosen on the validation images for
each goal, as `tfft calibrate` does, and measured on the test images. Cells are stored in
results/operating-points.json; run the script again to continue. `operating_points.py --table`
writes the table into docs/thresholds.md.

    python benchmarks/operating_points.py --shared ../shared/data
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cells
from tables import put_into, table_text

from tfft.config.loading.load import recipe_from_dict
from tfft.errors import GateError
from tfft.evaluation.operating_points import AskedPoint, ChosenPoint, chosen_point
from tfft.metrics.threshold_curves import AtThreshold, at_threshold
from tfft.runtime.info import GOALS, HeadInfo
from tfft.runtime.predictor import softmax
from tfft.system.progress import SILENT
from tfft.transfer.frozen.build import frozen_part, read_outputs
from tfft.transfer.linear.penalty import solve_linear_head
from tfft.transfer.prepare import prepare

DOCS = Path(__file__).parents[1] / "docs" / "thresholds.md"
SEEDS, SIZE_PX, PENALTY = range(20), 160, 0.03
TRAINED, VALIDATED = 1000, (100, 300)
SHARES = (0.9, 0.95, 0.99)


def features_of(shared: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns features and classes of all photos, and the names of the classes."""
    recipe = recipe_from_dict(
        {
            "name": "flowers",
            "data": {"kind": "image_folder", "path": str(shared / "flowers160")},
            "image": {"size_px": SIZE_PX},
            "backbone": {"kind": "lite"},
            "heads": {"label": {}},
            "train": {"phases": [{"solver": "linear", "inverse_regularization": [PENALTY]}]},
        }
    )
    prepared = prepare(recipe, SILENT)
    frozen = frozen_part(recipe, prepared.classifier, [len(prepared.classifier.backbone.blocks)])
    parts = []
    for split in ("train", "validation", "test"):
        examples = prepared.examples(split)
        (features,) = read_outputs(frozen, examples, split)
        parts.append((features, examples.targets["label"]))
    features, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return features, labels, prepared.data.class_names["label"]


def measure(
    features: np.ndarray, labels: np.ndarray, head: HeadInfo, seed: int, validated: int
) -> dict[str, Any]:
    """Returns what each point gives on validation and test images of one division."""
    order = np.random.default_rng(seed).permutation(len(labels))
    train, validation, test = np.split(order, [TRAINED, TRAINED + validated])
    solved = solve_linear_head(
        features[train],
        labels[train],
        features[validation],
        labels[validation],
        outputs=len(head.class_names),
        kind="classification",
        candidates=(PENALTY,),
        choose_by="loss",
        refit=False,
    )
    said = {
        name: softmax(solved.chosen.outputs(features[at])).astype(np.float32)
        for name, at in (("validation", validation), ("test", test))
    }
    points = []
    for label in head.class_names:
        k = head.class_names.index(label)
        for goal, share in product(GOALS, SHARES):
            asked = AskedPoint(label, goal, share)
            try:
                point = chosen_point(asked, head, said["validation"], labels[validation], 1.0)
            except GateError:
                points.append({"label": label, "goal": goal, "at_least": share, "kept": None})
                continue
            threshold = point.as_trained.threshold
            found = at_threshold(labels[test] == k, said["test"][:, k], threshold)
            points.append(_row(point, found))
    return {"points": points, "examples": len(test)}


def _row(point: ChosenPoint, found: AtThreshold) -> dict[str, Any]:
    kept, interval = {
        "precision": (found.precision, found.precision_interval),
        "recall": (found.recall, found.recall_interval),
    }[point.goal]
    other = found.recall if point.goal == "precision" else found.precision
    asked = {"label": point.label, "goal": point.goal, "at_least": point.at_least}
    rounded = [None if share is None else round(share, 4) for share in (kept, other)]
    ends = None if interval is None else [round(end, 4) for end in interval]
    return asked | {"kept": rounded[0], "interval": ends, "other": rounded[1]}


def table(cells: Cells) -> str:
    """A row for each goal and number of validation images, over all divisions and classes."""
    columns = ["asked for", "validation images", "on test images", "as asked or better"]
    columns += ["asked for within the interval", "the other share"]
    rows = []
    for goal, share in product(GOALS, SHARES):
        for validated in VALIDATED:
            points = [
                point
                for cell in cells.cells
                if cell["key"]["validated"] == validated
                for point in cell["points"]
                if (point["goal"], point["at_least"]) == (goal, share)
            ]
            if points:
                rows.append([f"{goal} {share:g}", str(validated), *_cells(points, share)])
    return table_text(columns, rows)


def _cells(points: Sequence[dict[str, Any]], share: float) -> list[str]:
    """Returns the cells of the points that could be chosen."""
    known = [point for point in points if point["kept"] is not None]
    kept = [point["kept"] for point in known]
    tenths = statistics.quantiles(kept, n=10)
    better = statistics.mean(value >= share for value in kept)
    within = statistics.mean(low <= share <= high for low, high in (p["interval"] for p in known))
    return [
        f"{statistics.mean(kept):.3f} ({tenths[0]:.3f} to {tenths[-1]:.3f})",
        f"{better:.0%}",
        f"{within:.0%}",
        f"{statistics.mean(point['other'] for point in known):.3f}",
    ]


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with flowers160")
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells = Cells("operating-points")
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        features, labels, names = features_of(options.shared.absolute())
        head = HeadInfo("classification", names, "label")
        for key in ({"seed": s, "validated": v} for v in VALIDATED for s in SEEDS):
            if cells.get(**key) is None:
                print(key, flush=True)
                cells.put(measure(features, labels, head, **key), **key)
    put_into(DOCS, "operating-points", table(cells))


if __name__ == "__main__":
    sys.exit(main())
