"""Which way up a photo is: the EXIF orientation, by rules that TensorFlow repeats in its graph.

Read from the first APP1 segment of a JPEG that begins with ``Exif\\0\\0`` and lies, as the standard
wants it, before any segment that is neither application data nor a comment: the TIFF header in
either byte order, its first directory, the first entry with tag 0x0112, type SHORT and one value.
Anything that is malformed, missing, or not 1..8 means 1: as it is. Of the formats that TensorFlow
reads, orientation is honoured in JPEG files only, where cameras write it.

Source: CIPA DC-008 (Exif 2.32), sections 4.5 and 4.6.
"""

import numpy as np

from tfft.images.jpeg import jpeg_segments

_APP1 = 0xE1
_BEFORE_THE_IMAGE = frozenset({*range(0xE0, 0xF0), 0xFE})  # APP0..APP15 and COM
_SHORT = 3
_ORIENTATION = 0x0112


def exif_orientation(encoded: bytes) -> int:
    """Returns the EXIF orientation, 1..8, of a JPEG; 1 of an image of another format."""
    if encoded[:3] != b"\xff\xd8\xff":
        return 1
    for marker, start, _ in jpeg_segments(encoded):
        if marker not in _BEFORE_THE_IMAGE:
            break
        if marker == _APP1 and encoded[start : start + 6] == b"Exif\0\0":
            return tiff_orientation(encoded[start + 6 :])
    return 1


def tiff_orientation(tiff: bytes) -> int:
    """Returns the orientation, 1..8, in the first directory of TIFF data."""
    if tiff[:4] == b"II*\0":
        order = "little"
    elif tiff[:4] == b"MM\0*":
        order = "big"
    else:
        return 1
    directory = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[directory : directory + 2], order)
    entries = tiff[directory + 2 : directory + 2 + 12 * count]
    for start in range(0, len(entries) - 11, 12):
        tag, kind = (int.from_bytes(entries[start + i : start + i + 2], order) for i in (0, 2))
        values = int.from_bytes(entries[start + 4 : start + 8], order)
        if tag == _ORIENTATION and kind == _SHORT and values == 1:
            orientation = int.from_bytes(entries[start + 8 : start + 10], order)
            return orientation if 1 <= orientation <= 8 else 1
    return 1


def turned_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Returns the [h, w, c] image as its EXIF orientation (1..8) wants it seen."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image
