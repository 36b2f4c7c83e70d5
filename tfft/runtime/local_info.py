"""The full description of an export, with the paths of its training images, beside the export.

Exports go to servers and into apps, so their own descriptions have no paths of the machine that
trained. On that machine ``<export>/local/<version>.json`` keeps them: there an export can be
evaluated on the images of its run without naming them.
"""

from pathlib import Path

from tfft.runtime.info import ModelInfo
from tfft.system.files import read_json
from tfft.system.formats import MODEL

DIRECTORY = "local"


def keep_local_info(export: Path, version: str, info: ModelInfo) -> None:
    """Writes the full description of a version of an export.

    Args:
        export: Directory of the export, which has those of its versions.
        version: Version that was exported.
        info: Description with the paths of its training images.
    """
    MODEL.write(_path(export, version), info.to_json())


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
    return local if local.without_places() == info else info


def _path(export: Path, version: str) -> Path:
    return export / DIRECTORY / f"{version}.json"
