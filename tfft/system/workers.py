"""Work in a process of its own that reports its progress: both ends of the pipe between the two.

The worker writes its progress to stdout, one JSON document a line. Whoever started it holds its
stdin open; when that closes, the worker stops as on Ctrl-C, whatever happened to the other process.
"""

import _thread
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from tfft.errors import TfftError
from tfft.system.own_process import claim_process
from tfft.system.printable import printable
from tfft.system.progress import Progress, Task

# Seconds a worker has to write its checkpoint when it is stopped.
_GRACE_S = 60.0
# Exit code of a worker that was stopped, by its parent or by a signal.
INTERRUPTED = 130


def started_worker(module: str, arguments: list[str], errors: TextIO | int) -> subprocess.Popen:
    """Starts ``python -m MODULE ARGUMENTS``, whose stderr goes to `errors`.

    Raises:
        TfftError: The process cannot be started.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        # In its own session: Ctrl-C in the terminal reaches it once, through this process.
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
    except OSError as error:
        raise TfftError(f"cannot start {command[0]}: {error.strerror or error}") from error


def followed(
    process: subprocess.Popen,
    progress: Progress,
    *,
    title: str = "",
    watch: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Shows what a worker reports until it ends, as progress of this process.

    Args:
        process: The worker, as `started_worker` starts it.
        progress: Where its work is reported.
        title: Name of the worker before each description; default: none.
        watch: Function that is called whenever the worker reports something.

    Returns:
        What it sent beside its progress, such as ``{"error": "…"}``.
    """
    sent: dict[str, Any] = {}
    tasks: list[Task] = []  # those that are open, from the outermost to the innermost
    try:
        for line in process.stdout or ():
            try:
                event = json.loads(line)
            except ValueError:  # a line that a killed worker left half written
                continue
            if "start" in event:
                what = f"{title}: {event['start']}" if title else event["start"]
                tasks.append(progress.start(what, event["total"], event["unit"]))
            elif "advance" in event:
                if tasks:
                    tasks[-1].advance(event["advance"], **event["values"])
            elif "close" in event:
                if tasks:
                    tasks.pop().close()
            else:
                sent |= event
            watch()
        process.wait()
    finally:
        for task in reversed(tasks):
            task.close()
    return sent


def stop_worker(process: subprocess.Popen) -> None:
    """Lets a worker that is still running stop by itself, or kills it; closes its streams."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()


def events_of_this_worker() -> "Events":
    """Returns where a worker reports its work; from then on it stops when its stdin closes.

    What libraries print to stdout goes to stderr, so that it is not taken for events.
    """
    claim_process()
    stream = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    stop = threading.Event()
    threading.Thread(target=_stop_with_the_parent, args=[stop], daemon=True).start()
    return Events(stream, stop)


def _stop_with_the_parent(stop: threading.Event) -> None:
    # os.read, since a thread that waits inside sys.stdin would keep Python from exiting.
    while os.read(0, 1):
        pass
    stop.set()
    _thread.interrupt_main()


class Events:
    """Progress that is sent to the process that started this one.

    Args:
        stream: Stream that the other process reads.
        stop: Event that is set when it is gone. Python drops an interrupt that reaches the main
            thread inside a ``__del__``, so the next step of the work stops too.
    """

    def __init__(self, stream: TextIO, stop: threading.Event) -> None:
        self._stream, self._stop = stream, stop

    def start(self, description: str, total: int | None, unit: str = "images") -> "Events":
        self.send(start=description, total=total, unit=unit)
        return self

    def advance(self, steps: int = 1, **values: float | str) -> None:
        if self._stop.is_set() and threading.current_thread() is threading.main_thread():
            self._stop.clear()
            raise KeyboardInterrupt
        self.send(advance=steps, values=values)

    def close(self) -> None:
        self.send(close=True)

    def message(self, text: str) -> None:
        print(printable(text), file=sys.stderr)  # noqa: T201

    def send(self, **event: Any) -> None:
        """Sends one event; of a parent that was killed, stdin tells too."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(json.dumps(event) + "\n")
