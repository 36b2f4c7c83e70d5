"""One run of a study in its own process: ``python -m tfft.studies.worker RECIPE RUN SPLIT``.

It trains (or resumes), evaluates, records the cost and exits: the peak memory is that of this run
alone, and a crash ends nothing else. `tfft.system.workers` has
how it reports its progress and when it stops.
"""

import fcntl
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tfft.errors import TfftError
from tfft.evaluation.evaluate import evaluate
from tfft.studies.process import COST_FILE
from tfft.system.formats import COST
from tfft.system.signals import signals_interrupt
from tfft.system.workers import INTERRUPTED, Events, events_of_this_worker
from tfft.transfer import start


def main(arguments: list[str]) -> int:
    """Does the work and returns the exit code."""
    recipe, run, split = arguments
    events = events_of_this_worker()
    try:
        # A worker of a study that was killed may still be stopping in this run. Each one locks the
        # log of its run, which is its stderr, until it has ended.
        fcntl.flock(sys.stderr.fileno(), fcntl.LOCK_EX)
        with signals_interrupt():
            work(Path(recipe), Path(run), split, events)
    except TfftError as error:
        events.send(error=str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def work(recipe: Path, run: Path, split: str, progress: Events) -> None:
    """Trains a recipe into `run`, evaluates it on `split`, and writes what it cost.

    Checkpoints are removed once the run is recorded as finished: a study needs only its metrics.

    Raises:
        TfftError: As training and evaluation do.
    """
    from tfft.config.loading.load import load_recipe

    started = time.perf_counter()
    before = COST.read_if_there(run / COST_FILE)
    resumed = (run / "run.json").is_file() and (run / "recipe.yaml").is_file()
    try:
        if resumed:
            start.resume(run, progress=progress)
        else:
            shutil.rmtree(run, ignore_errors=True)
            start.train(load_recipe(recipe), run=run, progress=progress)
        seconds = time.perf_counter() - started
        evaluate(run, split=split, progress=progress)
    except KeyboardInterrupt:
        if run.is_dir():
            COST.write(run / COST_FILE, _cost(before, time.perf_counter() - started, resumed))
        raise
    COST.write(run / COST_FILE, {**_cost(before, seconds, resumed), "finished": True})
    shutil.rmtree(run / "checkpoints", ignore_errors=True)


def _cost(before: dict[str, Any] | None, seconds: float, resumed: bool) -> dict[str, Any]:
    """The cost of this attempt and, where they are known, of those before it."""
    spent = before or {"seconds": 0.0, "cpu_seconds": 0.0, "peak_memory_mb": 0}
    return {
        "seconds": round(spent["seconds"] + seconds, 2),
        "cpu_seconds": round(spent["cpu_seconds"] + time.process_time(), 2),
        "peak_memory_mb": max(spent["peak_memory_mb"], _peak_memory_mb()),
        "resumed": resumed,
    }


def _peak_memory_mb() -> int:
    """The peak resident memory of this process.

    On Linux `ru_maxrss`, of children or of the child itself, includes the parent's memory from
    before the program starts; VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1000)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
