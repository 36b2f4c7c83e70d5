"""The files below a directory. Whatever else lies there is named, too, unless it is hidden."""

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tfft.system.printable import printable_name

_KINDS = {
    stat.S_IFREG: "",
    stat.S_IFIFO: "a named pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
}


@dataclass(frozen=True)
class Listing:
    """What lies below a directory, apart from what is hidden.

    Attributes:
        files: Paths of the files, the directory's own before those of its folders, sorted.
        faults: Why a path is no file, by path.
        unlisted: Why a folder cannot be listed, by path.
        repeated: Links to folders whose files are listed under another path.
    """

    files: list[Path] = field(default_factory=list)
    faults: dict[Path, str] = field(default_factory=dict)
    unlisted: dict[Path, str] = field(default_factory=dict)
    repeated: list[Path] = field(default_factory=list)


def list_files(directory: Path) -> Listing:
    """Lists the files below a directory; names that begin with a dot are passed over.

    A link to a file stands for the file. A link to a folder is followed, but each folder is listed
    once, under its own path if it has one below `directory`; the folders that `directory` lies in
    are not listed at all.
    """
    found = Listing()
    listed = _identities([*directory.absolute().parents, *directory.resolve().parents])
    folders, links = [directory], []
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        if fault := folder_fault(folder):
            found.unlisted[folder] = fault
            continue
        (identity,) = _identities([folder])
        if identity in listed:
            found.repeated.append(folder)
            continue
        listed.add(identity)
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        below = [path for path in inside if _is_folder(path, found)]
        links += [path for path in below if path.is_symlink()]
        folders += [path for path in reversed(below) if not path.is_symlink()]
    return found


def _is_folder(path: Path, found: Listing) -> bool:
    """Says whether a path is a folder; anything else is added to what was found."""
    if not (fault := file_fault(path)):
        found.files.append(path)
    elif os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir, it never raises
        return True
    else:
        found.faults[path] = fault
    return False


def file_fault(path: Path) -> str:
    """Returns why a path does not name a file that could be opened, "" if it does."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads back to itself"
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ENOTDIR):
            return f"a broken link: there is no {printable_name(str(path.readlink()))}"
        return f"cannot be read: {error.strerror}"
    except ValueError:
        return "cannot be the name of a file"
    if kind == stat.S_IFDIR:
        return folder_fault(path) or "a folder, not a file"
    return _KINDS.get(kind, "not a file")


def special_file(path: str | Path) -> str:
    """Returns what a path names that is neither file nor folder, "" if it names none of these.

    Who opens a pipe may wait for ever. Those that a shell makes, as for ``<(COMMAND)``, are as good
    as files.
    """
    if str(path).startswith(("/dev/fd/", "/dev/stdin", "/proc/self/fd/")):
        return ""
    try:
        return _KINDS.get(stat.S_IFMT(os.stat(path).st_mode), "")  # noqa: PTH116 - also addresses
    except (OSError, ValueError):
        return ""


def folder_fault(folder: Path) -> str:
    """Returns why a folder cannot be listed, "" if it can."""
    try:
        os.scandir(folder).close()
    except OSError as error:
        return f"a folder that cannot be listed: {error.strerror}"
    return ""


def _identities(folders: Iterable[Path]) -> set[tuple[int, int]]:
    statuses = [folder.stat() for folder in folders]
    return {(status.st_dev, status.st_ino) for status in statuses}
