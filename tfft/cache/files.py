"""Files of the cache that are read at once and checked."""

import hashlib
import os
import stat
from pathlib import Path

from tfft.errors import TfftError
from tfft.system.files import explained_os_errors


def checked_file(path: Path, size: int, sha256: str) -> bytes:
    """Reads a file, which is a regular one of the recorded size and digest.

    Raises:
        TfftError: It is not.
    """
    with explained_os_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size != size:
                raise TfftError(f"{path} is not whole")
            content = file.read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise TfftError(f"{path} is damaged: it has another digest")
    return content
