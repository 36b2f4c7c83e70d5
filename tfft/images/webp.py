"""WebP files without TensorFlow: the still image in them, found as libwebp's decoder finds it."""

import struct

from tfft.errors import DataError

_ANIMATED = 2
_ALPHA = 16


def webp_size(encoded: bytes) -> tuple[int, int]:
    """Returns the (height, width) that the header announces, or (0, 0)."""
    chunk = encoded[12:16]
    if chunk == b"VP8X":
        return _number(encoded[27:30]) + 1, _number(encoded[24:27]) + 1
    if chunk == b"VP8L":
        bits = _number(encoded[21:25])
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return _number(encoded[28:30]) & 0x3FFF, _number(encoded[26:28]) & 0x3FFF
    return 0, 0


def plain_webp(encoded: bytes) -> bytes:
    """Returns a WebP file with the same image and alpha and nothing else.

    Raises:
        DataError: The image is animated (TensorFlow 2.21's reader corrupts memory on one), broken
            or truncated.
    """
    encoded += bytes(len(encoded) % 2)
    riff_size = _number(encoded[4:8])
    if not 12 <= riff_size <= len(encoded) - 8:
        raise _broken("the file is truncated")
    is_extended = encoded[12:16] == b"VP8X"
    if is_extended and encoded[20] & _ANIMATED:
        raise DataError("an animated WebP image; only still ones are read")
    position, alpha = _image_chunk(encoded, riff_size) if is_extended else (12, b"")
    name = encoded[position : position + 4]
    size = _number(encoded[position + 4 : position + 8])
    if size > min(riff_size - 12, len(encoded) - position - 8):
        raise _broken("the file is truncated")
    # libwebp goes on to the end of the file where lossy data need more than their chunk has.
    content = encoded[position + 8 :]
    if name == b"VP8 " and _number(content[:3]) >> 5 >= size:
        raise _broken("its header cannot be read")
    image = _chunk(name, content)
    if is_extended and webp_size(bytes(12) + image) != webp_size(encoded):
        raise _broken("its header announces another size than its image has")
    if alpha:
        image = _chunk(b"VP8X", bytes([_ALPHA, 0, 0, 0]) + encoded[24:30]) + alpha + image
    return b"RIFF" + struct.pack("<I", 4 + len(image)) + b"WEBP" + image


def _image_chunk(encoded: bytes, riff_size: int) -> tuple[int, bytes]:
    """Returns where the chunk of the image begins, and the last ALPH chunk before it."""
    if _number(encoded[16:20]) != 10:
        raise _broken("its header cannot be read")
    position, alpha = 30, b""
    while position + 8 <= len(encoded):
        name = encoded[position : position + 4]
        size = _number(encoded[position + 4 : position + 8])
        end = position + 8 + size + size % 2
        if end - 8 > riff_size:
            break
        if name in (b"VP8 ", b"VP8L"):
            return position, alpha if name == b"VP8 " else b""
        if name == b"ALPH":
            alpha = _chunk(name, encoded[position + 8 : position + 8 + size])
        position = end
    raise _broken("the file is truncated")


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _broken(what: str) -> DataError:
    return DataError(f"a broken WebP image: {what}")


def _number(field: bytes) -> int:
    return int.from_bytes(field, "little")
