"""From a handle to the directory of a SavedModel: on disk, in an archive, or from TF Hub.

No TensorFlow is needed, but for a handle of TF Hub.
"""

import gzip
import hashlib
import importlib
import tarfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tfft.errors import BackboneError
from tfft.system.files import atomic_directory, cache_directory
from tfft.system.progress import SILENT, Progress
from tfft.system.quiet import descriptors_kept_aside

ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".tar")
# Far above any published module, far below what fills a disk unnoticed.
_MAX_BYTES = 8 << 30
_MAX_FILES = 10_000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ModuleFiles:
    """A SavedModel on disk.

    Attributes:
        directory: has ``saved_model.pb``.
        sha256: of the archive that it came from, or of the directory; see `directory_digest`.
    """

    directory: Path
    sha256: str


def is_local(handle: str) -> bool:
    """Whether a handle is a path, not an address."""
    return "://" not in handle


def find_module(handle: str, sha256: str | None, progress: Progress = SILENT) -> ModuleFiles:
    """Returns the files of a module.

    An archive is unpacked once, into tfft's cache. An address is left to tensorflow-hub, which has
    its own cache (``TFHUB_CACHE_DIR``).

    Args:
        handle: a directory, an archive, or the address of a module.
        sha256: what its digest must be, if that is known.
        progress: told of a download.

    Raises:
        BackboneError: There is no module, it is not the one that `sha256` pins, it is in the format
            of TF1, or its archive is damaged or would write outside its directory.
    """
    if not is_local(handle):
        return _checked(_resolve(handle, progress), handle, sha256)
    path = Path(handle).expanduser()
    if path.is_dir():
        return _checked(path, handle, sha256)
    if not path.is_file():
        raise BackboneError(
            "backbone.handle must be a directory with a saved_model.pb, an archive of one "
            f"({', '.join(ARCHIVE_ENDINGS)}) or an address (https://…). Nothing is there. "
            f"Received: {handle}"
        )
    digest = _file_digest(path)
    _require_digest(digest, sha256, handle)
    directory = cache_directory("hub") / digest
    if not directory.is_dir():
        with atomic_directory(directory) as temporary:
            _unpack(path, temporary)
            _find_root(temporary, handle)
    return ModuleFiles(_find_root(directory, handle), digest)


def directory_digest(directory: Path) -> str:
    """Returns the SHA-256 over the names, sizes and bytes of all files, in the order of names."""
    digest = hashlib.sha256()
    files = _files(directory)
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _files(directory: Path) -> dict[str, Path]:
    files = {f.relative_to(directory).as_posix(): f for f in directory.rglob("*") if f.is_file()}
    size = sum(path.stat().st_size for path in files.values())
    if len(files) > _MAX_FILES or size > _MAX_BYTES:
        raise BackboneError(
            f"{directory} has {len(files):,} files of {size / 1e9:.1f} GB; a module may have "
            f"{_MAX_FILES:,} of {_MAX_BYTES / 1e9:.1f} GB"
        )
    return files


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
    """The directory itself, or the only one in it."""
    inside = [child for child in directory.iterdir() if child.is_dir()]
    candidates = [directory, *(inside if len(inside) == 1 else ())]
    for candidate in candidates:
        if (candidate / "tfhub_module.pb").is_file():
            raise BackboneError(
                f"{handle} is a module in the format of TF1 (it has a tfhub_module.pb), which "
                "cannot be trained by TF2. Take its successor in the format of TF2: published "
                "modules have one under the next version number"
            )
        if (candidate / "saved_model.pb").is_file():
            return candidate
    raise BackboneError(f"{handle} holds no SavedModel: it has no saved_model.pb")


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unpack(archive: Path, directory: Path) -> None:
    """Unpacks plain files and directories that lie inside; anything else is refused before."""
    try:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            _require_harmless(members, archive)
            for member in members:
                tar.extract(member, directory, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackboneError(
            f"{archive} is damaged or no archive that can be unpacked: {error}"
        ) from error


def _require_harmless(members: list[tarfile.TarInfo], archive: Path) -> None:
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise BackboneError(f"{archive} would write outside its directory: {member.name}")
        if not member.isfile() and not member.isdir():
            raise BackboneError(
                f"{archive} has a link or a device, which a module needs not: {member.name}"
            )
    size = sum(member.size for member in members)
    if len(members) > _MAX_FILES or size > _MAX_BYTES:
        raise BackboneError(
            f"{archive} unpacks to {len(members):,} files of {size / 1e9:.1f} GB; a module may "
            f"have {_MAX_FILES:,} of {_MAX_BYTES / 1e9:.1f} GB"
        )


def _resolve(handle: str, progress: Progress) -> Path:
    """Asks tensorflow-hub for the directory of a module, which it may download."""
    progress.message(f"looking for {handle}")
    try:
        # It warns of its own dependencies, and logs to standard error.
        with descriptors_kept_aside(1, 2), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hub = importlib.import_module("tensorflow_hub")
            return Path(hub.resolve(handle))
    except ImportError as error:
        raise BackboneError(
            f"{handle} is resolved by tensorflow-hub, which is not installed or cannot be "
            f"imported ({error}). Install tfft[hub], or download the module and give its path."
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise BackboneError(
            f"{handle} cannot be had: {reason}. Check the address and the network, or download "
            "the module and give its path as backbone.handle."
        ) from error


def copy_of(directory: Path) -> dict[str, bytes]:
    """Returns the files of a module by name, but for the values of its variables."""
    return {
        name: path.read_bytes()
        for name, path in _files(directory).items()
        if not name.startswith("variables/")
    }


def write_copy(files: dict[str, bytes], directory: Path) -> None:
    """Writes what `copy_of` returned."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
