"""Whether a SavedModel's graph is the one that was saved.

TensorFlow keeps checksums of the values of variables, and since 2.12 that of ``saved_model.pb`` in
``fingerprint.pb``, which loading does not compare. A graph with one bit changed may still load.
"""

from pathlib import Path

import tfft.system.tensorflow  # noqa: F401 - starts it, before its internals are imported

from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

from tfft.errors import ModelFileError
from tfft.system.damage import reading


def require_intact_graph(directory: Path, what: str) -> None:
    """Requires that ``saved_model.pb`` is the file that ``fingerprint.pb`` was written for.

    A SavedModel of an older TensorFlow has no such file, and nothing is required of it.

    Args:
        directory: Directory with ``saved_model.pb``.
        what: Name of the module or model in messages.

    Raises:
        ModelFileError: One of the two files is damaged.
    """
    file = directory / "fingerprint.pb"
    if not file.is_file():
        return
    with reading(file, "the fingerprint of a SavedModel", error=ModelFileError):
        recorded = FingerprintDef.FromString(file.read_bytes()).saved_model_checksum
    with reading(directory / "saved_model.pb", "a SavedModel", error=ModelFileError):
        found = FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(str(directory)))
    if recorded not in (0, found.saved_model_checksum):
        raise ModelFileError(
            f"{what} is damaged: its saved_model.pb is not the one that {file} was written for. "
            "Put back a copy, or make it again"
        )
