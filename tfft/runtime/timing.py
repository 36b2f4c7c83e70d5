"""Measures how fast a MODEL answers, in a process of its own; TensorFlow is not imported here."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfft.errors import TfftError, UsageError
from tfft.system.processes import killed_text
from tfft.system.readable import Readable, counted
from tfft.untrusted.operations import environment_of_user

# TensorFlow reads the number of its threads from these environment variables, once.
_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class BatchTiming:
    """The times of warm calls with batches of one size.

    Attributes:
        batch_size: Number of images in a call.
        calls: Number of calls that were measured.
        p50_ms: Median of the time of a call, in milliseconds.
        p90_ms: 90th percentile of the time of a call, in milliseconds.
        p99_ms: 99th percentile of the time of a call, in milliseconds.
        images_per_second: Throughput of one caller.
    """

    batch_size: int
    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    images_per_second: float


@dataclass(frozen=True, repr=False)
class Timing(Readable):
    """The measurements of a model in one process.

    Attributes:
        model: The MODEL.
        kind: Kind of the model: ``keras``, ``savedmodel``, ``tflite``, …
        threads: Number of threads that it computed with; None: the default of its runtime.
        load_s: Seconds for importing libraries and loading the model.
        first_answer_s: Seconds of the first call, without loading.
        cold_s: Seconds from the start of the process to the first answer.
        memory_mb: Peak memory of the process in MB, less the memory before the model was loaded;
            None where the system does not report it.
        batches: Warm calls for each batch size.
    """

    model: str
    kind: str
    threads: int | None
    load_s: float
    first_answer_s: float
    cold_s: float
    memory_mb: float | None
    batches: tuple[BatchTiming, ...]

    def lines(self) -> list[str]:
        threads = "its own threads" if self.threads is None else counted(self.threads, "thread")
        medians = [f"{b.p50_ms:.3g} ms for {counted(b.batch_size, 'image')}" for b in self.batches]
        memory = "" if self.memory_mb is None else f", {self.memory_mb:.0f} MB"
        return [
            f"{self.model}, {threads}: {', '.join(medians)}",
            f"loaded in {self.load_s:.2f} s, first answer after {self.cold_s:.2f} s{memory}",
            *(
                f"{counted(b.batch_size, 'image')}: p90 {b.p90_ms:.3g} ms, p99 {b.p99_ms:.3g} ms, "
                f"{b.images_per_second:.3g} images/s"
                for b in self.batches
            ),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns the measurements as JSON values."""
        return {**asdict(self), "batches": [asdict(batch) for batch in self.batches]}


def time_model(
    model: str | Path,
    *,
    batch_sizes: Sequence[int] = (1,),
    threads: int | None = None,
    seconds: float = 2.0,
    signature: str | None = None,
) -> Timing:
    """Measures a MODEL with random images of the size that it takes.

    Args:
        model: A MODEL, as `load_predictor` takes it.
        batch_sizes: Numbers of images in a call.
        threads: Number of threads to compute with; None: one for each processor.
        seconds: Seconds of warm calls for each batch size.
        signature: Signature of a SavedModel that takes pixels, so not ``serve_bytes``.

    Raises:
        UsageError: `model` cannot be loaded, or the signature does not take pixels.
        TfftError: The measuring process ended without a result.
    """
    if signature == "serve_bytes":
        raise UsageError(
            "a signature that is measured takes pixels: serving_default or serve_uint8. "
            f"Received: --signature {signature}"
        )
    environment = {**os.environ, **environment_of_user()}
    if threads is not None:
        environment |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    with tempfile.TemporaryDirectory() as directory:
        answer = Path(directory) / "timing.json"
        wanted = {
            "model": str(model),
            "batch_sizes": list(batch_sizes),
            "threads": threads,
            "seconds": seconds,
            "signature": signature,
            "answer": str(answer),
            "started": time.time(),
        }
        done = subprocess.run(
            [sys.executable, "-m", "tfft.runtime.timing_process", json.dumps(wanted)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if not answer.is_file():
            lines = done.stderr.strip().splitlines() or ["the process wrote no message"]
            raise TfftError(
                f"measuring {model} failed: {killed_text(done.returncode) or lines[-1]}"
            )
        found = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in found:
        raise UsageError(found["error"])
    found["batches"] = tuple(BatchTiming(**batch) for batch in found["batches"])
    return Timing(**found)
