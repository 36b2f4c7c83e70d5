"""Runs a worker in its own process and shows its progress as if it were this one's."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tfft.config.loading.load import dump_recipe, load_recipe
from tfft.config.recipe import Recipe
from tfft.errors import TfftError, UsageError
from tfft.system.files import explained_os_errors, lock_or_none, write_text
from tfft.system.formats import COST, STUDY
from tfft.system.processes import killed_text
from tfft.system.progress import Progress
from tfft.system.workers import INTERRUPTED, followed, started_worker, stop_worker
from tfft.version import __version__

_WORKER = "tfft.studies.worker"
COST_FILE = "cost.json"
_LINES_OF_LOG = 5


class WorkerError(TfftError):
    """A run of a study failed; the message is that of the run."""


@contextlib.contextmanager
def owned_study(path: Path) -> Iterator[None]:
    """Makes the directory of a study and keeps it locked for this process.

    A `KeyboardInterrupt` gets a note that says how to continue.

    Raises:
        UsageError: Another process holds it.
        NewerFormatError: A newer version of tfft made it.
    """
    lock = path / "lock"
    with explained_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        lock.touch()
    held = lock_or_none(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if held is None:
        raise UsageError(f"{path} is being run by another process")
    try:
        made = path / "study.json"
        STUDY.read_if_there(made)
        STUDY.write(made, {"tfft": __version__})
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"{path} keeps what was done. The same command goes on with it.")
        raise
    finally:
        os.close(held)


def is_finished(run: Path) -> bool:
    """Says whether a worker has finished this run."""
    return bool(COST.read_if_there(run / COST_FILE).get("finished"))


def run_worker(
    recipe: Recipe,
    run: Path,
    split: str,
    *,
    title: str,
    progress: Progress,
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Trains and evaluates one run of a study, or resumes it; returns when it is finished.

    A finished run is left as it is. Ctrl-C, or an exception raised by `watch`, stops the worker,
    which leaves a checkpoint to resume from.

    Args:
        recipe: Recipe of the run.
        run: Directory of the run; ``<run>.yaml`` and ``<run>.log`` are written beside it.
        split: Split that the run is evaluated on.
        title: Name of the run beside its progress.
        progress: Where the work is reported.
        watch: Function that is called whenever the worker reports something.

    Raises:
        UsageError: The run was made with another recipe.
        WorkerError: The run failed.
        TfftError: A signal stopped the worker, the log cannot be written, or the process cannot be
            started.
    """
    recipe_file = run.with_name(f"{run.name}.yaml")
    if run.is_dir():
        require_same_recipe(recipe, recipe_file, f"{run} was made with")
    if is_finished(run):
        return
    write_text(recipe_file, dump_recipe(recipe))
    log = run.with_name(f"{run.name}.log")
    with explained_os_errors(log):
        errors = log.open("a", encoding="utf-8")
    with errors:
        process = started_worker(_WORKER, [str(recipe_file), str(run), split], errors)
        try:
            sent = followed(process, progress, title=title, watch=watch)
        finally:
            stop_worker(process)
    if process.returncode == INTERRUPTED:
        raise TfftError(f"{run} was stopped by a signal. The same command goes on with it.")
    if process.returncode:
        raise WorkerError(sent.get("error") or _why_it_failed(process.returncode, log))


def _why_it_failed(returncode: int, log: Path) -> str:
    """Returns why a worker that sent no error failed: it was killed, or the end of its log."""
    whole = f"The whole log: {log}"
    if killed := killed_text(returncode):
        return (
            f"{killed}. A smaller train.batch_size or image.size_px needs less, and so do fewer "
            f"runs at a time. The same command goes on with it. {whole}"
        )
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join([*lines[-_LINES_OF_LOG:], whole])


def require_same_recipe(recipe: Recipe, file: Path, said: str) -> None:
    """Requires that the recipe stored in a file, if there is one, is this recipe.

    Args:
        recipe: Recipe that is asked for.
        file: File with the recipe that was used before.
        said: Start of the message, which continues with "another recipe".

    Raises:
        UsageError: The stored recipe is another one.
    """
    if file.is_file() and load_recipe(file) != recipe:
        raise UsageError(
            f"{said} another recipe ({file}). Choose another --name, or remove this directory to "
            "run it again."
        )
