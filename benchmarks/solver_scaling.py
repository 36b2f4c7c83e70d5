"""How the cost of a solved head grows with rows, classes and features, and what it was before.

Made features, one value of C, from nothing to convergence, one process a cell. Cells are stored in
results/solver-scaling.json; run the script again to continue. Then `--table` writes the tables into
docs/strategies.md.

    python benchmarks/solver_scaling.py
    python benchmarks/solver_scaling.py --shared ../shared/data --before DIR

`--before` names a checkout of commit 66682e7, whose solver was scikit-learn's, and compares the two
on the features of the Stanford Dogs crops, in alternating rounds. There each process has one thread
for its products of matrices, and only the solver counts, not the computation of the features.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from cells import Cells, run_json
from tables import put_into, table_text

from tfft.cache.tensors import GatheredTensor, StoredTensor, TensorWriter

HERE, SELF = Path(__file__).parent, Path(__file__).name
PAGE = HERE.parent / "docs" / "strategies.md"
# Rows, features, classes, and whether the rows are read from the disk in each pass.
GROWTH = (
    (1_000, 256, 10, False),
    (10_000, 256, 10, False),
    (100_000, 256, 10, False),
    (1_000_000, 256, 10, False),
    (1_000_000, 256, 10, True),
    (20_000, 256, 100, False),
    (20_000, 256, 1_000, False),
    (20_000, 256, 10_000, False),
)
C = 0.01
ROUNDS = 2
_BLOCK = 50_000


def main() -> None:
    """Measures the missing cells and writes the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, help="directory with the crops, for --before")
    parser.add_argument("--before", type=Path, metavar="DIR", help="checkout of 66682e7")
    parser.add_argument("--table", action="store_true", help="write the tables and stop")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(growth(**json.loads(options.cell))))
        return
    cells = Cells("solver-scaling")
    if not options.table:
        for rows, features, classes, streamed in GROWTH:
            key = {"rows": rows, "features": features, "classes": classes, "streamed": streamed}
            measure(cells, HERE.parent, key, [str(HERE / SELF), "--cell", json.dumps(key)])
        if options.before:
            if options.shared is None:
                parser.error("--before needs --shared DIR")
            compare(cells, options.before.absolute(), options.shared.absolute())
    put_into(PAGE, "solver-growth", growth_table(cells))
    put_into(PAGE, "solver-before", before_table(cells))


def measure(cells: Cells, code: Path, key: dict[str, Any], program: list[str]) -> None:
    """Measures a cell in a process of its own, with the tfft of the directory `code`."""
    if cells.get(**key) is not None:
        return
    print(key, flush=True)
    environment = {"PYTHONPATH": str(code), "OPENBLAS_NUM_THREADS": "1"}
    result, process = run_json([sys.executable, *program], environment)
    cells.put({**result, "peak_memory_mb": process["peak_memory_mb"]}, **key)


def growth(rows: int, features: int, classes: int, streamed: bool) -> dict[str, Any]:
    """Solves one value of C on made features."""
    from tfft.transfer.linear.inputs import on_principal_axes
    from tfft.transfer.linear.penalty import regression_of

    labels = np.arange(rows) % classes
    with tempfile.TemporaryDirectory() as place:
        if streamed:
            path = Path(place) / "features.npy"
            with TensorWriter(path, (rows, features), np.dtype(np.float32)) as writer:
                for at in range(0, rows, _BLOCK):
                    writer.append(made(labels[at : at + _BLOCK], features, classes, at))
            stored = StoredTensor(path, (rows, features), np.dtype(np.float32))
            source = GatheredTensor([stored], np.zeros(rows, np.int32), np.arange(rows))
        else:
            source = np.empty((rows, features), np.float32)
            for at in range(0, rows, _BLOCK):
                source[at : at + _BLOCK] = made(labels[at : at + _BLOCK], features, classes, at)
        before, began = time.process_time(), time.perf_counter()
        inputs = on_principal_axes(source, held_bytes=0 if streamed else None)
        regression: Any = regression_of("classification", inputs, labels, classes)
        passes = count_calls(regression, "_evaluate")
        solution = regression.solve(C)
        return {
            "cpu_seconds": round(time.process_time() - before, 2),
            "seconds": round(time.perf_counter() - began, 2),
            "passes": len(passes),
            "error": solution.error,
        }


def made(labels: np.ndarray, features: int, classes: int, seed: int) -> np.ndarray:
    """Features of unequal variance, as a backbone's are, with a centre for each class."""
    centres = np.random.default_rng(1).normal(size=(classes, features)).astype(np.float32)
    noise = np.random.default_rng(seed).normal(size=(len(labels), features)).astype(np.float32)
    return (0.3 * centres[labels] + noise) * np.geomspace(1.0, 0.03, features, dtype=np.float32)


def count_calls(thing: Any, name: str) -> list[None]:
    """Returns a list that grows by one with each call of a method."""
    calls: list[None] = []
    method = getattr(thing, name)

    def counted(*arguments: Any) -> Any:
        calls.append(None)
        return method(*arguments)

    setattr(thing, name, counted)
    return calls


def compare(cells: Cells, before: Path, shared: Path) -> None:
    """Solves the crops with the solver of this checkout and of another, in alternating rounds."""
    from choice_of_penalty import features_of

    keys = [
        {"side": side, "round": number} for number in range(ROUNDS) for side in ("before", "now")
    ]
    if all(cells.get(**key) for key in keys):
        return
    with tempfile.TemporaryDirectory() as place:
        (features, labels), _ = features_of("dogs", shared)
        path = str(Path(place) / "crops.npz")
        np.savez(path, features=features, labels=labels)
        for key in keys:
            code = before if key["side"] == "before" else HERE.parent
            measure(cells, code, key, [str(HERE / "solver_side.py"), path])


def growth_table(cells: Cells) -> str:
    """Rows and classes, one at a time."""
    columns = ["rows", "features", "classes", "passes", "CPU s", "CPU s a pass", "peak MB"]
    lines = []
    for rows, features, classes, streamed in GROWTH:
        key = {"rows": rows, "features": features, "classes": classes, "streamed": streamed}
        cell = cells.get(**key)
        if cell is None:
            continue
        lines.append(
            [
                f"{rows:,}{', from the disk' if streamed else ''}",
                str(features),
                f"{classes:,}",
                str(cell["passes"]),
                f"{cell['cpu_seconds']:.1f}",
                f"{cell['cpu_seconds'] / cell['passes']:.3f}",
                f"{cell['peak_memory_mb']:,}",
            ]
        )
    return table_text(columns, lines)


def before_table(cells: Cells) -> str:
    """The solvers on the crops: medians over the rounds."""
    lines = []
    for side, name in (("before", "scikit-learn (66682e7)"), ("now", "tfft")):
        found = [cell for cell in cells.cells if cell["key"].get("side") == side]
        if found:
            lines.append(
                [
                    name,
                    str(found[0]["tried"]),
                    f"{found[0]['c']:g}",
                    f"{found[0]['objective']:.6f}",
                    f"{median(cell['cpu_seconds'] for cell in found):.0f}",
                    f"{median(cell['seconds'] for cell in found):.0f}",
                ]
            )
    columns = ["solver", "values of C", "chosen", "loss reached there", "CPU s", "wall s"]
    return table_text(columns, lines)


if __name__ == "__main__":
    main()
