"""How a solved head's C should be chosen: by validation top-1, by loss, with a standard error …

The features of EfficientNet-Lite0 are computed once (tfft's cache keeps them). On each split, a
head is solved for every candidate of C on the training images, and again on training and validation
images; the latter is measured on the test images. From what each solution does on the validation
images, or in five-fold cross-validation on both, each rule chooses a C. Cells are stored in
results/choice-of-penalty.json; run the script again to continue. Then `--table` writes the tables
into docs/strategies.md.

    python benchmarks/choice_of_penalty.py --shared ../shared/data
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from cells import Cells
from sklearn.model_selection import StratifiedKFold, train_test_split
from tables import put_into, table_text

from tfft.config.loading.load import recipe_from_dict
from tfft.config.train import LinearPhase
from tfft.system.progress import SILENT
from tfft.transfer.frozen.build import frozen_part, read_outputs
from tfft.transfer.linear.inputs import on_principal_axes
from tfft.transfer.linear.penalty import regression_of
from tfft.transfer.linear.regression import LogisticRegression
from tfft.transfer.linear.weights import LinearWeights
from tfft.transfer.prepare import prepare

PAGE = Path(__file__).parents[1] / "docs" / "strategies.md"
CANDIDATES = LinearPhase(solver="linear").inverse_regularization
# Data set, training images with those for validation (None: all), number of splits.
SETS = (
    ("digits", None, 6),
    ("flowers", 250, 10),
    ("flowers", None, 6),
    ("dogs", 1200, 4),
    ("dogs", None, 2),
)
VALIDATION_FRACTION = 0.1
FOLDS = 5
# As in tfft: after so many candidates in a row that are worse, weaker penalties are not tried.
PATIENCE = 2
# What the rounding of float32 changes in a feature, relative.
ROUNDING = 1e-6

Arrays = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Measures the missing cells and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with the crops and the flowers")
    parser.add_argument("--data", help="one of the sets only: digits, flowers or dogs")
    parser.add_argument("--table", action="store_true", help="write the tables and stop")
    options = parser.parse_args()
    cells = Cells("choice-of-penalty")
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        for data, images, splits in (one for one in SETS if options.data in (None, one[0])):
            found: tuple[Arrays, Arrays] | None = None
            for seed in range(splits):
                key = {"data": data, "images": images, "seed": seed}
                if cells.get(**key) is None:
                    print(key, flush=True)
                    found = found or features_of(data, options.shared.absolute())
                    large = data == "dogs" and images is None
                    cells.put(measure(*found, images, seed, data != "dogs", not large), **key)
    put_into(PAGE, "choice-of-penalty", table(cells))


def features_of(data: str, shared: Path) -> tuple[Arrays, Arrays]:
    """Returns features and labels of the training and of the test images."""
    sections = {
        "digits": {"kind": "digits"},
        "flowers": {"kind": "image_folder", "path": str(shared / "flowers160")},
        "dogs": {
            "kind": "tfds",
            "name": "stanford_dogs",
            "archives": str(shared / "stanford_dogs_crops160"),
            "subset": True,
            "crop_to_box": True,
        },
    }
    recipe = recipe_from_dict(
        {
            "name": data,
            "data": {**sections[data], "validation_fraction": 0.0},
            "image": {"size_px": 96 if data == "digits" else 160, "fit": "stretch"},
            "backbone": {"kind": "lite"},
            "train": {"phases": [{"solver": "linear", "inverse_regularization": [1.0]}]},
        }
    )
    prepared = prepare(recipe, SILENT)
    frozen = frozen_part(recipe, prepared.classifier, [len(prepared.classifier.backbone.blocks)])
    train, test = (
        (
            read_outputs(frozen, prepared.examples(split), split)[0],
            prepared.data.splits[split].targets["label"],
        )
        for split in ("train", "test")
    )
    return train, test


def measure(
    train: Arrays, test: Arrays, images: int | None, seed: int, redraw: bool, cross: bool
) -> dict[str, Any]:
    """Solves the heads of one split.

    Args:
        train: Training features and labels.
        test: Test features and labels.
        images: Number of training images, with those for validation; None: all.
        seed: Seed of the split.
        redraw: Whether the test images, too, are drawn anew with the seed.
        cross: Whether to cross-validate.
    """
    started = time.process_time()
    if redraw:
        everything = tuple(np.concatenate(pair) for pair in zip(train, test, strict=True))
        train, test = split(everything, len(test[1]), seed)
    if images is not None:
        _, train = split(train, images, seed)
    fitted, validation = split(train, round(VALIDATION_FRACTION * len(train[1])), seed)
    solutions = path(fitted, validation)
    generator = np.random.default_rng(seed)
    rounded = path(*(perturbed(part, generator) for part in (fitted, validation)))
    folds = cross_validated(train, seed) if cross else []
    regression = regression_on(train)
    refitted, start = [], None
    for candidate in CANDIDATES[: max(map(len, (solutions, rounded, folds)))]:
        solution = regression.solve(candidate, start)
        start = solution.coefficients
        refitted.append(losses_and_hits(solution.weights, test))
    return {
        "train": len(fitted[1]),
        "validation_images": len(validation[1]),
        "test_images": len(test[1]),
        "validation": figures(solutions),
        "validation_perturbed": figures(rounded),
        "cross_validation": figures(folds) if folds else [],
        "test": figures(refitted),
        "cpu_seconds": round(time.process_time() - started, 1),
    }


def split(examples: Arrays, held_out: int, seed: int) -> tuple[Arrays, Arrays]:
    """Divides examples at random, each class in proportion."""
    features, labels = examples
    kept, out = train_test_split(
        np.arange(len(labels)), test_size=held_out, random_state=seed, stratify=labels
    )
    return (features[kept], labels[kept]), (features[out], labels[out])


def perturbed(examples: Arrays, generator: np.random.Generator) -> Arrays:
    """Changes each feature as another processor's rounding would."""
    features, labels = examples
    noise = generator.uniform(-ROUNDING, ROUNDING, features.shape)
    return (features * (1.0 + noise)).astype(np.float32), labels


def regression_on(examples: Arrays) -> LogisticRegression:
    """The regression of labels on features."""
    features, labels = examples
    inputs = on_principal_axes(features)
    found = regression_of("classification", inputs, labels, int(labels.max()) + 1)
    assert isinstance(found, LogisticRegression)
    return found


def losses_and_hits(weights: LinearWeights, examples: Arrays) -> Arrays:
    """The loss of each example, and whether it is classified correctly."""
    features, labels = examples
    logits = (features @ weights.kernel + weights.bias).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    of_label = logits[np.arange(len(labels)), labels]
    return np.log(np.exp(logits).sum(axis=1)) - of_label, logits.argmax(axis=1) == labels


def path(fitted: Arrays, validation: Arrays) -> list[Arrays]:
    """Solves one candidate after the other, until the validation loss has risen twice."""
    regression, start = regression_on(fitted), None
    found: list[Arrays] = []
    for candidate in CANDIDATES:
        solution = regression.solve(candidate, start)
        start = solution.coefficients
        found.append(losses_and_hits(solution.weights, validation))
        losses = [loss.mean() for loss, _ in found]
        if len(losses) - 1 - int(np.argmin(losses)) == PATIENCE:
            break
    return found


def cross_validated(examples: Arrays, seed: int) -> list[Arrays]:
    """What each candidate does on examples that it was not solved on, over all folds."""
    features, labels = examples
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, labels)
    paths = [
        path((features[fitted], labels[fitted]), (features[out], labels[out]))
        for fitted, out in folds
    ]
    # A candidate that one fold has not tried is none.
    return [
        tuple(np.concatenate(arrays) for arrays in zip(*of_folds, strict=True))
        for of_folds in zip(*paths, strict=False)
    ]


def figures(by_candidate: Sequence[Arrays]) -> list[dict[str, float]]:
    """Means and standard errors of each candidate, also of its difference to the best loss."""
    best = by_candidate[int(np.argmin([losses.mean() for losses, _ in by_candidate]))][0]
    found = []
    for losses, hits in by_candidate:
        root = np.sqrt(len(losses))
        found.append(
            {
                "loss": float(losses.mean()),
                "loss_error": float(losses.std() / root),
                "loss_difference_error": float((losses - best).std() / root),
                "top1": float(hits.mean()),
                "top1_error": float(hits.std() / root),
            }
        )
    return found


Rule = Callable[[list[dict[str, float]]], int]


def by_top1(found: list[dict[str, float]]) -> int:
    """The best top-1; the lower loss of equal ones."""
    return min(range(len(found)), key=lambda i: (-found[i]["top1"], found[i]["loss"]))


def by_loss(found: list[dict[str, float]]) -> int:
    """The lowest loss."""
    return min(range(len(found)), key=lambda i: found[i]["loss"])


def within_error_of_top1(found: list[dict[str, float]]) -> int:
    """The strongest penalty within a standard error of the best top-1."""
    best = found[by_top1(found)]
    limit = best["top1"] - best["top1_error"]
    return next(i for i, cell in enumerate(found) if cell["top1"] >= limit)


def within_error_of_loss(found: list[dict[str, float]]) -> int:
    """The strongest penalty within a standard error of the lowest loss."""
    best = found[by_loss(found)]
    limit = best["loss"] + best["loss_error"]
    return next(i for i, cell in enumerate(found) if cell["loss"] <= limit)


def within_error_of_difference(found: list[dict[str, float]]) -> int:
    """The strongest penalty that is not shown to have more than the lowest loss."""
    lowest = found[by_loss(found)]["loss"]
    return next(
        i for i, cell in enumerate(found) if cell["loss"] - lowest <= cell["loss_difference_error"]
    )


RULES: dict[str, tuple[str, Rule]] = {
    "validation top-1": ("validation", by_top1),
    "validation top-1, one standard error": ("validation", within_error_of_top1),
    "validation loss": ("validation", by_loss),
    "validation loss, one standard error": ("validation", within_error_of_loss),
    "validation loss, one standard error of the difference": (
        "validation",
        within_error_of_difference,
    ),
    "cross-validated top-1": ("cross_validation", by_top1),
    "cross-validated loss": ("cross_validation", by_loss),
    "cross-validated loss, one standard error of the difference": (
        "cross_validation",
        within_error_of_difference,
    ),
}


def table(cells: Cells) -> str:
    """Each rule on each set: test top-1 and loss after the refit, means over the splits.

    The last column is how far the choice differs between splits, in candidates: the standard
    deviation of its place in their list, mean over the sets.
    """
    columns, rows = ["C chosen by"], [[name] for name in RULES] + [["best C for each split"]]
    spreads: dict[str, list[float]] = {name: [] for name in RULES}
    for data, images, _ in SETS:
        found = [c for c in cells.cells if (c["key"]["data"], c["key"]["images"]) == (data, images)]
        if not found:
            continue
        solved, splits = found[0]["train"] + found[0]["validation_images"], len(found)
        columns.append(f"{data}, {solved:,} images ({splits})")
        for row, (name, (source, rule)) in zip(rows, RULES.items(), strict=False):
            tried = all(cell[source] for cell in found)
            chosen = [rule(cell[source]) for cell in found] if tried else []
            row.append(means([c["test"][i] for c, i in zip(found, chosen, strict=False)]))
            if len(chosen) > 1:
                spreads[name].append(float(np.std(chosen)))
        rows[-1].append(means([max(cell["test"], key=lambda t: t["top1"]) for cell in found]))
    columns.append("spread of C")
    for row in rows[:-1]:
        row.append(f"{mean(spreads[row[0]]):.1f}")
    rows[-1].append("")
    flips = {
        name: sum(rule(cell[source]) != rule(cell[f"{source}_perturbed"]) for cell in cells.cells)
        for name, (source, rule) in RULES.items()
        if source == "validation"
    }
    changed = ", ".join(f"{name}: {count}" for name, count in flips.items())
    return (
        f"{table_text(columns, rows)}\n\nSplits of {len(cells.cells)} in which another C is chosen "
        f"if each feature is changed by up to {ROUNDING:g} of its value: {changed}."
    )


def means(tested: Sequence[dict[str, float]]) -> str:
    """Top-1 and loss, averaged over splits."""
    if not tested:
        return "-"
    top1, loss = (mean(cell[name] for cell in tested) for name in ("top1", "loss"))
    return f"{top1:.4f}, {loss:.3f}"


if __name__ == "__main__":
    main()
