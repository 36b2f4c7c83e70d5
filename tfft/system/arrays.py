"""Arrays on disk, whole or absent."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.errors import TfftError
from tfft.system.files import atomic_path


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to `path` as an uncompressed ``.npz``, whole or not at all."""
    named: Any = dict(arrays)  # savez has parameters of its own, of other types
    with atomic_path(path) as temporary:
        np.savez(temporary, **named)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an ``.npz`` file; none of them may hold Python objects.

    Raises:
        TfftError: The file is missing or not one.
    """
    try:
        # Opened here, since np.load (2.4) leaves a file open that is no archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise TfftError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise TfftError(f"{path} is not a file of arrays: {error}") from error
