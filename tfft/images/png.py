"""PNG files without TensorFlow: what libpng, which TensorFlow decodes with, makes of them.

libpng forgives what no pixel depends on (a wrong checksum or a huge text in an ancillary chunk,
data after the last row) and refuses all else that is wrong. Pillow draws these lines elsewhere. So
a file is read here, chunk by chunk and row by row, and what Pillow gets are its pixels and no
more.

Source: W3C PNG (Third Edition), sections 5, 9 to 11.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from tfft.errors import DataError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# libpng reads no longer sides.
_LONGEST_SIDE = 1_000_000
# Bits a sample that each colour type allows, and its samples a pixel.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column, first row, column step and row step of each pass of an interlaced image.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
_PASSES = (*_PASSES, (0, 1, 1, 2))
_HIGHEST_FILTER = 4
# Bytes that are inflated, and that libpng reads, in one go.
_INFLATED_AT_ONCE = 1 << 20
_READ_AT_ONCE = 8192


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    bits: int
    colour_type: int
    is_interlaced: bool


def png_size(encoded: bytes) -> tuple[int, int]:
    """Returns the (height, width) that the header announces; zeros if it does not come first."""
    if encoded[12:16] != b"IHDR":
        return 0, 0
    return int.from_bytes(encoded[20:24], "big"), int.from_bytes(encoded[16:20], "big")


def check_png(encoded: bytes) -> None:
    """Reads all of a PNG file.

    Raises:
        DataError: It is broken or truncated.
    """
    _plain(encoded)


def plain_png(encoded: bytes) -> bytes:
    """Returns a PNG file with the same pixels and transparency and nothing else.

    Raises:
        DataError: The file is broken or truncated.
    """
    header, chunks, parts, is_clean = _plain(encoded)
    data = b"".join(parts)
    if not is_clean:
        data = zlib.compress(b"".join(_inflated(header, parts)), 0)
    plain = {b"IHDR": encoded[16:29], **chunks, b"IDAT": data, b"IEND": b""}
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in plain.items()
    )


def _plain(encoded: bytes) -> tuple[_Header, dict[bytes, bytes], list[bytes], bool]:
    """Returns header, PLTE and tRNS, the parts of the image data, and whether these are clean.

    Clean are data that end with their checksum right after the last row.
    """
    header, chunks, parts = _read_chunks(encoded)
    inflater = zlib.decompressobj(wbits=0)
    for _ in _inflated(header, parts, inflater):
        pass
    return header, chunks, parts, inflater.eof and not inflater.unused_data


def _broken(what: str) -> DataError:
    return DataError(f"a broken PNG image: {what}")


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yields name, content and whether the checksum is right of each chunk up to IEND."""
    position = len(_SIGNATURE)
    while position + 12 <= len(encoded):
        length = int.from_bytes(encoded[position : position + 4], "big")
        name = encoded[position + 4 : position + 8]
        end = position + 12 + length
        if not (name.isalpha() and name.isascii()):
            raise _broken("a chunk has no valid name")
        if end > len(encoded):
            break
        checksum = int.from_bytes(encoded[end - 4 : end], "big")
        is_right = zlib.crc32(encoded[position + 4 : end - 4]) == checksum
        if name[:1].isupper() and not is_right:
            raise _broken("a checksum is wrong")
        yield name, encoded[position + 8 : end - 4], is_right
        if name == b"IEND":
            return
        position = end
    raise _broken("the file is truncated")


def _read_chunks(encoded: bytes) -> tuple[_Header, dict[bytes, bytes], list[bytes]]:
    """Returns the header, PLTE and tRNS where they count, and the content of each IDAT."""
    chunks = _chunks(encoded)
    name, content, _ = next(chunks)
    header = _header(name, content)
    kept: dict[bytes, bytes] = {}
    parts: list[bytes] = []
    last, has_palette = name, False
    for name, content, is_right in chunks:
        if name == b"IHDR" or (name[:1].isupper() and name not in (b"PLTE", b"IDAT", b"IEND")):
            raise _broken("it has a chunk that does not belong there")
        if name == b"IDAT" and (last == b"IDAT" or not parts):
            if header.colour_type == 3 and b"PLTE" not in kept:
                raise _broken("its colours are missing")
            parts.append(content)
        elif name == b"PLTE" and has_palette:
            raise _broken("it has its colours twice")
        elif name == b"PLTE" and not parts:
            has_palette = True
            _keep_palette(header, kept, content)
        elif name == b"tRNS" and not parts and is_right:
            _keep_transparency(header, kept, content)
        last = name
    if not parts:
        raise _broken("its image data are missing")
    return header, kept, parts


def _header(name: bytes, content: bytes) -> _Header:
    if name != b"IHDR" or len(content) != 13:
        raise _broken("its header cannot be read")
    width, height, bits, colour_type, compression, filters, interlace = struct.unpack(
        ">IIBBBBB", content
    )
    is_valid = (
        0 < width <= _LONGEST_SIDE
        and 0 < height <= _LONGEST_SIDE
        and bits in _DEPTHS.get(colour_type, ())
        and compression == filters == 0
        and interlace in (0, 1)
    )
    if not is_valid:
        raise _broken("its header announces what no PNG image has")
    return _Header(width, height, bits, colour_type, interlace == 1)


def _keep_palette(header: _Header, kept: dict[bytes, bytes], content: bytes) -> None:
    """Only an image of palette indices needs a palette; for others it is a suggestion."""
    if header.colour_type != 3:
        return
    if len(content) % 3 or not 3 <= len(content) <= 768:
        raise _broken("its colours cannot be read")
    kept.pop(b"tRNS", None)
    kept[b"PLTE"] = content[: 3 << header.bits]


def _keep_transparency(header: _Header, kept: dict[bytes, bytes], content: bytes) -> None:
    """Keeps the first transparency that fits the kind of image; others are ignored."""
    if header.colour_type == 3:
        fits = 0 < len(content) <= len(kept.get(b"PLTE", b"")) // 3
    else:
        fits = len(content) == {0: 2, 2: 6}.get(header.colour_type)
    if fits:
        kept.setdefault(b"tRNS", content)


def _inflated(
    header: _Header, parts: list[bytes], inflater: "zlib._Decompress | None" = None
) -> Iterator[bytes]:
    """Yields the filtered rows, several at once; checks what libpng checks.

    libpng inflates row by row: the checksum at the end counts only if it is met with the last row.
    """
    inflater = inflater or zlib.decompressobj(wbits=0)
    sizes = _row_bytes(header)
    last_bytes, last_rows = sizes[-1]
    pieces = _Pieces(parts)
    try:
        for row_bytes, rows in (*sizes[:-1], (last_bytes, last_rows - 1), (last_bytes, 1)):
            at_once = max(_INFLATED_AT_ONCE // row_bytes, 1)
            for start in range(0, rows, at_once):
                wanted = row_bytes * min(at_once, rows - start)
                inflated = pieces.inflated(inflater, wanted)
                if max(inflated[::row_bytes]) > _HIGHEST_FILTER:
                    raise _broken("its image data are damaged")
                yield inflated
        pieces.finish(inflater)
    except zlib.error as error:
        raise _broken("its image data are damaged") from error


def _row_bytes(header: _Header) -> list[tuple[int, int]]:
    """Returns the bytes of a row, with its filter byte, and the number of rows of each pass."""
    passes = _PASSES if header.is_interlaced else ((0, 0, 1, 1),)
    pixel_bits = _SAMPLES[header.colour_type] * header.bits
    sizes = []
    for left, top, across, down in passes:
        columns = -(-(header.width - left) // across)
        rows = -(-(header.height - top) // down)
        if columns > 0 and rows > 0:
            sizes.append((1 + (columns * pixel_bits + 7) // 8, rows))
    return sizes


class _Pieces:
    """The image data in the pieces in which libpng inflates them."""

    def __init__(self, parts: list[bytes]) -> None:
        self._pieces = (
            part[start : start + _READ_AT_ONCE]
            for part in parts
            for start in range(0, len(part), _READ_AT_ONCE)
        )
        self._rest = b""

    def inflated(self, inflater: "zlib._Decompress", wanted: int) -> bytes:
        """Returns the next `wanted` bytes."""
        found = []
        while wanted:
            if inflater.eof:
                raise _broken("rows are missing")
            self._fill()
            found.append(inflater.decompress(self._rest, wanted))
            self._rest = inflater.unconsumed_tail
            wanted -= len(found[-1])
        return b"".join(found)

    def finish(self, inflater: "zlib._Decompress") -> None:
        """Goes on to the end of the data, as long as there are more than the rows need."""
        while not inflater.eof:
            self._fill()
            try:
                surplus = inflater.decompress(self._rest, _READ_AT_ONCE)
            except zlib.error:
                return  # libpng only warns of what is wrong behind the last row
            self._rest = inflater.unconsumed_tail
            if not surplus:
                return

    def _fill(self) -> None:
        if not self._rest:
            self._rest = next(self._pieces, b"")
            if not self._rest:
                raise _broken("rows are missing")
