"""How fast `tfft predict` answers, beside the version before runs were converted.

Both sides are the same Python environment; the code of the other one is a Git worktree of its
commit, which the script makes and removes. The version before trains and exports the model, so that
both can read it. A round takes each command of each side once, in turn; CPU seconds count, since
others may use the machine. Beside them: what decoding the same photos and the forward pass take
alone, on one thread. Stored in results/predict-speed.json and written into docs/caching.md.

    python benchmarks/predict_speed.py --shared ../shared/data
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cells import TFFT, Cells, run_json
from tables import put_into, table_text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "caching.md"
BEFORE, NOW = "66682e7", "now"
ONE_OF_RUN, ONE_OF_TFLITE = "a photo, by the run", "a photo, by its .tflite file"
ALL_OF_RUN, ALL_OF_TFLITE = "786 photos, by the run", "786 photos, by its .tflite file"
TASKS = (ONE_OF_RUN, ONE_OF_TFLITE, ALL_OF_RUN, ALL_OF_TFLITE)
ALONE = """
import json, sys, time
from pathlib import Path
import numpy as np
from tfft.runtime.load import load_predictor
predictor = load_predictor(sys.argv[1], threads=1)
encoded = [file.read_bytes() for file in sorted(Path(sys.argv[2]).glob("*/*"))]
started = time.process_time()
pixels = [predictor.pixels([image])[0] for image in encoded]
decoded = time.process_time()
for image in pixels:
    predictor.answers(image[None])
computed = time.process_time()
print(json.dumps({"decode": decoded - started, "forward": computed - decoded}))
"""


class Bench:
    """Two versions of tfft, a model and the photos to predict.

    Args:
        shared: Directory with the photos.
        directory: Directory for the model and the caches.
        before: Code of the version before.
    """

    def __init__(self, shared: Path, directory: Path, before: Path) -> None:
        self._photos = shared / "flowers160"
        self._directory = directory
        self._code = {BEFORE: before, NOW: ROOT}
        self._run = directory / "run"
        self._tfft(BEFORE, "train", "classifier", "--data", self._photos, "--run", self._run)
        exported, _ = self._tfft(
            BEFORE, "export", self._run, "--output", directory, "--format", "tflite"
        )
        self._tflite = exported["tflite"]["float32"]

    def seconds(self, task: str, side: str) -> dict[str, float]:
        """Returns what one command takes: seconds, CPU seconds and the peak of its memory."""
        model = self._run if task in (ONE_OF_RUN, ALL_OF_RUN) else self._tflite
        photos = self._photos / "test"
        if task in (ONE_OF_RUN, ONE_OF_TFLITE):
            photos = next(iter(sorted(photos.glob("*/*"))))
        answers, measured = self._tfft(side, "predict", model, photos)
        assert all("predictions" in answer for answer in answers), answers
        return measured

    def alone(self) -> dict[str, float]:
        """Returns the CPU seconds that decoding all photos takes, and the forward pass on them."""
        command = [sys.executable, "-P", "-c", ALONE, str(self._tflite), str(self._photos / "test")]
        measured, _ = run_json(command, self._environment(NOW))
        return measured

    def _tfft(self, side: str, *arguments: str | Path) -> tuple[Any, dict[str, float]]:
        # -P: the code that PYTHONPATH names, whatever the working directory has.
        command = [sys.executable, "-P", "-c", TFFT, *map(str, arguments), "--json", "--quiet"]
        return run_json(command, self._environment(side), self._directory / "log")

    def _environment(self, side: str) -> dict[str, str]:
        cache = self._directory / f"cache-{side}"
        return {"PYTHONPATH": str(self._code[side]), "TFFT_CACHE_DIR": str(cache)}


@contextlib.contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """Yields a directory with the code of a commit, which is removed afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / commit
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def measure(bench: Bench, rounds: int) -> dict[str, Any]:
    """Measures each task on both sides in turn, after the first answer of the run now."""
    load_before = round(os.getloadavg()[0], 1)
    first = bench.seconds(ONE_OF_RUN, NOW)
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        task: {BEFORE: [], NOW: []} for task in TASKS
    }
    for number in range(rounds):
        for task, sides in found.items():
            for side in list(sides)[:: 1 if number % 2 == 0 else -1]:
                sides[side].append(bench.seconds(task, side))
                print(task, side, json.dumps(sides[side][-1]), flush=True)
    medians = {
        task: {
            side: {name: statistics.median(m[name] for m in each) for name in each[0]}
            for side, each in sides.items()
        }
        for task, sides in found.items()
    }
    alone = {name: round(seconds, 2) for name, seconds in bench.alone().items()}
    return {
        "tasks": medians,
        "first_answer_of_the_run": first,
        "alone_cpu_seconds": alone,
        "rounds": rounds,
        "load_before": load_before,
    }


def write_table(cell: dict[str, Any]) -> None:
    """Writes the table into the page."""
    rows = []
    for task, sides in cell["tasks"].items():
        cpu, wall = (
            [sides[side][name] for side in (BEFORE, NOW)] for name in ("cpu_seconds", "seconds")
        )
        memory = [f"{sides[side]['peak_memory_mb']:,.0f}" for side in (BEFORE, NOW)]
        times = [f"{value:.1f}" for value in (*cpu, *wall)]
        rows.append([task, *times, *memory])
    columns = ["", *(f"{what}, {side}" for what in ("CPU s", "s", "MB") for side in (BEFORE, NOW))]
    machine, alone = cell["machine"], cell["alone_cpu_seconds"]
    text = (
        f"\n{table_text(columns, rows)}\n\n"
        f"Medians of {cell['rounds']} rounds on {machine['processors']} processors "
        f"({machine['processor']}); load of the machine before: {cell['load_before']:g}. Of the "
        f"786 photos, decoding alone takes {alone['decode']:.1f} CPU seconds and the forward pass "
        f"alone {alone['forward']:.1f}. The first answer of a run that is not converted yet took "
        f"{cell['first_answer_of_the_run']['cpu_seconds']:.1f} CPU seconds.\n"
    )
    put_into(DOCS, "predict", text)


def main() -> None:
    """Measures the cell if it is missing, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with the photos")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells, key = Cells("predict-speed"), {"photos": "flowers160", "recipe": "classifier"}
    if cells.get(**key) is None and not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        with worktree(BEFORE) as before, tempfile.TemporaryDirectory() as directory:
            bench = Bench(options.shared.absolute(), Path(directory), before)
            cells.put(measure(bench, options.rounds), **key)
    if cell := cells.get(**key):
        write_table(cell)


if __name__ == "__main__":
    main()
