"""Work of a desk in a process of its own: an audit, or a training. It ends with the desk."""

import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tfft.errors import TfftError, UsageError
from tfft.system.printable import printable
from tfft.system.processes import killed_text
from tfft.system.progress import Task
from tfft.system.workers import INTERRUPTED, followed, started_worker, stop_worker

_WORKER = "tfft.desk.worker"
_NAMES = {"audit": "audit", "train": "training"}
_LINES_OF_LOG = 5
# Pieces of work that are shown: the last ones.
_TASKS = 12


@dataclass
class Piece:
    """A piece of the work, as a progress bar shows it.

    Attributes:
        description: What is done.
        total: Number of steps; None if it is not known.
        unit: What a step is.
        done: Number of steps that are done.
        closed: Whether it has ended.
    """

    description: str
    total: int | None
    unit: str
    done: int = 0
    closed: bool = False

    def advance(self, steps: int = 1, **values: float | str) -> None:
        self.done += steps

    def close(self) -> None:
        self.closed = True


@dataclass
class Job:
    """One piece of work, its progress, and how it ended.

    Attributes:
        kind: ``audit`` or ``train``.
        status: ``running``, ``finished``, ``failed`` or ``stopped``.
        pieces: What was and is done, the last pieces of it.
        error: Why it failed, or how to go on with it; "" otherwise.
    """

    kind: str
    status: str = "running"
    pieces: list[Piece] = field(default_factory=list)
    error: str = ""

    def start(self, description: str, total: int | None, unit: str = "images") -> Task:
        piece = Piece(printable(description), total, unit)
        self.pieces = [*self.pieces[1 - _TASKS :], piece]
        return piece

    def message(self, text: str) -> None:
        """Messages of the work stay in its log."""

    def to_json(self) -> dict[str, Any]:
        """Returns the job as JSON values."""
        return asdict(self)


class Jobs:
    """The jobs of a desk, one at a time.

    Args:
        finished: Function that takes the kind and the result of a job that is done, and is called
            before the job counts as finished.
    """

    def __init__(self, finished: Callable[[str, dict[str, Any]], None]) -> None:
        self.last: Job | None = None
        self._finished = finished
        self._lock = threading.Lock()
        self._process: Any = None
        self._thread: threading.Thread | None = None

    def begin(self, kind: str, **arguments: Any) -> Job:
        """Starts a job.

        Raises:
            UsageError: Another one is running.
            TfftError: The process cannot be started.
        """
        with self._lock:
            if self.last is not None and self.last.status == "running":
                raise UsageError(f"the {_NAMES[self.last.kind]} is still running; wait, or stop it")
            log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
            try:
                text = json.dumps({"kind": kind, **arguments})
                self._process = started_worker(_WORKER, [text], log)
            except TfftError:
                log.close()
                raise
            self.last = job = Job(kind)
            self._thread = threading.Thread(target=self._follow, args=[job, self._process, log])
            self._thread.start()
            return job

    def stop(self) -> None:
        """Asks the job that is running, if any, to stop; it writes what it has first."""
        if self._process is not None:
            self._process.stdin.close()

    def close(self) -> None:
        """Stops the job that is running, if any, and waits until it has ended."""
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _follow(self, job: Job, process: Any, log: Any) -> None:
        status, error = "failed", "this is a fault of tfft: the terminal has more"
        try:
            with log:
                try:
                    sent = followed(process, job)
                finally:
                    stop_worker(process)
                error = sent.get("error", "")
                if process.returncode == INTERRUPTED:
                    status = "stopped"
                elif process.returncode == 0 and "result" in sent:
                    self._finished(job.kind, sent["result"])
                    status = "finished"
                else:
                    error = error or _why_it_failed(process.returncode, log)
        finally:
            job.error, job.status = error, status


def _why_it_failed(returncode: int, log: Any) -> str:
    if killed := killed_text(returncode):
        return killed
    log.seek(0)
    return printable("\n".join(log.read().strip().splitlines()[-_LINES_OF_LOG:]))
