"""The command line as a user runs it: a process with an exit code, stdout and stderr."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import forked
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tfft(tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs `tfft ARGUMENTS` in an empty directory, by default for half a minute at most."""

    def run(*arguments, timeout=30) -> subprocess.CompletedProcess:
        return forked.tfft(arguments, tmp_path, timeout)

    return run


@pytest.fixture
def fresh_tfft(tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs it in an interpreter that has imported nothing, with variables of its environment."""

    def run(*arguments, timeout=30, **environment) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "tfft", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=timeout,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )

    return run
