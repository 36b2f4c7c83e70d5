"""The first frame of a GIF file without TensorFlow; whatever follows it is not read.

`tfft.data.graph.gif` finds the frame by the same rules in TensorFlow, where giflib decodes it. The
picture is as large as the screen that the file announces, or larger where the frame reaches beyond
it, and black where the frame is transparent or does not reach.

Source: CompuServe, GIF89a specification.
"""

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfft.errors import DataError

# Steps in which the blocks of data up to the end of the frame are gone over: a step is a block, or
# up to `RUN` full ones.
MAX_STEPS = 40_000
RUN = 1024
_FULL_BLOCK = 255
_CODES = 4096
_UNDEFINED = _CODES + 2
_WIDEST_FIRST, _WIDEST = 8, 12


@dataclass(frozen=True)
class _Frame:
    """The first frame: its place on the screen, its colours uint8 [n, 3], and its file."""

    left: int
    top: int
    width: int
    height: int
    is_interlaced: bool
    colours: np.ndarray
    transparent: int | None
    data: bytes


def gif_size(encoded: bytes) -> tuple[int, int]:
    """Returns (height, width) of the screen, or of what holds it and the first frame.

    Raises:
        DataError: The file ends before its first frame does.
    """
    return _screen(encoded, _first_frame(encoded))


def decode_gif(encoded: bytes) -> np.ndarray:
    """Decodes the first frame to uint8 [height, width, 3], RGB, on a black screen.

    Raises:
        DataError: The file is broken or truncated before the end of its first frame.
    """
    frame = _first_frame(encoded)
    indices = _indices(frame)
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(frame.colours)] = frame.colours
    has_colour = indices < len(frame.colours)
    if frame.transparent is not None:
        colours[frame.transparent] = 0
        has_colour |= indices == frame.transparent
    if not has_colour.all():
        raise _broken("it uses colours that it does not have")
    image = np.zeros((*_screen(encoded, frame), 3), np.uint8)
    bottom, right = frame.top + frame.height, frame.left + frame.width
    image[frame.top : bottom, frame.left : right] = colours[indices]
    return image


def _broken(what: str) -> DataError:
    return DataError(f"a broken GIF image: {what}")


def _screen(encoded: bytes, frame: _Frame) -> tuple[int, int]:
    width, height = _number(encoded[6:8]), _number(encoded[8:10])
    return max(height, frame.top + frame.height), max(width, frame.left + frame.width)


def _first_frame(encoded: bytes) -> _Frame:
    start, end, control = _walk(encoded)
    left, top, width, height = (_number(encoded[start + i : start + i + 2]) for i in (1, 3, 5, 7))
    flags = encoded[start + 9]
    after = start + 10
    table = encoded[13 : 13 + _table_bytes(encoded[10])]
    if local := _table_bytes(flags):
        table = encoded[after : after + local]
    if not table or not width or not height:
        raise _broken("its first frame has no colours or no size")
    transparent = None
    if control and encoded[control + 3] & 1:
        transparent = encoded[control + 6]
    colours = np.frombuffer(table, np.uint8).reshape(-1, 3)
    data = encoded[after + local : end]
    is_interlaced = bool(flags & 0x40)
    return _Frame(left, top, width, height, is_interlaced, colours, transparent, data)


def _walk(encoded: bytes) -> tuple[int, int, int]:
    """Returns where the first frame starts and ends, and where its control block starts, or 0.

    A control block counts if it is the first and has four bytes. The end is after the empty block
    that ends the data of the frame.
    """
    position = 13 + _table_bytes(encoded[10] if len(encoded) > 10 else 0)
    start = control = 0
    has_control = in_data = False
    for _ in range(MAX_STEPS):
        head = encoded[position : position + 10]
        if not head:
            break
        if in_data:
            position += _block_bytes(encoded, position)
            in_data = head[0] != 0
            if start and not in_data and position <= len(encoded):
                return start, position, control
        elif head[0] == 0x2C and len(head) == 10:
            start, in_data = position, True
            position += 11 + _table_bytes(head[9])
        elif head[0] == 0x21 and len(head) > 2:
            if head[1] == 0xF9 and not has_control:
                has_control, control = True, position if head[2] == 4 else 0
            position, in_data = position + 2, True
        else:
            break
    raise _broken("the file is truncated")


def _block_bytes(encoded: bytes, position: int) -> int:
    """Returns the bytes of a block of data, or of up to `RUN` full ones."""
    sizes = encoded[position : position + RUN * (_FULL_BLOCK + 1) : _FULL_BLOCK + 1]
    full = len(sizes) - len(sizes.lstrip(bytes([_FULL_BLOCK])))
    return full * (_FULL_BLOCK + 1) if full else 1 + sizes[0]


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _indices(frame: _Frame) -> np.ndarray:
    """Returns the colour of each pixel, uint8 [height, width]."""
    # Pillow leaves pixels that the data do not reach as they are: of the transparent colour.
    is_valid = frame.data[0] in range(2, _WIDEST_FIRST + 1)
    first = _by_pillow(frame, untouched=0) if is_valid else None
    if first is not None and (first.all() or np.all(first == _by_pillow(frame, untouched=255))):
        return first
    return _by_codes(frame)


def _by_pillow(frame: _Frame, untouched: int) -> np.ndarray | None:
    """Decodes the frame, or returns None where Pillow finds its data broken."""
    size = struct.pack("<HH", frame.width, frame.height)
    table = b"\xf7\0\0" + bytes(range(256)) * 3
    control = b"!\xf9\x04\x01\0\0" + bytes([untouched]) + b"\0"
    head = b"," + bytes(4) + size + bytes([0x40 * frame.is_interlaced])
    file = b"GIF89a" + size + table + control + head + frame.data + b";"
    try:
        return np.asarray(Image.open(io.BytesIO(file), formats=("GIF",)))
    except (OSError, ValueError, SyntaxError, EOFError, IndexError):
        return None


def _by_codes(frame: _Frame) -> np.ndarray:
    """Decodes broken data as giflib does, which goes on after codes that no encoder writes."""
    pixels = np.frombuffer(_lzw(frame.data, frame.width * frame.height), np.uint8)
    rows = pixels.reshape(frame.height, frame.width)
    if not frame.is_interlaced:
        return rows
    order = [*range(0, frame.height, 8), *range(4, frame.height, 8)]
    order += [*range(2, frame.height, 4), *range(1, frame.height, 2)]
    image = np.empty_like(rows)
    image[order] = rows
    return image


def _lzw(data: bytes, wanted: int) -> bytes:
    """Returns the first `wanted` pixels of LZW data, with what giflib makes of undefined codes.

    An undefined code stands for the code before it and, as its last pixel, for the first pixel of
    what it would be itself.
    """
    clear = 1 << data[0]
    prefix, suffix = [_UNDEFINED] * _CODES, [0] * _CODES
    pixels, last, running = bytearray(), _UNDEFINED, clear + 2

    def first_pixel(code: int) -> int:
        for _ in range(_CODES + 1):
            if code <= clear or code == _UNDEFINED:
                break
            code = prefix[code]
        return code & 255

    def string(code: int) -> bytearray:
        """Returns the pixels of a code from the last to the first."""
        found = bytearray()
        if prefix[code] == _UNDEFINED:
            suffix[running - 2] = first_pixel(last if code == running - 2 else code)
            found.append(suffix[running - 2])
            code = last
        while len(found) < _CODES - 1 and clear < code < _CODES:
            found.append(suffix[code])
            code = prefix[code]
        if len(found) >= _CODES - 1 or code >= _CODES:
            raise _broken("its image data are damaged")
        found.append(code & 255)
        return found

    codes = _Codes(data)
    while len(pixels) < wanted:
        code, running = codes.next(running)
        if code == clear:
            prefix = [_UNDEFINED] * _CODES
            running, last = clear + 2, _UNDEFINED
            codes.bits = data[0] + 1
            continue
        pixels += bytes([code]) if code < clear else string(code)[::-1]
        if last != _UNDEFINED and prefix[running - 2] == _UNDEFINED:
            prefix[running - 2] = last
            suffix[running - 2] = first_pixel(last if code == running - 2 else code)
        last = code
    return bytes(pixels[:wanted])


class _Codes:
    """The codes in the data of a frame, each as wide as the number of codes so far wants it."""

    def __init__(self, data: bytes) -> None:
        if data[0] > _WIDEST_FIRST:
            raise _broken("its image data are damaged")
        self._end = (1 << data[0]) + 1
        self.bits = data[0] + 1
        blocks, position = [], 1
        while data[position]:
            blocks.append(data[position + 1 : position + 1 + data[position]])
            position += 1 + data[position]
        self._stream = iter(b"".join(blocks))
        self._held = self._held_bits = 0

    def next(self, running: int) -> tuple[int, int]:
        """Returns the next code, and the number of codes that can be told apart after it."""
        while self._held_bits < self.bits:
            byte = next(self._stream, None)
            if byte is None:
                raise _broken("its image data end before the last pixel")
            self._held |= byte << self._held_bits
            self._held_bits += 8
        code = self._held & (1 << self.bits) - 1
        self._held >>= self.bits
        self._held_bits -= self.bits
        if code == self._end:
            raise _broken("its image data end before the last pixel")
        if running <= _CODES:
            running += 1
            if running > 1 << self.bits and self.bits < _WIDEST:
                self.bits += 1
        return code, running


def _number(field: bytes) -> int:
    return int.from_bytes(field, "little")
