"""How fast a MODEL answers: each measurement in a process of its own, without TensorFlow here."""

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
from tfft.system.readable import Readable, counted

# TensorFlow reads the number of its threads from here, once.
_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class BatchTiming:
    """Answers to batches of one size.

    Attributes:
        batch_size: images in a call.
        calls: that were measured.
        p50_ms, p90_ms, p99_ms: percentiles of the time of a call.
        images_per_second: throughput of one caller.
    """

    batch_size: int
    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    images_per_second: float


@dataclass(frozen=True, repr=False)
class Timing(Readable):
    """A model, measured in one process.

    Attributes:
        model: the MODEL.
        kind: of the model: ``keras``, ``savedmodel``, ``tflite``, …
        threads: that it computed with; None: as many as it likes.
        load_s: importing and loading.
        first_answer_s: the first call, loading not included.
        cold_s: from the start of the process to the first answer.
        memory_mb: peak memory of the process over what it had before the model was loaded; None
            where the system does not say.
        batches: warm calls.
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
        """Returns the figures as JSON values."""
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
        model: whatever `load_predictor` takes.
        batch_sizes: images in a call.
        threads: to compute with; None: as many as there are processors.
        seconds: of warm calls for each batch size.
        signature: of a SavedModel; pixels are given, so not ``serve_bytes``.

    Raises:
        UsageError: `model` cannot be loaded, or the signature takes no pixels.
        TfftError: The process that measured ended without an answer.
    """
    if signature == "serve_bytes":
        raise UsageError(
            "what is measured takes pixels: serving_default or serve_uint8. "
            f"Received: --signature {signature}"
        )
    environment = dict(os.environ)
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
            raise TfftError(f"measuring {model} failed: {_last_line(done.stderr)}")
        found = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in found:
        raise UsageError(found["error"])
    found["batches"] = tuple(BatchTiming(**batch) for batch in found["batches"])
    return Timing(**found)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "the process said nothing"
