"""What an encoded image says about itself before it is decoded: its format and its size."""

import zlib

from tfft.errors import DataError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")

# More pixels than any camera photo (10,000 x 8,000), and below the number at which Pillow warns.
MAX_PIXELS = 80_000_000

# The bit fields of a BMP with 32 bits a pixel that mean the same as none: blue, green, red.
_BGR_MASKS = bytes.fromhex("0000ff00 00ff0000 ff000000")

_JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_SIZE = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def image_format(encoded: bytes) -> str:
    """Returns which of `FORMATS` the first bytes announce; names and extensions say nothing.

    Raises:
        DataError: They announce none of them; the message says what they look like, if known.
    """
    if encoded[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if encoded[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if encoded[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if encoded[:2] == b"BM":
        return "BMP"
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        return "WEBP"
    raise DataError(f"{_appearance(encoded)}; allowed are JPEG, PNG, WebP, BMP and GIF")


def _appearance(encoded: bytes) -> str:
    if not encoded:
        return "the file is empty"
    if encoded[4:8] == b"ftyp":
        return "a HEIF or AVIF image, or a video"
    if encoded[:4] in (b"II*\0", b"MM\0*"):
        return "a TIFF image"
    start = encoded[:64]
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in start):
        return "text, not an image"
    return "not an image"


def check_size(encoded: bytes, kind: str) -> None:
    """Refuses an image whose header announces more than `MAX_PIXELS`, before it is decoded.

    Raises:
        DataError: It is too large.
    """
    height, width = announced_size(encoded, kind)
    if height * width > MAX_PIXELS:
        raise DataError(
            f"{width}x{height} pixels are more than the {MAX_PIXELS:,} allowed (a decompression "
            f"bomb?)"
        )


def check_variant(encoded: bytes, kind: str) -> None:
    """Refuses what Pillow would read and TensorFlow cannot.

    Raises:
        DataError: The image is an animated WebP (TensorFlow 2.21's reader corrupts memory on it), a
            PNG, GIF or BMP without its end, or a BMP that is compressed or has other than 1, 4, 8,
            24 or 32 bits a pixel.
    """
    if kind == "PNG":
        _check_png_chunks(encoded)
    if kind == "WEBP" and encoded[12:16] == b"VP8X" and _little(encoded[20:21]) & 2:
        raise DataError("an animated WebP image; only still ones are read")
    if kind == "BMP":
        bits, compression = _little(encoded[28:30]), _little(encoded[30:34])
        if _little(encoded[14:18]) < 40 or bits not in (1, 4, 8, 24, 32):
            raise DataError(f"a BMP image of an old kind or with {bits} bits a pixel")
        if compression and not (compression == 3 and encoded[54:66] == _BGR_MASKS):
            raise DataError("a compressed BMP image; only uncompressed ones are read")
        height, width = announced_size(encoded, kind)
        if _little(encoded[10:14]) + (bits * width + 31) // 32 * 4 * height > len(encoded):
            raise DataError("a broken BMP image: the file is truncated")


def gif_frames(encoded: bytes) -> list[tuple[int, int, int, int]]:
    """Returns (left, top, width, height) of every frame of a GIF.

    Raises:
        DataError: The file ends before its end mark, or has no frame.
    """
    frames = []
    position = 13 + _colour_table_size(encoded[10:11])
    while encoded[position : position + 1] in (b"!", b","):
        if encoded[position : position + 1] == b",":
            box = encoded[position + 1 : position + 9]
            frames.append(tuple(_little(box[i : i + 2]) for i in (0, 2, 4, 6)))
            position += 11 + _colour_table_size(encoded[position + 9 : position + 10])
        else:
            position += 2
        while position < len(encoded) and encoded[position]:
            position += 1 + encoded[position]
        position += 1
    if not frames or encoded[position : position + 1] != b";":
        raise DataError("a broken GIF image: the file is truncated")
    return frames


def _colour_table_size(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _check_png_chunks(encoded: bytes) -> None:
    position = 8
    while position + 12 <= len(encoded):
        end = position + 12 + _big(encoded[position : position + 4])
        name = encoded[position + 4 : position + 8]
        is_critical = name[:1].isupper()
        if is_critical and zlib.crc32(encoded[position + 4 : end - 4]) != _big(
            encoded[end - 4 : end]
        ):
            raise DataError("a broken PNG image: a checksum is wrong")
        if name == b"IEND":
            return
        position = end
    raise DataError("a broken PNG image: the file is truncated")


def announced_size(encoded: bytes, kind: str) -> tuple[int, int]:
    """Returns (height, width) from the header of an image of format `kind`, or (0, 0)."""
    if kind == "JPEG":
        return _jpeg_size(encoded)
    if kind == "PNG":
        return _big(encoded[20:24]), _big(encoded[16:20])
    if kind == "GIF":
        widths, heights = zip(*((w, h) for _, _, w, h in gif_frames(encoded)), strict=True)
        return (
            max(_little(encoded[8:10]), *heights, 0),
            max(_little(encoded[6:8]), *widths, 0),
        )
    if kind == "BMP":
        return abs(_little(encoded[22:26], signed=True)), abs(_little(encoded[18:22], signed=True))
    return _webp_size(encoded)


def jpeg_segments(encoded: bytes) -> list[tuple[int, int, int]]:
    """Returns (marker, start, length) of the segments before the image data of a JPEG.

    `start` is where the content after the length field begins. The walk ends at the image data
    (SOS), at EOI, and at the first thing that is no segment.
    """
    segments = []
    position = 2
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        elif marker in (0xD9, 0xDA):
            break
        else:
            length = _big(encoded[position + 2 : position + 4])
            segments.append((marker, position + 4, length - 2))
            position += 2 + max(length, 2)
    return segments


def _jpeg_size(encoded: bytes) -> tuple[int, int]:
    for marker, start, _ in jpeg_segments(encoded):
        if marker in _JPEG_SIZE:
            return _big(encoded[start + 1 : start + 3]), _big(encoded[start + 3 : start + 5])
    return 0, 0


def _webp_size(encoded: bytes) -> tuple[int, int]:
    chunk = encoded[12:16]
    if chunk == b"VP8X":
        return _little(encoded[27:30]) + 1, _little(encoded[24:27]) + 1
    if chunk == b"VP8L":
        bits = _little(encoded[21:25])
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    return _little(encoded[28:30]) & 0x3FFF, _little(encoded[26:28]) & 0x3FFF


def _big(field: bytes) -> int:
    return int.from_bytes(field, "big")


def _little(field: bytes, signed: bool = False) -> int:
    return int.from_bytes(field, "little", signed=signed)
