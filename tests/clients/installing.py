"""How the programs that the tests are about are installed."""

import subprocess
from pathlib import Path

import pytest

_INSTALL_SECONDS = 150


def install(what: str, *commands: list[str], cwd: Path | None = None) -> None:
    """Runs commands that install a client, with a limit of time; skips if one fails."""
    for command in commands:
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_INSTALL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"NOT TESTED: {what} cannot be installed here: {error}")
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            pytest.skip(f"NOT TESTED: {what} cannot be installed here: {last}")
