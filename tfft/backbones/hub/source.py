"""From a handle to the directory of a SavedModel: on disk, in an archive, or from TF Hub.

TensorFlow is needed only for a handle of TF Hub.
"""

import hashlib
import importlib
import tarfile
import warnings
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tfft.errors import BackboneError
from tfft.system.caches import cache_place
from tfft.system.damage import reading
from tfft.system.digests import file_sha256
from tfft.system.files import atomic_directory
from tfft.system.paths import expanded
from tfft.system.progress import SILENT, Progress
from tfft.system.quiet import descriptors_kept_aside
from tfft.system.readable import install_command
from tfft.untrusted.saved_model import link_outside

ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".tar")
_WHAT = (
    "backbone.handle is a directory with a saved_model.pb, an archive of one "
    f"({', '.join(ARCHIVE_ENDINGS)}) or an address (https://…)"
)
# Far more than any published module needs, far less than would fill a disk unnoticed.
_MAX_BYTES = 8 << 30
_MAX_FILES = 10_000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ModuleFiles:
    """A SavedModel on disk.

    Attributes:
        directory: Directory with ``saved_model.pb``.
        sha256: SHA-256 of the archive that it came from, or else `directory_digest`.
    """

    directory: Path
    sha256: str


def is_local(handle: str) -> bool:
    """Returns whether a handle is a path rather than an address."""
    return "://" not in handle


def find_module(handle: str, sha256: str | None, progress: Progress = SILENT) -> ModuleFiles:
    """Returns the files of a module.

    An archive is unpacked once, into tfft's cache. An address is resolved by tensorflow-hub, which
    has a cache of its own (``TFHUB_CACHE_DIR``).

    Args:
        handle: Path of a directory or an archive, or the address of a module.
        sha256: Digest that the module must have; None: any.
        progress: Receives the progress of a download.

    Raises:
        BackboneError: There is no module, its digest differs from `sha256`, it is in the format of
            TF1, or its archive is damaged or would write outside its directory.
    """
    if not is_local(handle):
        return _checked(_resolve(handle, progress), handle, sha256)
    path = expanded(handle)
    if path.is_dir():
        return _checked(path, handle, sha256)
    if not path.is_file():
        raise BackboneError(
            f"there is nothing at the path of the backbone's module. {_WHAT}. Received: {handle}"
        )
    digest = file_sha256(path)
    _require_digest(digest, sha256, handle)
    directory = cache_place("hub", digest)
    if not directory.is_dir():
        with atomic_directory(directory) as temporary:
            _unpack(path, temporary)
            _find_root(temporary, handle)
    return ModuleFiles(_find_root(directory, handle), digest)


def directory_digest(directory: Path) -> str:
    """Returns the SHA-256 of the names, sizes and bytes of all files, in the order of names."""
    digest = hashlib.sha256()
    files = _files(directory)
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _files(directory: Path) -> dict[str, Path]:
    """Returns the files of a module by name.

    Raises:
        BackboneError: There are too many, or a link leads outside: what is packed into a saved
            model would then be a file of this machine that nobody meant to give away.
    """
    if link := link_outside(directory):
        raise BackboneError(
            f"{directory} has a link that leads outside of it: {link}. Copy the module with the "
            "files that its links lead to: cp -RL"
        )
    files = {f.relative_to(directory).as_posix(): f for f in directory.rglob("*") if f.is_file()}
    size = sum(path.stat().st_size for path in files.values())
    _require_bounded(f"{directory} has", len(files), size)
    return files


def _require_bounded(subject: str, files: int, size: int) -> None:
    """Refuses a module of too many files or bytes; `subject` starts the message."""
    if files > _MAX_FILES or size > _MAX_BYTES:
        raise BackboneError(
            f"{subject} {files:,} files of {size / 1e9:.1f} GB; a module may have "
            f"{_MAX_FILES:,} of {_MAX_BYTES / 1e9:.1f} GB"
        )


def _checked(directory: Path, handle: str, sha256: str | None) -> ModuleFiles:
    root = _find_root(directory, handle)
    digest = directory_digest(root)
    _require_digest(digest, sha256, handle)
    return ModuleFiles(root, digest)


def _require_digest(digest: str, expected: str | None, handle: str) -> None:
    if expected is not None and digest != expected:
        raise BackboneError(
            f"{handle} is not the module that backbone.sha256 pins, and is not loaded. Expected: "
            f"{expected}. Received: {digest}"
        )


def _find_root(directory: Path, handle: str) -> Path:
    """Returns the directory with ``saved_model.pb``: this one, or the only one inside it."""
    inside = [child for child in directory.iterdir() if child.is_dir()]
    candidates = [directory, *(inside if len(inside) == 1 else ())]
    for candidate in candidates:
        if (candidate / "tfhub_module.pb").is_file():
            raise BackboneError(
                f"{handle} is a module in the format of TF1 (it has a tfhub_module.pb), which "
                "cannot be trained by TF2. Use its successor in the format of TF2: published "
                "modules have one under the next version number"
            )
        if (candidate / "saved_model.pb").is_file():
            return candidate
    raise BackboneError(f"{handle} holds no SavedModel: it has no saved_model.pb")


def _unpack(archive: Path, directory: Path) -> None:
    """Unpacks an archive of plain files and directories; any other is refused before it starts."""
    with (
        reading(archive, "an archive that can be unpacked", advice=_WHAT, error=BackboneError),
        tarfile.open(archive) as tar,
    ):
        members = tar.getmembers()
        for member in members:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts:
                raise BackboneError(f"{archive} would write outside its directory: {member.name}")
            if not member.isfile() and not member.isdir():
                raise BackboneError(
                    f"{archive} has a link or a device, which no module needs: {member.name}"
                )
        size = sum(member.size for member in members)
        _require_bounded(f"{archive} unpacks to", len(members), size)
        for member in members:
            tar.extract(member, directory, filter="data")


def _resolve(handle: str, progress: Progress) -> Path:
    """Returns the directory of a module from tensorflow-hub, which may download it."""
    progress.message(f"looking for {handle}")
    try:
        # tensorflow-hub warns about its own dependencies, and logs to standard error.
        with descriptors_kept_aside(1, 2), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hub = importlib.import_module("tensorflow_hub")
            return Path(hub.resolve(handle))
    except ImportError as error:
        raise BackboneError(
            f"{handle} is resolved by tensorflow-hub, which is not installed or cannot be "
            f"imported ({error}). Install it: {install_command('hub')}; or download the module and "
            "give its path."
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise BackboneError(
            f"{handle} cannot be found or downloaded: {reason}. Check the address and the network, "
            "or download the module and give its path as backbone.handle."
        ) from error


def copy_of(directory: Path) -> dict[str, bytes]:
    """Returns the content of a module's files by name, without the values of its variables."""
    return {
        name: path.read_bytes()
        for name, path in _files(directory).items()
        if not name.startswith("variables/")
    }


def write_copy(files: dict[str, bytes], directory: Path) -> None:
    """Writes the files that `copy_of` returned."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
