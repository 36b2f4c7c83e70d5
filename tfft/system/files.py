"""Files that are whole or absent, locks on them, and where files lie that can be made again.

Everything is written beside its place and renamed.
"""

import contextlib
import errno
import fcntl
import glob
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from tfft.errors import TfftError, UsageError, nearest
from tfft.system.damage import reading
from tfft.system.disks import error_of_system, full_disk
from tfft.system.paths import expanded

# The array with the names of all others.
_NAMES = "__names__"
# More than any count, size or time has.
_MOST_DIGITS = 30

# In the names of files and directories that are being written.
TEMPORARY = ".tfft-"
# What `flock` answers where the file system has no locks (some network file systems).
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


def cache_directory(kind: str) -> Path:
    """Returns the directory for caches of one kind, such as ``"activations"`` or ``"datasets"``.

    It is ``$TFFT_CACHE_DIR/<kind>``, or the user cache directory of the system.
    """
    root = os.environ.get("TFFT_CACHE_DIR") or platformdirs.user_cache_dir("tfft")
    return expanded(root) / kind


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write a file to; on success it replaces `path`.

    The file is synced to the disk before it is renamed. On any error it is removed and whatever
    was at `path` stays. What a killed process left half written for the same `path` is removed.

    Raises:
        TfftError: The disk is full, or the directory cannot be written to.
    """
    path = Path(path)
    with explained_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name}{TEMPORARY}"
        remove_abandoned(path.parent, f"{glob.escape(prefix)}*")
        temporary, lock = locked_temporary(lambda: new_file(path.parent, prefix, path.suffix))
        try:
            yield temporary
            sync(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            sync(path.parent)
        finally:
            os.close(lock)
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: Path, *, prefix: str | None = None) -> Iterator[Path]:
    """Yields an empty directory beside `path` to fill; on success it is renamed to `path`.

    `path` must not exist: a directory is never replaced. A directory that a killed process left
    half filled for the same `path` is removed.

    Args:
        path: Final path of the directory.
        prefix: Start of its name until then. Default: ``.NAME.tfft-``.

    Raises:
        TfftError: The disk is full, `path` exists, or its parent cannot be written to.
    """
    path = Path(path)
    with explained_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = prefix or f".{path.name}{TEMPORARY}"
        remove_abandoned(path.parent, f"{glob.escape(prefix)}*")
        temporary, lock = locked_temporary(lambda: tempfile.mkdtemp(dir=path.parent, prefix=prefix))
        try:
            yield temporary
            # In parallel: the file system then commits many files at once.
            with ThreadPoolExecutor(16) as executor:
                list(executor.map(sync, (temporary, *temporary.rglob("*"))))
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(path)
            sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            os.close(lock)


def new_file(directory: Path, prefix: str, suffix: str) -> str:
    """Makes an empty file of a new name in a directory, and returns its path."""
    handle, name = tempfile.mkstemp(dir=directory, prefix=prefix, suffix=suffix)
    os.close(handle)
    return name


def locked_temporary(make: Callable[[], str]) -> tuple[Path, int]:
    """Makes a file or directory and locks it; the lock is freed however this process ends.

    Args:
        make: Function that makes one of a new name, which `remove_abandoned` finds, and returns it.

    Returns:
        Its path, and the descriptor that holds the lock until it is closed.
    """
    while True:
        made = Path(make())
        try:
            lock = lock_or_none(made, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            lock = os.open(made, os.O_RDONLY)
        if lock is not None:  # otherwise another process took it for abandoned before it was locked
            return made, lock


def remove_abandoned(directory: Path, pattern: str = f".*{TEMPORARY}*") -> None:
    """Removes what killed processes left half written in a directory.

    Args:
        directory: The directory; it need not exist.
        pattern: Names of what is removed, as `Path.glob` takes them; default: all that
            `atomic_path` and `atomic_directory` write before it is renamed.
    """
    for left in directory.glob(pattern):
        with contextlib.suppress(OSError):  # another user's, or a file system without locks
            lock = lock_or_none(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock is None:  # a process is writing it
                continue
            try:
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)
            finally:
                os.close(lock)


def require_writable(directory: Path) -> None:
    """Requires that a directory can be written to or made, before long work is done for it.

    Raises:
        TfftError: A file is in the way, or permission is missing.
    """
    place = Path(directory).absolute()
    with explained_os_errors(directory):
        there = next(parent for parent in (place, *place.parents) if parent.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{there} is no directory")
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "")


def require_output(path: Path, suffixes: Collection[str], said: str) -> None:
    """Requires that a file can be written, before long work is done for it.

    Args:
        path: The file.
        suffixes: What its name may end with.
        said: What such a file is, as the error says it: a clause.

    Raises:
        UsageError: Its name ends otherwise.
        TfftError: Its directory cannot be written to.
    """
    if path.suffix not in suffixes:
        raise UsageError(f"{said}.{nearest(path.suffix, suffixes)} Received: {path}")
    require_writable(path.parent)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        TfftError: The file is missing, unreadable or not JSON; see `json_value`.
    """
    with reading(path, "a JSON file"):
        return json_value(Path(path).read_bytes())


def json_value(text: bytes) -> Any:
    """Returns the value of a JSON document: finite numbers of ordinary size, text in Unicode.

    Call it within `reading`: besides a `ValueError` it may raise a `RecursionError`.
    """
    value = json.loads(
        text.decode("utf-8"), parse_int=_whole_number, parse_float=_finite, parse_constant=_finite
    )
    if b"\\u" in text:  # half a character, which could neither be printed nor written
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is not a finite number")
    return number


@contextlib.contextmanager
def explained_os_errors(path: Path) -> Iterator[None]:
    """Turns an error of the system while writing to `path` into one clear `TfftError`.

    TensorFlow, HDF5 and SQLite write files themselves; an error that only their text reports is one
    of the system, too.
    """
    try:
        yield
    except TfftError:
        raise
    except Exception as error:
        told = error_of_system(error)
        if told is None:
            raise
        raise TfftError(_explanation(told, path)) from error


def _explanation(error: OSError, path: Path) -> str:
    if full := full_disk(error, path):
        return full
    if error.filename is not None:
        named = Path(os.fsdecode(error.filename)).absolute()
        if not named.is_relative_to(path.absolute().parent):  # read while `path` was written
            return f"cannot open {named}: {error.strerror}"
    if error.errno == errno.EROFS:
        return f"cannot write {path}: nothing can be written on its disk. Choose another place."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission to write {path}. Choose another place, or change its permissions."
    if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
        return f"{path} exists already and is not replaced."
    return f"cannot write {path}: {error.strerror or error}"


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray | int]) -> None:
    """Writes arrays to `path` as an uncompressed ``.npz`` file, whole or not at all."""
    named: Any = dict(arrays)  # savez has parameters of its own, of other types
    named[_NAMES] = np.array(sorted(arrays))
    with atomic_path(path) as temporary:
        np.savez(temporary, **named)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an ``.npz`` file; none of them may hold Python objects.

    Raises:
        TfftError: The file is missing, or is not an ``.npz`` file of such arrays.
    """
    # Opened here, since np.load (2.4) leaves a file open that is no archive.
    with (
        reading(path, "a file of arrays"),
        path.open("rb") as stream,
        np.load(stream, allow_pickle=False) as archive,
    ):
        if any(member.compress_type for member in archive.zip.infolist()):
            raise ValueError("it is compressed")
        found = {name: archive[name] for name in archive.files}
        # Damage in the list of an archive may hide a member.
        if found.pop(_NAMES, np.array(sorted(found))).tolist() != sorted(found):
            raise ValueError("arrays in it are missing")
        return found


def lock_or_none(path: Path, kind: int) -> int | None:
    """Locks a file or directory and returns its descriptor.

    Closing the descriptor frees the lock, and so does the system when the process ends.

    Args:
        path: File or directory to lock.
        kind: Kind of lock, as `fcntl.flock` takes it.

    Returns:
        None if `path` does not exist or was replaced meanwhile, or if it is locked and `kind` does
        not wait.
    """
    try:
        descriptor = _opened_to_lock(path, kind)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, kind)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _opened_to_lock(path: Path, kind: int) -> int:
    if kind & fcntl.LOCK_EX:  # NFS gives an exclusive lock only to who may write
        with contextlib.suppress(IsADirectoryError, PermissionError):
            return os.open(path, os.O_RDWR)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until no other process has locked a file or directory, and locks it meanwhile.

    The file may be replaced while it is locked. Without locks in the file system nothing is waited
    for.

    Raises:
        TfftError: It does not exist, or permission is missing.
    """
    descriptor = None
    with explained_os_errors(path):
        try:
            while descriptor is None:
                descriptor = lock_or_none(path, fcntl.LOCK_EX)
                if descriptor is None:
                    path.stat()
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def sync(path: Path) -> None:
    """Asks the system to write a file, or the names in a directory, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
