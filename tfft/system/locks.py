"""Locks that the system frees when their process ends, however it ends."""

import fcntl
import os
from pathlib import Path


def lock_or_none(path: Path, kind: int) -> int | None:
    """Locks a file or directory and returns its descriptor; closing it frees the lock.

    Returns:
        None if it is not there, was replaced meanwhile, or is locked and `kind` does not wait.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, kind)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
