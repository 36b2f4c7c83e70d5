"""Does the audit find wrong labels? Labels are swapped, so that the truth is known.

Of the training labels of the flowers and of the Stanford Dogs crops 5 % and 10 % are swapped: by
chance, or with the class that each is confused with most. Then wrong labels are looked for on the
features of the recipe `classifier`: by the audit, by the audit after its first round, and by
cleanlab on the very probabilities of that round and of the second. Last, a person is assumed to
look at the first n images of a list, n being the number of swapped labels, and to set each right;
a head is solved on the labels before and after, and tested on the test images.

Cells are stored in results/label-audit.json; run the script again to continue. `--cleanlab` names a
Python that has cleanlab (`python -m venv DIR; DIR/bin/pip install cleanlab`). Then `--table` writes
the tables into docs/audit.md.

    python benchmarks/label_audit.py --shared ../shared/data --cleanlab DIR/bin/python
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from cells import Cells, run_json, run_tfft
from tables import put_into, table_text

from tfft.audit.label_errors import find_label_errors
from tfft.audit.out_of_fold import answer_out_of_fold, folds_of
from tfft.system.progress import SILENT
from tfft.transfer.linear.penalty import solve_linear_head

PAGE = Path(__file__).parents[1] / "docs" / "audit.md"
SHARES, KINDS = (0.05, 0.1), ("chance", "similar")
SEEDS = {"flowers": (0, 1, 2), "crops": (0,)}
FOLDS = 5
# Lists of which a person is assumed to mend the first.
MENDED = ("audit", "cleanlab")
ROUNDS = 3
# How cleanlab is asked: with what its own documentation calls first.
_CLEANLAB = """
import json, sys
import numpy as np
from cleanlab.filter import find_label_issues
given = np.load(sys.argv[1])
found = find_label_issues(
    given["labels"], given["probabilities"], return_indices_ranked_by="self_confidence"
)
print(json.dumps(found.tolist()))
"""


def main() -> None:
    """Measures the missing cells and writes the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, help="directory with flowers160 and the crops")
    parser.add_argument("--cleanlab", metavar="PYTHON", help="a Python that has cleanlab")
    parser.add_argument("--data", choices=list(SEEDS), help="measure one data set only")
    parser.add_argument("--table", action="store_true", help="write the tables and stop")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(_cell(**json.loads(options.cell))))
        return
    cells = Cells("label-audit")
    if not options.table:
        if options.shared is None or options.cleanlab is None:
            parser.error("--shared DIR and --cleanlab PYTHON are needed to measure")
        shared = options.shared.absolute()
        with tempfile.TemporaryDirectory() as directory:
            for name in [options.data] if options.data else SEEDS:
                measure_lists(cells, name, shared, options.cleanlab, Path(directory))
            measure_cost(cells, shared, Path(directory))
    put_into(PAGE, "lists", lists_table(cells))
    put_into(PAGE, "mended", mended_table(cells))
    put_into(PAGE, "cost", cost_table(cells))


def measure_lists(cells: Cells, name: str, shared: Path, cleanlab: str, directory: Path) -> None:
    """Measures the cells of a data set that are missing, in turn over the ways to swap labels."""
    keys = [
        {"data": name, "share": share, "kind": kind, "seed": seed}
        for seed in SEEDS[name]
        for share in SHARES
        for kind in KINDS
    ]
    missing = [key for key in keys if cells.get(**key) is None]
    if not missing:
        return
    features = directory / f"{name}.npz"
    _write_features(name, shared, features)
    for key in missing:
        print(key, flush=True)
        values = {**key, "features": str(features), "cleanlab": cleanlab}
        arguments = [sys.executable, __file__, "--cell", json.dumps(values)]
        result, process = run_json(arguments, log=directory / "log")
        cells.put({**result, **process}, **key)


def _write_features(name: str, shared: Path, file: Path) -> None:
    """Writes features and labels of the training and test images, and what is like each class."""
    from tfft.config.loading.load import load_recipe
    from tfft.data.examples import Images
    from tfft.evaluation.data import together
    from tfft.transfer.frozen.build import frozen_part, read_outputs
    from tfft.transfer.prepare import prepare

    if name == "flowers":
        recipe = load_recipe("classifier", data=shared / "flowers160")
    else:
        archives = shared / "stanford_dogs_crops160"
        data = {"kind": "tfds", "name": "stanford_dogs", "archives": str(archives), "subset": True}
        recipe = load_recipe("classifier", overrides={f"data.{key}": data[key] for key in data})
    prepared = prepare(recipe, SILENT)
    classifier = prepared.classifier
    frozen = frozen_part(recipe, classifier, [len(classifier.backbone.blocks)], SILENT)
    splits = prepared.data.splits
    arrays = {}
    for part, names in (("train", ("train", "validation")), ("test", ("test",))):
        index = together([splits[name] for name in names])
        arrays[f"{part}_features"] = read_outputs(frozen, Images(index, prepared.pixels), part)[0]
        arrays[f"{part}_labels"] = index.targets["label"]
        arrays[f"{part}_keys"] = index.keys()
    labels = arrays["train_labels"]
    answers = _answers(arrays, labels)
    confused = np.stack([answers[labels == label].mean(axis=0) for label in np.unique(labels)])
    np.fill_diagonal(confused, 0.0)
    np.savez(file, similar=confused.argmax(axis=1), **arrays)


def _answers(given: Mapping[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    return _both_answers(given, labels).from_all


def _both_answers(given: Mapping[str, np.ndarray], labels: np.ndarray) -> Any:
    _, pieces = np.unique(given["train_keys"], axis=0, return_inverse=True)
    folds = folds_of(pieces.reshape(-1), labels, given["train_keys"], FOLDS)
    classes = int(given["train_labels"].max()) + 1
    return answer_out_of_fold(given["train_features"], labels, folds, classes=classes)


def _cell(
    features: str, cleanlab: str, share: float, kind: str, seed: int, data: str
) -> dict[str, Any]:
    """Swaps labels, looks for them in four ways, and mends the first of each list."""
    given = dict(np.load(features))
    true = given["train_labels"]
    labels, is_wrong = _swapped(true, given["similar"], share, kind, seed)
    answers = _both_answers(given, labels)
    wrong = int(is_wrong.sum())

    def by_cleanlab(probabilities: np.ndarray) -> np.ndarray:
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            np.savez(file.name, labels=labels, probabilities=probabilities.astype(np.float64))
            command = [cleanlab, "-c", _CLEANLAB, file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        return np.array(json.loads(done.stdout), np.int64)

    lists = {
        "audit": find_label_errors(answers.from_unsuspected, labels).suspects,
        "audit, first round": find_label_errors(answers.from_all, labels).suspects,
        "cleanlab": by_cleanlab(answers.from_all),
        "cleanlab, second round": by_cleanlab(answers.from_unsuspected),
    }

    def top1(some_labels: np.ndarray) -> float:
        head = solve_linear_head(
            given["train_features"],
            some_labels,
            given["train_features"][:0],
            some_labels[:0],
            outputs=int(true.max()) + 1,
            candidates=(answers.inverse_regularization,),
            choose_by="loss",
            refit=False,
        ).chosen
        said = head.outputs(given["test_features"]).argmax(axis=1)
        return float((said == given["test_labels"]).mean())

    def mended(found: np.ndarray) -> np.ndarray:
        looked_at = found[:wrong]
        better = labels.copy()
        better[looked_at] = true[looked_at]
        return better

    def quality(name: str, found: np.ndarray) -> dict[str, float]:
        hits = is_wrong[found]
        return {
            "length": len(found),
            "precision": float(hits.mean()) if len(found) else 0.0,
            "recall": float(hits.sum() / wrong),
            "precision_of_first_half": float(hits[: wrong // 2].mean()) if len(found) else 0.0,
            "mended": int(hits[:wrong].sum()),
            **({"top1": top1(mended(found))} if name in MENDED else {}),
        }

    return {
        "images": len(labels),
        "test_images": len(given["test_labels"]),
        "wrong": wrong,
        "expected": find_label_errors(answers.from_unsuspected, labels).expected,
        "inverse_regularization": answers.inverse_regularization,
        "top1": {"as_they_are": top1(labels), "true": top1(true)},
        "lists": {name: quality(name, found) for name, found in lists.items()},
    }


def _swapped(
    true: np.ndarray, similar: np.ndarray, share: float, kind: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels of which a share is wrong, and which."""
    generator = np.random.default_rng(seed)
    classes = int(true.max()) + 1
    chosen = generator.permutation(len(true))[: round(share * len(true))]
    labels = true.copy()
    if kind == "chance":
        labels[chosen] = (true[chosen] + generator.integers(1, classes, len(chosen))) % classes
    else:
        labels[chosen] = similar[true[chosen]]
    return labels, labels != true


def measure_cost(cells: Cells, shared: Path, directory: Path) -> None:
    """Measures audits of the flowers after a training, in rounds."""
    data, cache = str(shared / "flowers160"), directory / "cache"
    for number in range(ROUNDS):
        key = {"what": "cost", "round": number}
        if cells.get(**key) is not None:
            continue
        print(key, flush=True)
        audit = ("data", "audit", data, "-q")
        if not cache.is_dir():
            run_tfft(
                "train",
                "classifier",
                "--data",
                data,
                "--run",
                str(directory / "run"),
                "-q",
                cache=cache,
            )
            _, after_training = run_tfft(*audit, cache=cache)
            cells.put(after_training, what="cost", after="training")
        for looks in (cache / "scans").glob("looks-*"):
            looks.unlink()
        found, measuring = run_tfft(*audit, cache=cache)
        _, again = run_tfft(*audit, cache=cache)
        images = sum(found["images"].values())
        cells.put({"images": images, "cached_features": measuring, "again": again}, **key)


def _rows(cells: Cells, of: Callable[[list[dict[str, Any]]], list[str]]) -> list[list[str]]:
    """Returns a row for each data set, share and kind: its first columns, and `of` its cells."""
    rows = []
    for data in SEEDS:
        for share in SHARES:
            for kind in KINDS:
                keys = (
                    {"data": data, "share": share, "kind": kind, "seed": s} for s in SEEDS[data]
                )
                found = [cell for key in keys if (cell := cells.get(**key))]
                if found:
                    wrong = f"{mean(cell['wrong'] for cell in found):.0f}"
                    rows.append(
                        [data, f"{100 * share:.0f} %", kind, str(len(found)), wrong, *of(found)]
                    )
    return rows


def lists_table(cells: Cells) -> str:
    """How long each list is, and how many wrong labels are in it."""
    names = ("audit", "audit, first round", "cleanlab", "cleanlab, second round")

    def of(found: list[dict[str, Any]]) -> list[str]:
        texts = []
        for name in names:
            lists = [cell["lists"][name] for cell in found]
            numbers = [
                mean(each[key] for each in lists) for key in ("length", "precision", "recall")
            ]
            texts.append("{:.0f}: {:.2f}, {:.2f}".format(*numbers))
        return texts

    return table_text(
        ["data", "swapped", "with", "seeds", "wrong labels", *names], _rows(cells, of)
    )


def mended_table(cells: Cells) -> str:
    """Test accuracy before and after a person has looked at the first n of a list."""

    def of(found: list[dict[str, Any]]) -> list[str]:
        texts = [f"{mean(cell['top1']['as_they_are'] for cell in found):.3f}"]
        for name in MENDED:
            lists = [cell["lists"][name] for cell in found]
            top1, mended = (mean(each[key] for each in lists) for key in ("top1", "mended"))
            texts.append(f"{top1:.3f} ({mended:.0f})")
        return [*texts, f"{mean(cell['top1']['true'] for cell in found):.3f}"]

    columns = ["data", "swapped", "with", "seeds", "n", "as they are"]
    return table_text(
        [*columns, *(f"mended by {name}" for name in MENDED), "true labels"], _rows(cells, of)
    )


def cost_table(cells: Cells) -> str:
    """What an audit costs, by what is cached."""
    rounds = [cell for cell in cells.cells if "round" in cell["key"]]
    if not rounds:
        return "Not measured."
    rows = []
    after = cells.get(what="cost", after="training")
    if after:
        rows.append(["after a training", f"{after['cpu_seconds']:.0f}", f"{after['seconds']:.0f}"])
    for name, text in (("cached_features", "with cached features"), ("again", "again")):
        cpu, clock = (
            median(cell[name][key] for cell in rounds) for key in ("cpu_seconds", "seconds")
        )
        rows.append([text, f"{cpu:.0f}", f"{clock:.0f}"])
    return table_text([f"audit of {rounds[0]['images']:,} photos", "CPU s", "clock s"], rows)


if __name__ == "__main__":
    sys.exit(main())
