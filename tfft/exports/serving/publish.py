"""Puts a SavedModel where a server polls, so that the server never sees a part of one."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfft.errors import ModelFileError, UsageError
from tfft.exports.versions import next_version
from tfft.runtime.load import find_saved_model, read_saved_model_info
from tfft.system.files import atomic_directory, explained_os_errors
from tfft.system.listing import file_fault
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable
from tfft.untrusted.saved_model import link_outside, scan_saved_model

# TF Serving ignores names that are not a number.
_PREFIX = ".tfft-publish-"


@dataclass(frozen=True, repr=False)
class Published(Readable):
    """What was put where.

    Attributes:
        source: Directory of the SavedModel.
        path: Directory of the published version.
        version: Number of the published version.
    """

    source: str
    path: str
    version: int

    def lines(self) -> list[str]:
        return [f"{self.path}, from {self.source}"]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft publish --json`` prints."""
        return asdict(self)


def publish(
    model: Path, base_path: Path, *, version: int | None = None, progress: Progress = SILENT
) -> Published:
    """Copies a SavedModel to ``BASE_PATH/VERSION`` for a server that polls the base path.

    The copy is made beside its place under a name that servers ignore, flushed to the disk, and
    renamed: a reader sees the whole version or none, on any file system, whenever this process is
    killed. What a killed process leaves is removed by the next. Publishers wait for each other.

    Args:
        model: Directory of a SavedModel, or of its versions (the newest is taken).
        base_path: Directory that the server polls; made if it does not exist.
        version: Number of the version, which must be free; default: the model's own, or the number
            after the highest that exists if that is higher, so that the server takes it for the
            newest.
        progress: Where progress is reported.

    Raises:
        ModelFileError: `model` is not a SavedModel that tfft wrote, has operations that are not
            allowed, or has links that lead outside of it, or what is no file.
        UsageError: The version exists already, or is not a number from 1 on; or `base_path` is
            within `model`.
        TfftError: The disk is full, or `base_path` cannot be written to.
    """
    source = find_saved_model(Path(model))
    if source is None:
        raise ModelFileError(
            "only a SavedModel can be published: the directory of a version that `tfft export` "
            f"wrote, or of all versions. Received: {model}"
        )
    read_saved_model_info(source)
    if version is not None and version < 1:
        raise UsageError(f"a version is a number from 1 on. Received: {version}")
    scan_saved_model(source, str(source))
    _require_own_files(source)
    if base_path.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"a SavedModel cannot be published into itself. Received: {base_path}")
    with explained_os_errors(base_path):
        base_path.mkdir(parents=True, exist_ok=True)
        with _only_publisher(base_path):
            own = int(source.name) if source.name.isdecimal() else 1
            number = max(own, next_version([base_path])) if version is None else version
            target = base_path / str(number)
            if target.exists():
                raise UsageError(
                    f"version {number} is in {base_path} already; a version is never replaced. "
                    f"Leave out --version for the next number. Received: {number}"
                )
            with atomic_directory(target, prefix=_PREFIX) as temporary:
                _copy(source, temporary, progress)
    return Published(str(source), str(target), number)


def _require_own_files(source: Path) -> None:
    """Requires that a directory has files alone, which are its own."""
    if link := link_outside(source):
        raise ModelFileError(
            f"{source} has a link that leads outside of it: {link}. What it leads to would be "
            "published, too; if that is meant, copy the SavedModel with it: cp -RL"
        )
    for path in source.rglob("*"):
        if not path.is_dir() and (fault := file_fault(path)):
            raise ModelFileError(f"{path} cannot be published: {fault}")


def _copy(source: Path, target: Path, progress: Progress) -> None:
    files = sum(file.is_file() for file in source.rglob("*"))
    task = progress.start(f"copying {source}", files, "files")

    def copy(file: str, place: str) -> None:
        shutil.copyfile(file, place)
        task.advance()

    try:
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=copy)
    finally:
        task.close()


@contextlib.contextmanager
def _only_publisher(base_path: Path) -> Iterator[None]:
    """Waits until no other process publishes here; the wait ends also if that one is killed."""
    handle = os.open(base_path / f"{_PREFIX}lock", os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
