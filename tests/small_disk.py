"""A shell script beside a disk of 3 MB, in a name space of its own for mounts."""

import os
import subprocess
from pathlib import Path

import pytest

_NOT_MOUNTED = 9


def beside_small_disk(
    disk: Path, script: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a script that finds an empty disk of 3 MB at `disk`; skips where none can be mounted."""
    disk.mkdir()
    done = subprocess.run(
        [
            *("unshare", "-rm", "sh", "-c"),
            f"mount -t tmpfs -o size=3m tmpfs {disk} || exit {_NOT_MOUNTED}; {script}",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    if done.returncode == _NOT_MOUNTED or "unshare" in done.stderr:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr}")
    return done
