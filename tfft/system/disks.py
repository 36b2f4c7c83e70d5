"""Full disks: how the system and libraries report one, and the message about it."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

from tfft.errors import TfftError
from tfft.system.readable import size_text

# How libraries report an error of the system in their own text.
_TOLD = {
    errno.ENOSPC: (os.strerror(errno.ENOSPC), "database or disk is full"),
    errno.EDQUOT: (os.strerror(errno.EDQUOT),),
    errno.EFBIG: (os.strerror(errno.EFBIG),),
    errno.EROFS: (os.strerror(errno.EROFS),),
    errno.EACCES: (os.strerror(errno.EACCES),),
}
# A disk with no more free space is full: a file that was begun and removed again frees a little.
_NEXT_TO_NOTHING_BYTES = 1 << 20


def error_of_system(error: BaseException) -> OSError | None:
    """Returns the error of the system that an exception is, or reports in its text, if any."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    for number, words in _TOLD.items():
        if any(said in str(error) for said in words):
            return OSError(number, os.strerror(number))
    return error if isinstance(error, OSError) else None


def full_disk(error: BaseException, path: Path | None = None) -> str:
    """Returns a message about a full disk; "" if that is not what an exception reports.

    Args:
        error: The exception.
        path: What was being written, if that is known.
    """
    told = error_of_system(error)
    if told is None or told.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    named = path if told.filename is None else Path(os.fsdecode(told.filename))
    what = f"cannot write {named}" if named else "nothing more can be written"
    with contextlib.suppress(OSError):
        temporary = Path(tempfile.gettempdir())
        elsewhere = path is not None and _free_bytes(path) > _NEXT_TO_NOTHING_BYTES
        if elsewhere and _free_bytes(temporary) <= _NEXT_TO_NOTHING_BYTES:
            return (
                f"the disk of the temporary directory {temporary} is full: {what}. Free some space "
                "there, or set TMPDIR, and run again."
            )
    return f"the disk is full: {what}. Free some space and run again."


def require_temporary_room(size: int) -> None:
    """Requires that files of `size` bytes, and some more, fit into the temporary directory.

    Raises:
        TfftError: There is no such directory, or its disk is too full.
    """
    try:
        temporary = Path(tempfile.gettempdir())
        free = _free_bytes(temporary)
    except OSError as error:
        raise TfftError(f"no temporary directory: {error.strerror}. Set TMPDIR.") from error
    if free < size + _NEXT_TO_NOTHING_BYTES:
        raise TfftError(
            f"the disk of the temporary directory {temporary} is too full: {size_text(size)} are "
            f"needed, {size_text(free)} are free. Free some space there, or set TMPDIR."
        )


def _free_bytes(path: Path) -> int:
    there = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    return shutil.disk_usage(there).free
