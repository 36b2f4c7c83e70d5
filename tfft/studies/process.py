"""Runs a worker in a process of its own and shows its progress as one's own."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from tfft.config.loading.load import dump_recipe, load_recipe
from tfft.config.recipe import Recipe
from tfft.errors import TfftError, UsageError
from tfft.system.files import explained_os_errors, lock_or_none, read_json, write_text
from tfft.system.progress import Progress, Task

# Seconds that a worker has to write its checkpoint when it is stopped.
_GRACE_S = 60.0
COST_FILE = "cost.json"
_LINES_OF_LOG = 5


class WorkerError(TfftError):
    """A run of a study failed; the message is the run's own."""


@contextlib.contextmanager
def owned_study(path: Path) -> Iterator[None]:
    """Makes the directory of a study and holds it for this process.

    Ctrl-C gets a note that says how to go on.

    Raises:
        UsageError: Another process holds it.
    """
    lock = path / "lock"
    with explained_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        lock.touch()
    held = lock_or_none(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if held is None:
        raise UsageError(f"{path} is being run by another process")
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"{path} keeps what was done. The same command goes on with it.")
        raise
    finally:
        os.close(held)


def is_finished(run: Path) -> bool:
    """Says whether a worker finished this run."""
    cost = run / COST_FILE
    return cost.is_file() and bool(read_json(cost).get("finished"))


def run_worker(
    recipe: Recipe,
    run: Path,
    split: str,
    *,
    title: str,
    progress: Progress,
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Trains and evaluates one run of a study, or goes on with it; returns when it is finished.

    A run that is finished already is left as it is.

    Ctrl-C, or an exception of `watch`, stops the worker, which leaves a checkpoint to go on from.

    Args:
        recipe: of the run.
        run: its directory; ``<run>.yaml`` and ``<run>.log`` are written beside it.
        split: that it is evaluated on.
        title: what the run is called beside its progress.
        progress: where the work is reported.
        watch: called whenever the worker reports something.

    Raises:
        UsageError: The run was made with another recipe.
        WorkerError: The run failed.
        TfftError: The log cannot be written, or the system starts no process.
    """
    recipe_file = run.with_name(f"{run.name}.yaml")
    if run.is_dir():
        require_same_recipe(recipe, recipe_file, f"{run} was made with")
    if is_finished(run):
        return
    write_text(recipe_file, dump_recipe(recipe))
    log = run.with_name(f"{run.name}.log")
    command = [sys.executable, "-m", "tfft.studies.worker", str(recipe_file), str(run), split]
    with explained_os_errors(log):
        errors = log.open("a", encoding="utf-8")
    with errors:
        process = _started(command, errors)
        try:
            error = _follow(process, title, progress, watch)
        finally:
            _stop(process)
    if process.returncode:
        raise WorkerError(error or _last_lines(log))


def require_same_recipe(recipe: Recipe, file: Path, said: str) -> None:
    """Requires that the recipe that is kept in a file, if there is one, is this recipe.

    Args:
        recipe: that is asked for.
        file: of the recipe that something was made with.
        said: what that is: a message goes on with "another recipe".

    Raises:
        UsageError: It is another one.
    """
    if file.is_file() and load_recipe(file) != recipe:
        raise UsageError(
            f"{said} another recipe ({file}). Choose another --name, or remove this directory to "
            "run it again."
        )


def _started(command: list[str], errors: TextIO) -> subprocess.Popen:
    try:
        # In a session of its own: Ctrl-C in the terminal reaches it through this process, once.
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


def _follow(
    process: subprocess.Popen, title: str, progress: Progress, watch: Callable[[], None]
) -> str:
    """Shows what the worker reports until it ends; returns its error, if it sent one."""
    error, tasks = "", []
    try:
        for line in process.stdout or ():
            event = json.loads(line)
            error = event.get("error", error)
            _replay(event, tasks, title, progress)
            watch()
        process.wait()
    finally:
        for task in reversed(tasks):
            task.close()
    return error


def _replay(event: dict[str, Any], tasks: list[Task], title: str, progress: Progress) -> None:
    """Does to `tasks`, those that are open from the outermost to the innermost, what it says."""
    if "start" in event:
        tasks.append(progress.start(f"{title}: {event['start']}", event["total"], event["unit"]))
    elif tasks and "advance" in event:
        tasks[-1].advance(event["advance"], **event["figures"])
    elif tasks and "close" in event:
        tasks.pop().close()


def _stop(process: subprocess.Popen) -> None:
    """Lets a worker that still runs stop by itself, or ends it; closes what is open."""
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


def _last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join([*lines[-_LINES_OF_LOG:], f"The whole log: {log}"])
