"""Puts a SavedModel where a server polls, so that the server never sees a part of one.

Versions are never replaced: to go back is to put what was served before in place once more, under a
new number.
"""

import contextlib
import fcntl
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfft.errors import ModelFileError, TfftError, TfftWarning, UsageError
from tfft.exports.sums import FILE_NAME as SUMS_FILE
from tfft.exports.sums import computed_sums, recorded_sums, whole_sums
from tfft.exports.versions import next_version, saved_versions
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
        already_live: Whether that version had this content already, so that nothing was done.
    """

    source: str
    path: str
    version: int
    already_live: bool = False

    def lines(self) -> list[str]:
        if self.already_live:
            return [f"{self.path} is {self.source} already: nothing to do"]
        return [f"{self.path}, from {self.source}"]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft publish --json`` prints."""
        return asdict(self)


def publish(
    model: Path, base_path: Path, *, version: int | None = None, progress: Progress = SILENT
) -> Published:
    """Copies a SavedModel to ``BASE_PATH/VERSION`` for a server that polls the base path.

    The copy is made beside its place under a name that servers ignore, compared with the sums of
    the SavedModel, flushed to the disk, and renamed: a reader sees the whole version or none, on
    any file system, whenever this process is killed. What a killed process leaves is removed by the
    next. Publishers wait for each other. What the highest version has already is not published
    again.

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
        TfftError: `model` is damaged, or its copy would be; the disk is full, or `base_path` cannot
            be written to.
    """
    source = find_saved_model(Path(model))
    if source is None:
        raise ModelFileError(
            "only a SavedModel can be published: the directory of a version that `tfft export` "
            f"wrote, or of all versions. Received: {model}"
        )
    if version is not None and version < 1:
        raise UsageError(f"a version is a number from 1 on. Received: {version}")
    sums = _publishable(source)
    if base_path.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"a SavedModel cannot be published into itself. Received: {base_path}")
    with explained_os_errors(base_path):
        base_path.mkdir(parents=True, exist_ok=True)
        with _only_publisher(base_path):
            live = max(saved_versions(base_path), default=None)
            if live is not None and version in (None, live) and _has(base_path / str(live), sums):
                return Published(str(source), str(base_path / str(live)), live, already_live=True)
            own = int(source.name) if source.name.isdecimal() else 1
            number = max(own, next_version([base_path])) if version is None else version
            target = base_path / str(number)
            if target.exists():
                raise UsageError(
                    f"version {number} is in {base_path} already; a version is never replaced. "
                    f"Leave out --version for the next number. Received: {number}"
                )
            _put(source, sums, target, progress)
    return Published(str(source), str(target), number)


def roll_back(base_path: Path, *, to: int | None = None, progress: Progress = SILENT) -> Published:
    """Puts what a server served earlier in place once more, under a new, highest number.

    Args:
        base_path: Directory that the server polls.
        to: Number of the version whose content is wanted; default: the one that was the highest
            before the content of today's highest first came. So a second call goes back further,
            and never to what was just taken back.
        progress: Where progress is reported.

    Raises:
        ModelFileError: The earlier version could not be published, for a reason that `publish` has.
        UsageError: There is no earlier version, or none of the number `to`.
        TfftError: The earlier version is damaged; the disk is full, or `base_path` cannot be
            written to.
    """
    if not base_path.is_dir():
        raise UsageError(f"nothing is published there: {base_path} is no directory")
    with explained_os_errors(base_path), _only_publisher(base_path):
        versions = saved_versions(base_path)
        if not versions:
            raise UsageError(f"nothing is published there: {base_path} has no version")
        live, source = versions[-1], base_path / str(_earlier(base_path, versions, to))
        sums = _publishable(source)
        if _has(base_path / str(live), sums):
            return Published(str(source), str(base_path / str(live)), live, already_live=True)
        target = base_path / str(next_version([base_path]))
        _put(source, sums, target, progress)
    return Published(str(source), str(target), int(target.name))


def _earlier(base_path: Path, versions: list[int], to: int | None) -> int:
    """Returns the version to go back to: `to`, or the one before today's content first came."""
    there = f"{base_path} has {', '.join(map(str, versions))}"
    if to is not None:
        if to not in versions:
            raise UsageError(f"there is no version {to} to go back to: {there}")
        return to
    contents = {number: _said_sums(base_path / str(number)) for number in versions}
    first = next(number for number in versions if contents[number] == contents[versions[-1]])
    earlier = [number for number in versions if number < first]
    if not earlier:
        raise UsageError(
            f"there is nothing to go back to: what version {versions[-1]} has came first as "
            f"version {first}. Name the version whose content you want by --to: {there}"
        )
    return earlier[-1]


def _said_sums(version: Path) -> dict[str, str]:
    """Returns what a version should hold, whether or not it is whole."""
    return recorded_sums(version) or computed_sums(version)


def _has(version: Path, sums: dict[str, str]) -> bool:
    """Says whether a version has these files, whole, and no others."""
    return computed_sums(version) == sums


def _publishable(source: Path) -> dict[str, str]:
    """Returns the sums of a SavedModel that may be published."""
    _require_own_files(source)
    sums = whole_sums(source)
    read_saved_model_info(source)
    scan_saved_model(source, str(source))
    if recorded_sums(source) is None:
        warnings.warn(
            f"{source} has no {SUMS_FILE}, as exports of older versions of tfft: nothing says "
            "whether it is whole. The copy is compared with it as it is",
            TfftWarning,
            stacklevel=3,
        )
    return sums


def _put(source: Path, sums: dict[str, str], target: Path, progress: Progress) -> None:
    """Copies a SavedModel to its place, where it is only if the copy has the same sums."""
    with atomic_directory(target, prefix=_PREFIX) as temporary:
        _copy(source, temporary, progress)
        if not _has(temporary, sums):
            raise TfftError(
                f"the copy of {source} is not what was read before: the source was changed "
                f"meanwhile, or the disk of {target.parent} is failing. Nothing was published"
            )


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
