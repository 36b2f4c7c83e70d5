"""Measured cells of a benchmark, stored one by one, so that it continues where it stopped."""

import contextlib
import fcntl
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tfft.system.files import lock_or_none, read_json, write_json

TFFT = "import sys; from tfft.cli.main import main; sys.exit(main())"
RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("tfft", "tensorflow", "keras", "ai-edge-litert", "numpy", "scikit-learn")


class Cells:
    """The cells of one benchmark, in ``results/<name>.json``.

    The key of a cell is a list of words that say what was measured. A cell is measured again only
    if it is removed from the file.
    """

    def __init__(self, name: str) -> None:
        self._file = RESULTS / f"{name}.json"
        self.cells = self._stored()

    def _stored(self) -> list[dict[str, Any]]:
        return read_json(self._file)["cells"] if self._file.is_file() else []

    def get(self, **key: Any) -> dict[str, Any] | None:
        """Returns the cell of a key, or None if it has not been measured yet."""
        return next((cell for cell in self.cells if cell["key"] == key), None)

    def put(self, measured: Mapping[str, Any], **key: Any) -> None:
        """Stores a cell and its machine, and keeps what other processes have stored meanwhile."""
        with self._locked():
            self.cells = [cell for cell in self._stored() if cell["key"] != key]
            self.cells.append({"key": key, **measured, "machine": machine()})
            write_json(self._file, {"cells": self.cells})

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        held = lock_or_none(self._file.parent, fcntl.LOCK_EX)
        assert held is not None, self._file.parent
        try:
            yield
        finally:
            os.close(held)


def machine() -> dict[str, Any]:
    """The machine and the versions of a measurement."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {
        "system": platform.platform(),
        "processor": _processor_name(),
        "processors": processors or os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def run_tfft(
    *arguments: str,
    cache: Path,
    log: Path | None = None,
    program: str = TFFT,
    python: Sequence[str] = (sys.executable,),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, Any], dict[str, float]]:
    """Runs ``tfft ARGUMENTS --json`` in its own process.

    Args:
        arguments: Arguments of the command.
        cache: Cache directory of the command.
        log: File to which stderr is appended.
        program: Python that starts the command line.
        python: The interpreter, with options; default: that of this process.
        environment: Further variables of the command's environment.

    Returns:
        As `run_json`.
    """
    command = [*python, "-c", program, *arguments, "--json"]
    return run_json(command, {**environment, "TFFT_CACHE_DIR": str(cache)}, log)


def run_json(
    command: Sequence[str],
    environment: Mapping[str, str] = MappingProxyType({}),
    log: Path | None = None,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Runs a command that prints a JSON document.

    Args:
        command: The program and its arguments.
        environment: Variables that are added to the environment of this process.
        log: File to which stderr is appended.

    Returns:
        The JSON document, and ``seconds`` (wall), ``cpu_seconds`` (of all its threads) and
        ``peak_memory_mb`` (resident) of the process.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    everything = {**os.environ, **environment}
    with tempfile.TemporaryFile("w+") as output, _opened(log) as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=everything)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        code = os.waitstatus_to_exitcode(status)
        process.returncode = code
        if code:
            raise subprocess.CalledProcessError(code, command)
        output.seek(0)
        measured = {
            "seconds": round(seconds, 1),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_memory_mb": round(usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)),
        }
        return json.load(output), measured


@contextlib.contextmanager
def _opened(log: Path | None) -> Iterator[Any]:
    if log is None:
        yield subprocess.DEVNULL
        return
    with log.open("a") as stream:
        yield stream


def _processor_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
