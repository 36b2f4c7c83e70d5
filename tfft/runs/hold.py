"""Which process holds a run: one at a time writes it, and others may read it meanwhile.

The hold is a lock of the operating system on the file ``lock`` in the run's directory. The system
frees it when the process ends, however it ends; what the file says is true only while it is locked.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tfft.errors import TfftWarning, UsageError
from tfft.system.files import NO_LOCKS, explained_os_errors

LOCK_FILE = "lock"
# A process that only asks whether a run is held locks it for a moment, too.
_ATTEMPTS, _BETWEEN_S = 5, 0.05


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """Holds a run for this process.

    Where the file system has no locks (some network file systems), a `TfftWarning` says so.

    Args:
        directory: Directory of the run; it must exist.

    Raises:
        UsageError: Another process holds it; the message says which.
        TfftError: The directory cannot be written to.
    """
    file = directory / LOCK_FILE
    with explained_os_errors(file):
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        _lock(descriptor, directory)
        _say_who(descriptor)
        yield
    finally:
        os.close(descriptor)


def holder(directory: Path) -> str:
    """Returns who holds a run, such as ``process 4711 on pc, since 2026-01-31 12:00 UTC``.

    Args:
        directory: Directory of the run; it need not exist.

    Returns:
        "" if no process holds it, or if that cannot be known.
    """
    file = directory / LOCK_FILE
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(file)
    except OSError:  # no locks here
        pass
    finally:
        os.close(descriptor)
    return ""


def _lock(descriptor: int, directory: Path) -> None:
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_BETWEEN_S)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            warnings.warn(
                f"the file system of {directory} has no locks: see to it that no other process "
                "trains this run meanwhile.",
                TfftWarning,
                stacklevel=2,
            )
            return
        else:
            return
    raise UsageError(
        f"{directory} is held by {_named(directory / LOCK_FILE)}. Wait until it has ended, or "
        "choose another run."
    )


def _say_who(descriptor: int) -> None:
    who = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    with contextlib.suppress(OSError):  # a full disk: the lock holds without
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(who).encode(), 0)


def _named(file: Path) -> str:
    try:
        who = json.loads(file.read_bytes())
        return f"process {who['pid']} on {who['host']}, since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
