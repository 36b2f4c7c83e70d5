"""Stanford Dogs prepared from its archives on this machine, without network.

The official archives go through TFDS's own builder, after their sha256 has been compared with
TFDS's list. Others, which must be declared a subset, go through a subclass of the builder that
takes the class names from the lists and reads straight from the archives.
Source: Khosla, Jayadevaprakash, Yao, Fei-Fei 2011.
"""

import contextlib
import fcntl
import hashlib
import io
import shutil
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.data.dataset import Source
from tfft.data.sources.kept import size_and_time
from tfft.data.sources.tfds_quiet import quiet_preparation, tensorflow_datasets
from tfft.errors import DataError, TfftError
from tfft.system.caches import cache_place, optional_write
from tfft.system.damage import reason
from tfft.system.digests import file_sha256
from tfft.system.files import (
    atomic_directory,
    explained_os_errors,
    read_json,
    write_json,
)
from tfft.system.progress import Progress
from tfft.system.typed import typed

_ARCHIVES = ("annotation.tar", "images.tar", "lists.tar")
_LISTS = {"train": "train_list.mat", "test": "test_list.mat"}


@dataclass(frozen=True)
class _Checksums:
    """What is kept of the archives: size and modification time of each, and its sha256."""

    stamps: dict[str, list[int]]
    sha256: dict[str, str]


class StanfordDogsArchives:
    """A directory with images.tar, lists.tar and annotation.tar."""

    def __init__(self, directory: Path, subset: bool) -> None:
        """Looks for the archives.

        Raises:
            DataError: Some are missing.
        """
        self._directory = Path(directory).absolute()
        self._subset = subset
        missing = [name for name in _ARCHIVES if not (self._directory / name).is_file()]
        if missing:
            raise DataError(
                f"data.archives must be a directory with {', '.join(_ARCHIVES)}; missing: "
                f"{', '.join(missing)}. Received: {self._directory}"
            )

    def digest(self) -> str:
        """Returns one sha256 of all archives, by which the prepared set is known."""
        sums = self._checksums()
        return hashlib.sha256("".join(sums[name] for name in _ARCHIVES).encode()).hexdigest()

    def prepared(self, progress: Progress) -> Any:
        """Returns the TFDS builder of the set, prepared once and kept.

        Raises:
            DataError: The archives are not the official ones and no declared subset, or are
                damaged.
        """
        tfds = tensorflow_datasets()
        home = cache_place("datasets", f"stanford_dogs-{self.digest()[:16]}")
        infos = tfds.builder_cls("stanford_dogs").url_infos.values()
        official = {info.filename: info.checksum for info in infos} == self._checksums()
        if not official and not self._subset:
            raise DataError(
                f"the archives in {self._directory} are not the official ones of Stanford Dogs: "
                f"their sha256 differ from TFDS's list. If they are a subset that you trust, set "
                f"data.subset to true."
            )
        if not home.is_dir():
            with _alone(home):
                if not home.is_dir():
                    progress.message(f"preparing stanford_dogs from {self._directory}")
                    self._prepare(tfds, home, official, progress)
        return tfds.builder_from_directory(next(home.glob("stanford_dogs/*.*.*")))

    def check_complete(self, source: Source) -> None:
        """Compares the images with the lists: every listed photo, in its split, exactly once.

        Raises:
            DataError: Photos are missing; the message names them.
        """
        faults = []
        for split, name in _LISTS.items():
            listed = set(_listed_files(self._directory / "lists.tar", name))
            chosen = source.splits == split
            found = {
                Path(image_id).name
                for image_id, is_chosen in zip(source.index.ids, chosen, strict=True)
                if is_chosen
            }
            absent = sorted(Path(file).name for file in listed if Path(file).name not in found)
            if absent:
                faults.append(
                    f"{len(absent)} of {len(listed)} photos of {name} are not in images.tar: "
                    f"{', '.join(absent)}"
                )
        if faults:
            raise DataError("\n".join(faults))

    def _prepare(self, tfds: Any, home: Path, official: bool, progress: Progress) -> None:
        builder_class = tfds.builder_cls("stanford_dogs")
        config = tfds.download.DownloadConfig(
            manual_dir=str(self._directory), try_download_gcs=False
        )
        task = progress.start("preparing stanford_dogs", None)
        try:
            with atomic_directory(home) as directory:
                if not official:
                    builder_class = _subset_builder(tfds, builder_class, self._directory, task)
                with quiet_preparation(), _explained_damage(self._directory):
                    builder_class(data_dir=str(directory)).download_and_prepare(
                        download_config=config
                    )
                shutil.rmtree(directory / "downloads", ignore_errors=True)
        finally:
            task.close()

    def _checksums(self) -> dict[str, str]:
        """Returns the sha256 of each archive, kept as long as sizes and times stay the same."""
        stamps = {name: size_and_time(self._directory / name) for name in _ARCHIVES}
        key = hashlib.sha256(str(self._directory).encode()).hexdigest()[:32]
        path = cache_place("scans", f"archives-{key}.json")
        with contextlib.suppress(TfftError, ValueError):
            kept = typed(_Checksums, read_json(path))
            if kept.stamps == stamps and kept.sha256.keys() == stamps.keys():
                return kept.sha256
        sums = {name: file_sha256(self._directory / name) for name in _ARCHIVES}
        with optional_write():
            write_json(path, {"stamps": stamps, "sha256": sums})
        return sums


def _subset_builder(tfds: Any, base: type, archives: Path, task: Any) -> type:
    """Returns a subclass of TFDS's builder that reads any selection of the photos."""
    lists = {split: _listed_files(archives / "lists.tar", name) for split, name in _LISTS.items()}
    names = sorted({Path(file).parent.name.lower() for files in lists.values() for file in files})

    class Builder(base, skip_registration=True):  # pyright: ignore[reportGeneralTypeIssues, reportCallIssue]
        """Stanford Dogs, a subset."""

        name = "stanford_dogs"
        pkg_dir_path = base.pkg_dir_path

        def _info(self) -> Any:
            info = super()._info()
            features = dict(info.features.items())
            features["label"] = tfds.features.ClassLabel(names=names)
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
                homepage=info.homepage,
            )

        def _split_generators(self, dl_manager: Any) -> list[Any]:
            boxes = _annotations(archives / "annotation.tar")
            return [
                tfds.core.SplitGenerator(
                    name=split,
                    gen_kwargs={
                        "archive": _photos(archives / "images.tar", task),
                        "file_names": {Path(file).name for file in files},
                        "annotation_files": boxes,
                    },
                )
                for split, files in lists.items()
            ]

    return Builder


def _photos(archive: Path, task: Any) -> Iterator[tuple[str, Any]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                yield member.name, io.BytesIO(_content(tar, member))
                task.advance()


def _annotations(archive: Path) -> dict[str, "ElementTree.ElementTree[Any]"]:
    with tarfile.open(archive) as tar:
        return {
            Path(member.name).name: ElementTree.parse(io.BytesIO(_content(tar, member)))
            for member in tar
            if member.isfile()
        }


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _listed_files(archive: Path, name: str) -> list[str]:
    """Returns the photos of one list, such as ``n02085620-Chihuahua/n02085620_5927.jpg``."""
    import scipy.io

    with _explained_damage(archive), tarfile.open(archive) as tar:
        for member in tar:
            if Path(member.name).name == name:
                content = io.BytesIO(_content(tar, member))
                files = scipy.io.loadmat(content, squeeze_me=True)["file_list"]
                return [str(file) for file in files.reshape(-1)]
    raise DataError(f"{archive} has no {name}")


@contextlib.contextmanager
def _explained_damage(archives: Path) -> Iterator[None]:
    """Turns what broken archives raise into a `DataError`."""
    try:
        yield
    except TfftError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # of the disk, not about the content
            raise
        raise DataError(
            f"the archives of Stanford Dogs are damaged: {archives}: {reason(error)}"
        ) from error


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Holds a lock while this process prepares the set, and waits for one that does."""
    with explained_os_errors(home):
        home.parent.mkdir(parents=True, exist_ok=True)
        with (home.parent / f"{home.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
