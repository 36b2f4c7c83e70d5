"""Uncompressed BMP files: which are read, and their pixels, with numpy alone.

`tfft.data.graph.bmp` reads the same files by the same rules in TensorFlow.
Source: Microsoft, BITMAPFILEHEADER and BITMAPINFOHEADER.
"""

import numpy as np

from tfft.errors import DataError

BITS = (1, 4, 8, 24, 32)
# The bit fields of 32 bits a pixel that mean the same as none: blue, green, red.
BGR_MASKS = bytes.fromhex("0000ff00 00ff0000 ff000000")
BIT_FIELDS = 3
SMALLEST_HEADER = 40


def bmp_size(encoded: bytes) -> tuple[int, int]:
    """Returns the (height, width) that the header announces; a width below zero counts as 0.

    Raises:
        DataError: It is a header of an old kind, which has them elsewhere.
    """
    if _number(encoded[14:18]) < SMALLEST_HEADER:
        raise DataError("a BMP image of an old kind")
    height, width = _number(encoded[22:26], signed=True), _number(encoded[18:22], signed=True)
    return abs(height), max(width, 0)


def check_bmp(encoded: bytes) -> None:
    """Checks that `decode_bmp` can read a file.

    Raises:
        DataError: It is compressed, of an old kind, has other than 1, 4, 8, 24 or 32 bits a pixel,
            or is truncated.
    """
    height, width = bmp_size(encoded)
    bits, compression = _number(encoded[28:30]), _number(encoded[30:34])
    if bits not in BITS:
        raise DataError(f"a BMP image with {bits} bits a pixel")
    has_bgr_masks = compression == BIT_FIELDS and encoded[54:66] == BGR_MASKS
    if compression and not (bits == 32 and has_bgr_masks):
        raise DataError("a compressed BMP image; only uncompressed ones are read")
    if _number(encoded[10:14]) + _row_bytes(bits, width) * height > len(encoded):
        raise DataError("a broken BMP image: the file is truncated")


def decode_bmp(encoded: bytes) -> np.ndarray:
    """Decodes a file that `check_bmp` accepts to uint8 [height, width, 3], RGB."""
    height, width = bmp_size(encoded)
    start, bits = _number(encoded[10:14]), _number(encoded[28:30])
    row_bytes = _row_bytes(bits, width)
    content = np.frombuffer(encoded, np.uint8)
    rows = content[start : start + row_bytes * height].reshape(height, row_bytes)
    if bits <= 8:
        table = content[14 + _number(encoded[14:18]) : start]
        colours = np.zeros((256, 3), np.uint8)
        entries = table[: len(table) // 4 * 4].reshape(-1, 4)[:256, :3]
        colours[: len(entries)] = entries
        image = colours[_indices(rows, bits)[:, :width]]
    else:
        image = rows[:, : width * (bits // 8)].reshape(height, width, bits // 8)[..., :3]
    if _number(encoded[22:26], signed=True) > 0:
        image = image[::-1]
    return np.ascontiguousarray(image[..., ::-1])


def _indices(rows: np.ndarray, bits: int) -> np.ndarray:
    """Returns the palette indices, uint8 [height, at least width], packed 8/bits to a byte."""
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    return (rows[..., None] >> shifts & (1 << bits) - 1).astype(np.uint8).reshape(len(rows), -1)


def _row_bytes(bits: int, width: int) -> int:
    return (bits * width + 31) // 32 * 4


def _number(field: bytes, signed: bool = False) -> int:
    return int.from_bytes(field, "little", signed=signed)
