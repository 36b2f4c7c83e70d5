"""The process in which one model is loaded and timed; started by `tfft.runtime.timing`."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tfft.errors import TfftError
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Predictor

_WARM_CALLS = 3
_FEWEST_CALLS = 10


def main() -> None:
    """Measures as the argument, a JSON object, asks, and writes the result to the file it names."""
    wanted = json.loads(sys.argv[1])
    try:
        answer = measure(wanted)
    except TfftError as error:
        answer = {"error": str(error)}
    Path(wanted["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Loads and times a model.

    Args:
        wanted: The arguments of `tfft.runtime.timing.time_model`, and the time of the start.

    Returns:
        The fields of `tfft.runtime.timing.Timing`.
    """
    before = _memory_mb("VmRSS")
    started = time.perf_counter()
    predictor = load_predictor(
        wanted["model"],
        signature=wanted["signature"],
        threads=wanted["threads"],
        engine="keras",
    )
    loaded = time.perf_counter()
    predictor.answers(_images(predictor, 1))
    answered, cold_s = time.perf_counter(), time.time() - wanted["started"]
    batches = [_timed(predictor, size, wanted["seconds"]) for size in wanted["batch_sizes"]]
    peak = _memory_mb("VmHWM")
    return {
        "model": wanted["model"],
        "kind": predictor.kind,
        "threads": wanted["threads"],
        "load_s": loaded - started,
        "first_answer_s": answered - loaded,
        "cold_s": cold_s,
        "memory_mb": None if peak is None or before is None else max(peak - before, 0.0),
        "batches": batches,
    }


def _images(predictor: Predictor, count: int) -> np.ndarray:
    pixels = predictor.info.pixels
    shape = (count, pixels.height, pixels.width, pixels.channels)
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)


def _timed(predictor: Predictor, batch_size: int, seconds: float) -> dict[str, Any]:
    images = _images(predictor, batch_size)
    for _ in range(_WARM_CALLS):
        predictor.answers(images)
    times: list[float] = []
    while len(times) < _FEWEST_CALLS or sum(times) < seconds:
        started = time.perf_counter()
        predictor.answers(images)
        times.append(time.perf_counter() - started)
    p50, p90, p99 = (float(value) * 1e3 for value in np.percentile(times, (50, 90, 99)))
    return {
        "batch_size": batch_size,
        "calls": len(times),
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "images_per_second": batch_size * len(times) / sum(times),
    }


def _memory_mb(field: str) -> float | None:
    """Returns a field of this process's memory in MB from Linux's /proc; None on other systems.

    The peak that `getrusage` returns is inherited from the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    for line in status.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1e3
    return None


if __name__ == "__main__":
    main()
