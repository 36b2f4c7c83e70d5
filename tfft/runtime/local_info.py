"""The full description of an export, with the paths of its training images, beside the export.

Exports go to servers and into apps, so their own descriptions have no paths of the machine that
trained. On that machine ``<export>/local/<version>.json`` keeps them, and
``<export>/local/<version>-splits.csv`` the split of each image: there an export can be evaluated on
the images of its run without naming them.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from tfft.data.kept_splits import EXPORTS, OF_EXPORT, SPLITS_DIGEST, kept_list
from tfft.runtime.info import ModelInfo
from tfft.system.digests import file_sha256
from tfft.system.files import atomic_path, read_json
from tfft.system.formats import MODEL


def keep_local_info(export: Path, version: str, info: ModelInfo) -> None:
    """Writes the full description of a version of an export.

    Args:
        export: Directory of the export, which has those of its versions.
        version: Version that was exported.
        info: Description with the paths of its training images.
    """
    values = info.to_json()
    if info.splits is not None:
        with atomic_path(_splits(export, version)) as temporary:
            shutil.copyfile(info.splits, temporary)
            values[SPLITS_DIGEST] = file_sha256(temporary)
    else:
        _splits(export, version).unlink(missing_ok=True)
    MODEL.write(_path(export, version), values)


def with_local_info(info: ModelInfo, export: Path, version: str) -> ModelInfo:
    """Returns the full description if there is one of the same model, or else `info`.

    Args:
        info: The export's own description.
        export: Directory of the export, which has those of its versions.
        version: Version of the export.

    Raises:
        TfftError: The full description is damaged.
    """
    path = _path(export, version)
    if not path.is_file():
        return info
    local = ModelInfo.from_json(read_json(path), str(path))
    if local.without_places() != info:
        return info
    return replace(local, splits=kept_list(_splits(export, version)))


def _path(export: Path, version: str) -> Path:
    return export / EXPORTS / f"{version}.json"


def _splits(export: Path, version: str) -> Path:
    return export / EXPORTS / f"{version}{OF_EXPORT}"
