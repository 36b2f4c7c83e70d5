"""scikit-learn's handwritten digits, written once as PNG files in one folder a class."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tfft.config.data import DigitsData
from tfft.data.dataset import Source
from tfft.data.sources.folder import images_in_folders
from tfft.errors import TfftError
from tfft.system.caches import cache_place
from tfft.system.files import atomic_directory
from tfft.system.progress import Progress

_LICENCE = "CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits, test set)"


def digits_source(config: DigitsData, targets: Mapping[str, str], progress: Progress) -> Source:
    """Lists 1,797 grey images of 8x8 pixels in ten classes, about 180 of each.

    Source: E. Alpaydin, C. Kaynak 1998, as `sklearn.datasets.load_digits` has them; its values
    0..16 become 0..255.
    """
    path = cache_place("datasets", "digits-1")
    if not path.is_dir():
        _write_digits(path)
    source = images_in_folders(path)
    return Source(
        name="digits",
        index=source.index,
        splits=source.splits,
        class_names=source.class_names,
        licence=_LICENCE,
    )


def _write_digits(path: Path) -> None:
    from sklearn.datasets import load_digits  # takes a second to import

    digits = load_digits()
    try:
        with atomic_directory(path) as directory:
            for label in range(10):
                (directory / str(label)).mkdir()
            for number, (values, label) in enumerate(
                zip(digits.images, digits.target, strict=True)
            ):
                content = io.BytesIO()
                grey = np.rint(values * (255 / 16)).astype(np.uint8)
                Image.fromarray(grey).save(content, "PNG")
                (directory / str(label) / f"{number:04}.png").write_bytes(content.getvalue())
    except TfftError:
        if not path.is_dir():  # unless another process has written it meanwhile
            raise
