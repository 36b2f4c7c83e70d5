"""Where an export's training images lie: kept beside the export, which itself does not say.

Exports go to servers and into apps; what they say of themselves has no paths of the machine that
trained. On that machine ``<export>/local/<version>.json`` has them, so that an export is evaluated
there on the images of its run without naming them.
"""

from pathlib import Path

from tfft.runtime.info import ModelInfo
from tfft.system.files import read_json, write_json

DIRECTORY = "local"


def keep_local_info(export: Path, version: str, info: ModelInfo) -> None:
    """Writes the whole description of an export's version beside its versions.

    Args:
        export: the directory of the SavedModel's versions.
        version: that was exported.
        info: with the places of its training images.
    """
    write_json(_path(export, version), info.to_json())


def with_local_info(info: ModelInfo, export: Path, version: str) -> ModelInfo:
    """Returns the whole description if it is there and is of the same model, else `info`.

    Raises:
        TfftError: It is there and is damaged.
    """
    path = _path(export, version)
    if not path.is_file():
        return info
    local = ModelInfo.from_json(read_json(path), str(path))
    return local if local.without_places() == info else info


def _path(export: Path, version: str) -> Path:
    return export / DIRECTORY / f"{version}.json"
