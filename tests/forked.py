"""Processes that need not start TensorFlow: each is forked from one that has imported it.

For tests whose subject is what a process does, not how it starts: they keep its exit code, its
signals and its streams, and are spared five seconds of imports each.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

_IMPORTED = ("tfft.cli.main", "tfft.transfer.train", "tfft.exports.export", "tfft.reports.report")
# CUDA does not survive a fork, and the import asks it for its devices.
_HAS_GPU = Path("/dev/nvidiactl").exists()
PROCESSES = multiprocessing.get_context("spawn" if _HAS_GPU else "forkserver")
multiprocessing.get_context("forkserver").set_forkserver_preload(list(_IMPORTED))


def call(function: Callable[..., None], *arguments: object) -> None:
    """Calls a function in a process that ends with it, so that all of its memory is given back."""
    with ProcessPoolExecutor(1, PROCESSES) as pool:
        pool.submit(function, *arguments).result()


def tfft(arguments: Sequence[object], cwd: Path, timeout: float) -> subprocess.CompletedProcess:
    """Runs `tfft ARGUMENTS` in a directory.

    Args:
        arguments: What follows `tfft`.
        cwd: Where it runs; its streams are kept in files beside the directory.
        timeout: Seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: It took longer.
    """
    words = ["tfft", *map(str, arguments)]
    streams = tuple(cwd.with_name(f"{cwd.name}.{name}") for name in ("stdout", "stderr"))
    process = PROCESSES.Process(target=_command, args=(words, cwd, dict(os.environ), streams))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise subprocess.TimeoutExpired(words, timeout)
    return subprocess.CompletedProcess(
        words, process.exitcode, *(stream.read_text() for stream in streams)
    )


def _command(
    words: list[str], cwd: Path, environment: dict[str, str], streams: tuple[Path, Path]
) -> None:
    for descriptor, path in enumerate(streams, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = words
    from tfft.cli.main import main

    main()
