"""Files moved or copied without replacing another, whatever other processes do meanwhile."""

import errno
import filecmp
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from tfft.system.files import TEMPORARY, locked_temporary, new_file

# Where a file system answers so, it has no hard links, or gives none to this user.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


def free_path(path: Path, taken: Collection[Path]) -> Path:
    """Returns the path, or one with a number such as ``5-2.png``, at which nothing lies.

    Args:
        path: The path.
        taken: Paths that are not free either.
    """
    number, free = 1, path
    while free in taken or os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def is_other_file(file: Path, to: Path) -> bool:
    """Says whether there are files at both paths, and not one that `move_file` was moving."""
    if not (os.path.lexists(file) and os.path.lexists(to)):
        return False
    return not os.path.samestat(file.lstat(), to.lstat())


def move_file(file: Path, to: Path) -> None:
    """Moves a file to a path at which there is none, on the same disk.

    A rename would replace what another process puts there at this very moment. Stopped in between,
    the file is at both paths, and moving it again goes on.

    Raises:
        OSError: There is another file at `to` (`FileExistsError`), or the file cannot be moved.
    """
    try:
        os.link(file, to, follow_symlinks=False)
    except FileExistsError:
        if is_other_file(file, to):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(to):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(to)) from error
        file.rename(to)
        return
    file.unlink()


def copy_file(file: Path, to: Path) -> Path:
    """Copies a file to a path, or to one with a number where another file is; with its dates.

    A copy is whole or absent, and one that is there already is not made again.

    Args:
        file: The file.
        to: Path of the copy, in a directory that is there.

    Returns:
        Path of the copy.

    Raises:
        OSError: The file cannot be read, or the copy not be written.
    """
    prefix = f".{to.name}{TEMPORARY}"
    temporary, lock = locked_temporary(lambda: new_file(to.parent, prefix, to.suffix))
    try:
        shutil.copy2(file, temporary)
        number, place = 1, to
        while True:
            try:
                move_file(temporary, place)
                return place
            except FileExistsError:
                if place.is_file() and filecmp.cmp(temporary, place, shallow=False):
                    return place
            number += 1
            place = to.with_name(f"{to.stem}-{number}{to.suffix}")
    finally:
        os.close(lock)
        temporary.unlink(missing_ok=True)
