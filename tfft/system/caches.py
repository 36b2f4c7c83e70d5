"""Places in the cache, and what is done where it cannot be written."""

import atexit
import contextlib
import errno
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from tfft.errors import TfftError, TfftWarning
from tfft.system.files import TEMPORARY, cache_directory, locked_temporary, remove_abandoned

# What says that a directory cannot be written to by anyone like us, however often it is tried.
_NOT_WRITABLE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST}
)

# By cache that cannot be written to, the temporary one of this process.
_OWN: dict[Path, Path | None] = {}


def cache_place(kind: str, name: str = "") -> Path:
    """Returns the place of an entry of the cache: where it is, or where it can be made.

    Where the cache cannot be written to (a read-only container, no home directory), what it lacks
    is made in a temporary directory of this process, which is removed at its end; a `TfftWarning`
    says so once.

    Args:
        kind: Kind of the entry, such as ``"activations"`` or ``"datasets"``.
        name: Name of the file or directory of the entry; default: the directory of all of its kind.
    """
    directory = cache_directory(kind)
    # Unlike Path.exists, os.path.exists never raises.
    is_there = name and os.path.exists(directory / name)  # noqa: PTH110
    if is_there or is_writable(directory):
        return directory / name
    own = _own_directory(directory.parent)
    return (own / kind if own else directory) / name


def is_writable(directory: Path) -> bool:
    """Says whether entries can be made in a directory of the cache; makes it if it is missing."""
    if not directory.is_absolute() and str(directory).startswith("~"):  # no home directory
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return error.errno not in _NOT_WRITABLE  # a full disk is said where it is written to
    return os.access(directory, os.W_OK | os.X_OK)


def cache_places(kind: str) -> tuple[Path, ...]:
    """Returns the directories that may hold entries of a kind: the cache and, if it was made, that
    of this process.
    """
    directory = cache_directory(kind)
    own = _OWN.get(directory.parent)
    return (directory, own / kind) if own else (directory,)


@contextlib.contextmanager
def optional_write() -> Iterator[None]:
    """Lets the work go on where something cannot be kept for the next time; a warning says why."""
    try:
        yield
    except TfftError as error:
        warnings.warn(f"{error} The work goes on without.", TfftWarning, stacklevel=3)


def _own_directory(cache: Path) -> Path | None:
    """Returns the temporary cache of this process, which is made once; None if it cannot be."""
    if cache not in _OWN:
        _OWN[cache] = _new_own_directory(cache)
    return _OWN[cache]


def _new_own_directory(cache: Path) -> Path | None:
    prefix = f"tfft-cache-{os.getuid()}{TEMPORARY}"
    what = f"the cache {cache} cannot be written to"
    advice = "Set TFFT_CACHE_DIR to a directory that can be written to"
    try:
        remove_abandoned(Path(tempfile.gettempdir()), f"{prefix}*")
        made, _ = locked_temporary(lambda: tempfile.mkdtemp(prefix=prefix))
    except OSError:
        warnings.warn(
            f"{what}, and there is no temporary directory. {advice}.", TfftWarning, stacklevel=5
        )
        return None
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    warnings.warn(
        f"{what}: what is computed once is kept in {made} until this process ends. {advice}, to "
        "keep it.",
        TfftWarning,
        stacklevel=5,
    )
    return made
