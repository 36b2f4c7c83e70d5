"""Files moved on their disk without replacing another, whatever other processes do meanwhile."""

import errno
import os
from collections.abc import Collection
from pathlib import Path

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
