"""TIFF files: the first page of those whose samples have a range, and nothing else of them.

A TIFF can announce anything. So its first directory is read here, and what Pillow gets is the file
with a directory that has what pixels depend on and no more: no further pages, no loops of
directories, no profiles or texts, no orientation (it is applied with that of other formats).

Source: Adobe, TIFF Revision 6.0, and its Technical Notes 1 and 2.
"""

import contextlib
import ctypes
import io
import struct
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from PIL import Image

from tfft.errors import DataError

_Order = Literal["little", "big"]
_MARKS: dict[bytes, _Order] = {b"II*\0": "little", b"MM\0*": "big"}
# Bytes of a value of each type of field.
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SHORT, _LONG = 3, 4
_WHOLE_NUMBERS = (1, _SHORT, _LONG)
_HEADER, _ENTRY = 8, 12

_REDUCED, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_SAMPLES, _PLANES, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 277, 284, 322, 323, 339
_SUB_DIRECTORIES, _DNG_VERSION = 330, 50706
_SINGLE = {
    *(_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES, _TILE_WIDTH, _TILE_HEIGHT),
    *(266, 278, 317),
}
# Where strips and tiles lie.
_OFFSETS = (273, 324)
# What pixels depend on: also where they lie, how CCITT, LZW and JPEG data are to be read, colours.
_KEPT = {
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES, _SAMPLE_FORMAT),
    *(266, 278, 279, 292, 293, 317, 320, _TILE_WIDTH, _TILE_HEIGHT, 325, 338, 347, 530, 532),
    *_OFFSETS,
}
# None, CCITT (Huffman, group 3, group 4), LZW, JPEG, Deflate, PackBits, Deflate again, Zstandard.
_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000)
_WHITE_IS_ZERO, _YCBCR = 0, 6
# White is zero, black is zero, RGB, palette, CMYK, YCbCr.
_PHOTOMETRICS = (_WHITE_IS_ZERO, 1, 2, 3, 5, _YCBCR)
_DEPTHS = (1, 2, 4, 8, 16)
_MOST_SAMPLES = 6
# A tile may reach beyond the image, but not by much.
_LARGEST_TILE = 80_000_000


@dataclass(frozen=True)
class _Directory:
    """The first directory: by tag, the type, the number of values, and the bytes that hold them."""

    order: _Order
    fields: dict[int, tuple[int, int, bytes]]

    def numbers(self, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the whole numbers of a field, seven at most."""
        if tag not in self.fields:
            return default
        kind, count, content = self.fields[tag]
        if kind not in _WHOLE_NUMBERS or not count:
            raise _broken("its header cannot be read")
        size = _BYTES[kind]
        ends = range(size, min(len(content), size * (_MOST_SAMPLES + 1)) + 1, size)
        return tuple(int.from_bytes(content[end - size : end], self.order) for end in ends)

    def number(self, tag: int, default: int) -> int:
        """Returns the first whole number of a field."""
        return self.numbers(tag, (default,))[0]


def tiff_size(encoded: bytes) -> tuple[int, int]:
    """Returns the (height, width) that the first directory announces, before it is turned.

    Raises:
        DataError: It cannot be read.
    """
    directory = _first_directory(encoded)
    return directory.number(_HEIGHT, 0), directory.number(_WIDTH, 0)


def open_tiff(encoded: bytes) -> Image.Image:
    """Decodes the first page of a file of a size that was checked; it is not turned.

    Raises:
        DataError: See `_plain_tiff`, which says what is read; and whatever Pillow raises.
    """
    plain = _plain_tiff(encoded)
    _silence_libtiff()
    try:
        image = Image.open(io.BytesIO(plain), formats=("TIFF",))
    except Image.UnidentifiedImageError as error:
        raise DataError("a TIFF image of colours or samples that are not read") from error
    image.load()
    return image


@cache
def _silence_libtiff() -> None:
    """Keeps libtiff from writing what is wrong with a file to stderr, past all of Python.

    Pillow 12 leaves its handlers as they are. Where the functions cannot be found (Windows, whose
    Pillow has libtiff inside), it goes on writing.
    """
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(Image.core.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            set_handler = getattr(library, name)
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)


def is_negative(encoded: bytes) -> bool:
    """Returns whether 0 is white in samples of 16 bits; `open_tiff` leaves them as they are."""
    directory = _first_directory(encoded)
    is_white = directory.number(_PHOTOMETRIC, _WHITE_IS_ZERO) == _WHITE_IS_ZERO
    return is_white and directory.number(_BITS, 1) == 16


def _plain_tiff(encoded: bytes) -> bytes:
    """Returns a TIFF file with the pixels of the first page, not turned, and nothing else.

    Raises:
        DataError: The file is broken, or of a kind that is not read: compressed in a rare way, of
            other samples than 1, 2, 4, 8 or 16 bits without a sign, of rare colours, or the raw
            file of a camera.
    """
    directory = _first_directory(encoded)
    _require_readable(directory)
    mark = "<" if directory.order == "little" else ">"
    kept = {tag: field for tag, field in sorted(directory.fields.items()) if tag in _KEPT}
    if is_negative(encoded):  # Pillow knows them in one order of bytes only
        kept[_PHOTOMETRIC] = (_SHORT, 1, struct.pack(f"{mark}H", 1))
    # The new directory goes before the file, so that what is missing at its end stays missing.
    values = _HEADER + 2 + _ENTRY * len(kept) + 4
    moved = values + sum(4 + _BYTES[_LONG] * count for _, count, _ in kept.values())
    moved += sum(len(content) for _, _, content in kept.values())
    entries, behind = b"", b""
    for tag, (kind, count, values_of_tag) in kept.items():
        is_offset = tag in _OFFSETS
        content = _moved(kind, values_of_tag, mark, moved) if is_offset else values_of_tag
        place = content.ljust(4, b"\0")
        if len(content) > 4:
            place = struct.pack(f"{mark}I", values + len(behind))
            behind += content + bytes(len(content) % 2)
        entries += struct.pack(f"{mark}HHI", tag, _LONG if is_offset else kind, count) + place
    directory_bytes = struct.pack(f"{mark}H", len(kept)) + entries + bytes(4) + behind
    head = encoded[:4] + struct.pack(f"{mark}I", _HEADER) + directory_bytes
    return head.ljust(moved, b"\0") + encoded


def _moved(kind: int, content: bytes, mark: str, by: int) -> bytes:
    """Returns offsets in a file that begins `by` bytes later, as LONG values."""
    if kind not in (_SHORT, _LONG):
        raise _broken("its header cannot be read")
    offsets = np.frombuffer(content, f"{mark}u{_BYTES[kind]}").astype(np.int64) + by
    return np.minimum(offsets, 2**32 - 1).astype(f"{mark}u4").tobytes()


def _broken(what: str) -> DataError:
    return DataError(f"a broken TIFF image: {what}")


def _first_directory(encoded: bytes) -> _Directory:
    order = _MARKS[encoded[:4]]

    def number(start: int, size: int) -> int:
        return int.from_bytes(encoded[start : start + size], order)

    start = number(4, 4)
    entries = range(start + 2, start + 2 + _ENTRY * number(start, 2), _ENTRY)
    if start < 8 or not entries or entries[-1] + _ENTRY > len(encoded):
        raise _broken("its header cannot be read")
    fields: dict[int, tuple[int, int, bytes]] = {}
    for entry in entries:
        tag, kind, count = number(entry, 2), number(entry + 2, 2), number(entry + 4, 4)
        size = _BYTES.get(kind, 0) * count
        place = number(entry + 8, 4) if size > 4 else entry + 8
        if tag not in _KEPT:
            fields.setdefault(tag, (kind, count, encoded[place : place + min(size, 4)]))
            continue
        if not size or (tag in _SINGLE and count != 1):
            raise _broken("its header cannot be read")
        if place + size > len(encoded):
            raise _broken("the file is truncated")
        fields.setdefault(tag, (kind, count, encoded[place : place + size]))
    return _Directory(order, fields)


def _require_readable(directory: _Directory) -> None:
    is_reduced = directory.number(_REDUCED, 0) & 1 and _SUB_DIRECTORIES in directory.fields
    if is_reduced or _DNG_VERSION in directory.fields:
        raise DataError("the raw file of a camera; develop it to JPEG, PNG or TIFF")
    compression = directory.number(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise DataError(f"a TIFF image compressed by method {compression}, which is not read")
    photometric = directory.number(_PHOTOMETRIC, _WHITE_IS_ZERO)
    is_raw_ycbcr = photometric == _YCBCR and compression == 1
    if photometric not in _PHOTOMETRICS or is_raw_ycbcr:
        raise DataError(f"a TIFF image of colours of kind {photometric}, which are not read")
    bits = directory.numbers(_BITS, (1,))
    has_sign = set(directory.numbers(_SAMPLE_FORMAT, (1,))) != {1}
    if has_sign or len(set(bits)) > 1 or bits[0] not in _DEPTHS:
        raise DataError(
            f"a TIFF image of {'signed or floating' if has_sign else f'{max(bits)}-bit'} samples; "
            "those of 1, 2, 4, 8 and 16 bits from 0 on are read"
        )
    samples = directory.number(_SAMPLES, len(bits))
    if not len(bits) <= samples <= _MOST_SAMPLES:
        raise DataError(f"a TIFF image of {samples:,} samples a pixel, which are not read")
    if directory.number(_PLANES, 1) != 1 and bits[0] != 8:
        raise DataError(f"a TIFF image with a plane a colour, of {bits[0]} bits, which is not read")
    tile = directory.number(_TILE_WIDTH, 0) * directory.number(_TILE_HEIGHT, 0)
    if tile > _LARGEST_TILE:
        raise _broken(f"it announces tiles of {tile:,} pixels")
