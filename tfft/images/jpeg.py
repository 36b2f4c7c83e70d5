"""JPEG files without TensorFlow: their segments, their end, and what in them is corrupt."""

import io
import re
from typing import Any

import numpy as np
from PIL import Image

from tfft.errors import DataError

# More than any encoder writes; every scan of a progressive image costs as much as an image.
MAX_SCANS = 100
COEFFICIENTS = 64
# Steps over segments and padding that are gone for the EXIF orientation or the frame.
MAX_STEPS = 1000
SCAN = b"\xff\xda"
PROGRESSIVE = frozenset({0xC2, 0xCA})

_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_END = b"\xff\xd9"
_START, _ADOBE, _COMMENT = 0xD8, 0xEE, 0xFE
# Application data and comments, but for JFIF's and Adobe's, which say what the colours mean.
_NO_PIXELS = frozenset({*range(0xE1, 0xF0), _COMMENT} - {_ADOBE})
# In image data 0xFF stands before a zero, a restart mark, or the marker that ends them. To look for
# `\xff+` would take twenty times as long: nothing then tells where a match can begin.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Decoders pass over lower markers that stand in image data with restart marks.
_LOWEST = 0xC0
# A decoder holds up to eight bytes that it has not used yet.
_AHEAD = 8


def jpeg_segments(encoded: bytes) -> list[tuple[int, int, int]]:
    """Returns (marker, start, length) of the segments before the image data of a JPEG.

    `start` is where the content after the length field begins. The walk ends at the image data
    (SOS), at a second SOI, at EOI, and at the first thing that is no segment.
    """
    return _walk(encoded, is_forgiving=False)[0]


def _walk(encoded: bytes, is_forgiving: bool) -> tuple[list[tuple[int, int, int]], int]:
    """Returns the segments, and where they end; forgiving, what is none is passed over."""
    segments = []
    position, steps = 2, 0
    while position + 4 <= len(encoded) and (is_forgiving or steps < MAX_STEPS):
        steps += 1
        marker = encoded[position + 1]
        if encoded[position] != 0xFF or marker == 0:
            if not is_forgiving:
                break
            following = encoded.find(b"\xff", position + 1)
            position = following if following > 0 else len(encoded)
        elif marker == 0xFF:
            position += 1
        elif marker in _WITHOUT_LENGTH:
            position += 2
        elif marker in (_START, _END[1], SCAN[1]):
            break
        else:
            length = encoded[position + 2] << 8 | encoded[position + 3]
            segments.append((marker, position + 4, length - 2))
            position += 2 + (length if length > 2 else 2)
    return segments, position


def jpeg_size(encoded: bytes) -> tuple[int, int]:
    """Returns the (height, width) that the header announces, or (0, 0)."""
    for marker, start, _ in _walk(encoded, is_forgiving=True)[0]:
        if marker in _FRAME:
            return _number(encoded[start + 1 : start + 3]), _number(encoded[start + 3 : start + 5])
    return 0, 0


def has_adobe_marker(encoded: bytes) -> bool:
    """Returns whether the header says, as Adobe's does, that inks are stored inverted."""
    return any(
        marker == _ADOBE and length >= 12 and encoded[start : start + 5] == b"Adobe"
        for marker, start, length in _walk(encoded, is_forgiving=True)[0]
    )


def plain_jpeg(encoded: bytes) -> bytes:
    """Returns the file without the segments that no pixel depends on.

    Raises:
        DataError: The file has no end mark, or is a progressive image whose scans are too many, or
            too few to give all coefficients: decoders guess what is missing, each in its own way.
    """
    for marker, start, _ in jpeg_segments(encoded):
        if marker in PROGRESSIVE:
            _check_scans(encoded[start:])
    segments, position = _walk(encoded, is_forgiving=True)
    if not _ends(encoded, position):
        raise DataError("a broken JPEG image: the file is truncated")
    kept = [
        encoded[start - 4 : start + max(length, 0)]
        for marker, start, length in segments
        if marker not in _NO_PIXELS
    ]
    return b"".join([encoded[:2], *kept, encoded[position:]])


def decoded_corruption(plain: bytes) -> str:
    """Decodes a JPEG to an eighth of its size, and says what is corrupt in its image data.

    Decoders fill up what is missing and pass over what is left without reporting it. So the
    decoder is given the data of a sequential image in pieces: all but their end, their end, the end
    mark. It must ask for the second, and must not need the third. What lies within eight bytes of
    the end isn't seen, nor what is wrong in images of several scans.

    Args:
        plain: A file as `plain_jpeg` returns it.

    Returns:
        What is wrong, "" if nothing is.

    Raises:
        Exception: Pillow's, where it can't decode the image.
    """
    image: Any = Image.open(io.BytesIO(plain), formats=("JPEG",))
    image.draft(None, (1, 1))
    end = _data_end(plain)
    if not end:
        image.load()
        return ""
    pieces = [plain[: end - 2], plain[end - 2 : end] + bytes(_AHEAD), plain[end:]]
    image.fp = _Pieces(pieces)
    image.load()
    return {2: "its data go on after the last pixel", 0: "its data end before the last pixel"}.get(
        len(pieces), ""
    )


class _Pieces(io.BytesIO):
    """A file that is read piece by piece, whatever is asked for; those that are read go.

    It stands for a file of which the header has been read: that takes many calls.
    """

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__()
        self._pieces = pieces

    def read(self, size: int | None = -1, /) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def stray_bytes(encoded: bytes) -> str:
    """Says whether bytes stand between the segments, "" if none do; decoders pass over them."""
    ends = [_walk(encoded, is_forgiving)[1] for is_forgiving in (False, True)]
    return "" if ends[0] == ends[1] else "there are bytes between its segments"


def _ends(encoded: bytes, position: int) -> bool:
    """Returns whether there is an end mark after the image data, which begin at `position`."""
    while found := _MARKER.search(encoded, position):
        position = found.end()
        marker = encoded[position - 1]
        if marker == _END[1]:
            return True
        if marker >= _LOWEST:
            position += _number(encoded[position : position + 2])
    return False


def _data_end(encoded: bytes) -> int:
    """Returns where the data of a sequential image in one scan end, or 0."""
    segments, scan = _walk(encoded, is_forgiving=False)
    is_sequential = any(marker in _SEQUENTIAL for marker, _, _ in segments)
    if not is_sequential or encoded[scan : scan + 2] != SCAN:
        return 0
    start = scan + 2 + _number(encoded[scan + 2 : scan + 4])
    found = _MARKER.search(encoded, start)
    if found is None or found[0] != _END:
        return 0
    end = found.start()
    while end > start and encoded[end - 1] == 0xFF:  # fill bytes before the marker
        end -= 1
    return end if end >= start + 2 else 0


def _check_scans(frame: bytes) -> None:
    """Checks that the scans of a progressive image give every coefficient to its last bit.

    Args:
        frame: The file from the content of its frame segment on.
    """
    scans = frame.split(SCAN)[1:]
    if len(scans) > MAX_SCANS:
        raise DataError(f"a JPEG image in {len(scans)} scans; at most {MAX_SCANS} are read")
    missing = np.ones((256, COEFFICIENTS), np.int64)
    for scan in scans:
        head = np.zeros(16, np.int64)
        head[: len(scan)] = np.frombuffer(scan[:16], np.uint8)
        count = min(int(head[2]), 4)
        first, last, bits = head[3 + 2 * count : 6 + 2 * count]
        missing[head[3 : 3 + 2 * count : 2], first : last + 1] = bits % 16
    components = np.frombuffer(frame[6 : 6 + 3 * frame[5] : 3], np.uint8)
    if missing[components].any():
        raise DataError("a broken JPEG image: the last scans of a progressive image are missing")


def _number(field: bytes) -> int:
    return int.from_bytes(field, "big")
