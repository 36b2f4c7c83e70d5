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


class Started:
    """`tfft ARGUMENTS`, running in a directory; its streams are kept in files beside that.

    Args:
        arguments: What follows `tfft`.
        cwd: Where it runs.
        name: Start of the names of the files that keep its streams; default: the directory's.
    """

    def __init__(self, arguments: Sequence[object], cwd: Path, name: str | None = None) -> None:
        self.words = ["tfft", *map(str, arguments)]
        name = name or cwd.name
        streams = cwd.with_name(f"{name}.stdout"), cwd.with_name(f"{name}.stderr")
        self._streams = streams
        self.process = PROCESSES.Process(
            target=_command, args=(self.words, cwd, dict(os.environ), streams)
        )
        self.process.start()

    def ended(self, timeout: float) -> subprocess.CompletedProcess:
        """Waits until it has ended.

        Raises:
            subprocess.TimeoutExpired: It took longer, and was killed.
        """
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise subprocess.TimeoutExpired(self.words, timeout)
        texts = (stream.read_text() for stream in self._streams)
        return subprocess.CompletedProcess(self.words, self.process.exitcode, *texts)


def tfft(arguments: Sequence[object], cwd: Path, timeout: float) -> subprocess.CompletedProcess:
    """Runs `tfft ARGUMENTS` in a directory.

    Args:
        arguments: What follows `tfft`.
        cwd: Where it runs; its streams are kept in files beside the directory.
        timeout: Seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: It took longer.
    """
    return Started(arguments, cwd).ended(timeout)


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
