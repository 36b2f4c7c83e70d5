"""The pictures that the files of `tests/old_formats` were made with, the same bytes everywhere."""

import struct
from pathlib import Path

import numpy as np

SIZE_PX = 16
EACH = 8
CLASSES = ("blue", "green", "red")


def write_pictures(root: Path) -> Path:
    """Writes `EACH` noisy pictures of every class as uncompressed BMP, whose bytes never change."""
    for number, label in enumerate(CLASSES):
        (root / label).mkdir(parents=True)
        for image in range(EACH):
            noise = np.random.RandomState(100 * number + image)  # a stream that NumPy keeps
            pixels = noise.randint(0, 120, (SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
            pixels[..., number] += 100
            (root / label / f"{image}.bmp").write_bytes(_bmp(pixels))
    return root


def _bmp(bgr: np.ndarray) -> bytes:
    content = bgr[::-1].tobytes()  # rows of 48 bytes need no padding
    header = struct.pack("<IiiHHIIiiII", 40, SIZE_PX, SIZE_PX, 1, 24, 0, len(content), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(content), 0, 0, 54) + header + content
