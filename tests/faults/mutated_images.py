"""Small images of every kind, and what damage, old software and malice make of them."""

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

_SIZE = (45, 37)


def seeds() -> dict[str, bytes]:
    """Returns an image of each kind that is read, by its name."""
    image = _picture()
    alpha = image.copy()
    alpha.putalpha(
        Image.fromarray(np.arange(45 * 37, dtype=np.uint32).astype(np.uint8).reshape(37, 45))
    )
    grey, palette = image.convert("L"), image.quantize(64)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 251)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = [palette.rotate(90), palette.rotate(180)]
    options: dict[str, tuple[Image.Image, dict]] = {
        "JPEG": (image, {}),
        "JPEG, full chroma": (image, {"subsampling": 0}),
        "JPEG, progressive": (image, {"progressive": True, "quality": 40}),
        "JPEG, restarts": (image, {"restart_marker_rows": 1}),
        "JPEG, progressive, restarts": (image, {"progressive": True, "restart_marker_blocks": 2}),
        "JPEG, grey": (grey, {}),
        "JPEG, CMYK": (image.convert("CMYK"), {}),
        "JPEG, turned": (image, {"exif": exif}),
        "PNG": (image, {}),
        "PNG, grey": (grey, {}),
        "PNG, 16-bit": (deep, {}),
        "PNG, 1-bit": (image.convert("1"), {}),
        "PNG, alpha": (alpha, {}),
        "PNG, grey and alpha": (alpha.convert("LA"), {}),
        "PNG, palette": (palette, {}),
        "PNG, palette of 16": (image.quantize(16), {"bits": 4}),
        "PNG, palette and alpha": (alpha.quantize(64), {}),
        "PNG, transparent colour": (grey, {"transparency": 3}),
        "GIF": (palette, {}),
        "GIF, not interlaced": (image.quantize(16), {"interlace": 0}),
        "GIF, transparent": (palette, {"transparency": 5}),
        "GIF, animated": (palette, {"save_all": True, "append_images": turned}),
        "WEBP": (image, {}),
        "WEBP, lossless": (image, {"lossless": True}),
        "WEBP, alpha": (alpha, {}),
        "WEBP, extended": (
            image,
            {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0", "icc_profile": b"x" * 30},
        ),
        "BMP": (image, {}),
        "BMP, alpha": (alpha, {}),
        "BMP, palette": (palette, {}),
        "BMP, 1-bit": (image.convert("1"), {}),
    }
    files = {
        name: encoded(picture, name.partition(",")[0], **how)
        for name, (picture, how) in options.items()
    }
    files["PNG, interlaced"] = interlaced_png(np.asarray(image))
    files["PNG, text"] = with_chunks(files["PNG"], text_chunks())
    files["GIF, part of the screen"] = gif_on_screen(
        encoded(_picture((25, 20)).quantize(32), "GIF")
    )
    return files


def _picture(size: tuple[int, int] = _SIZE) -> Image.Image:
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    image = np.stack([rows * 6, columns * 5, 255 * ((rows // 5 + columns // 7) % 2)], axis=-1)
    return Image.fromarray(image.astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """Returns a chunk of a PNG with the right checksum."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(header: bytes, rows: bytes, *before: bytes) -> bytes:
    """Returns a PNG of the content of its header, its filtered rows, and chunks before them."""
    data = chunk(b"IDAT", zlib.compress(rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(before)
        + data
        + chunk(b"IEND", b"")
    )


def interlaced_png(image: np.ndarray) -> bytes:
    """Returns an interlaced PNG of RGB pixels, which Pillow cannot write."""
    rows = b""
    for left, top, across, down in (
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)),
        *((1, 0, 2, 2), (0, 1, 1, 2)),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in image[top::down, left::across])
    return png(struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 2, 0, 0, 1), rows)


def text_chunks() -> bytes:
    return b"".join(
        [
            chunk(b"gAMA", struct.pack(">I", 45455)),
            chunk(b"tEXt", b"a\0hello"),
            chunk(b"zTXt", b"a\0\0" + zlib.compress(b"hello" * 10)),
            chunk(b"pHYs", bytes(9)),
        ]
    )


def with_chunks(file: bytes, chunks: bytes) -> bytes:
    """Returns a PNG with chunks behind its header."""
    return file[:33] + chunks + file[33:]


def gif_on_screen(file: bytes) -> bytes:
    """Returns a GIF whose frame lies within a larger screen."""
    start = file.index(b",", 13 + 3 * 32)
    screen, corner = struct.pack("<HH", *_SIZE), struct.pack("<HH", 7, 9)
    return file[:6] + screen + file[10 : start + 1] + corner + file[start + 5 :]


def mutated(file: bytes, chance: random.Random) -> bytes:
    """Returns a file with one kind of damage, drawn by chance."""
    damages: list[Callable[[bytearray, random.Random], bytes]]
    damages = [_bytes_changed, _bytes_changed, _bits_flipped, _cut, _bytes_lost, _bytes_added]
    damages += [_header_changed, _parts_moved]
    damaged = chance.choice(damages)(bytearray(file), chance)
    if damaged.startswith(b"\x89PNG"):
        damaged = chance.choice([lambda file, _: file, _checksums_mended, _rows_changed])(
            damaged, chance
        )
    return damaged


def _bytes_changed(file: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice([1, 1, 1, 2, 4, 10])):
        values = (chance.randrange(256), 0, 255, chance.choice(file))
        file[chance.randrange(len(file))] = chance.choice(values)
    return bytes(file)


def _bits_flipped(file: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice([1, 1, 2])):
        file[chance.randrange(len(file))] ^= 1 << chance.randrange(8)
    return bytes(file)


def _cut(file: bytearray, chance: random.Random) -> bytes:
    return bytes(file[: chance.randrange(len(file))])


def _bytes_lost(file: bytearray, chance: random.Random) -> bytes:
    start = chance.randrange(len(file))
    del file[start : start + chance.choice([1, 2, 4, 16, 50])]
    return bytes(file)


def _bytes_added(file: bytearray, chance: random.Random) -> bytes:
    start = chance.randrange(len(file) + 1)
    file[start:start] = chance.randbytes(chance.choice([1, 2, 4, 16]))
    return bytes(file)


def _header_changed(file: bytearray, chance: random.Random) -> bytes:
    file[chance.randrange(min(len(file), 64))] = chance.randrange(256)
    return bytes(file)


def _parts_moved(file: bytearray, chance: random.Random) -> bytes:
    """Swaps, doubles or drops chunks or segments; other files get their end twice."""
    head, parts = _parts(bytes(file))
    if not parts:
        return bytes(file) + bytes(file[chance.randrange(len(file)) :])
    first, second = chance.randrange(len(parts)), chance.randrange(len(parts))
    how = chance.randrange(3)
    if how == 0:
        parts[first], parts[second] = parts[second], parts[first]
    elif how == 1:
        parts.insert(first, parts[second])
    else:
        del parts[first]
    return head + b"".join(parts)


def _parts(file: bytes) -> tuple[bytes, list[bytes]]:
    """Returns the head of a file, and its chunks or segments."""
    if file.startswith(b"\x89PNG"):
        start, extra, length = 8, 12, lambda at: int.from_bytes(file[at : at + 4], "big")
    elif file.startswith(b"RIFF"):
        start, extra = 12, 8
        length = lambda at: (int.from_bytes(file[at + 4 : at + 8], "little") + 1) // 2 * 2  # noqa: E731
    elif file.startswith(b"\xff\xd8"):
        start, extra, length = 2, 2, lambda at: int.from_bytes(file[at + 2 : at + 4], "big")
    else:
        return file, []
    parts, at = [], start
    while at + extra <= len(file) and file[at : at + 2] != b"\xff\xda":
        end = at + extra + length(at)
        parts.append(file[at:end])
        at = end
    return file[:start], [*parts, file[at:]] if at < len(file) else parts


def _checksums_mended(file: bytes, _: random.Random) -> bytes:
    head, parts = _parts(file)
    whole = [
        part[:-4] + struct.pack(">I", zlib.crc32(part[4:-4])) for part in parts if len(part) >= 12
    ]
    return head + b"".join(whole)


def _rows_changed(file: bytes, chance: random.Random) -> bytes:
    """Changes what is compressed: rows lost, filters that do not exist, a wrong checksum."""
    head, parts = _parts(file)
    data = b"".join(part[8:-4] for part in parts if part[4:8] == b"IDAT")
    try:
        rows = bytearray(zlib.decompress(data))
    except zlib.error:
        return file
    how = chance.randrange(4)
    if how == 0:
        rows = rows[: chance.randrange(len(rows))]
    elif how == 1 and rows:
        rows[chance.randrange(len(rows))] = chance.randrange(256)
    elif how == 2:
        rows += chance.randbytes(chance.choice([1, 100]))
    data = zlib.compress(bytes(rows), chance.randrange(10))
    if how == 3:
        data = data[: -chance.choice([1, 3, 4])] + chance.choice([b"", b"\0\0\0\0"])
    cut = chance.randrange(len(data) + 1)
    pieces = [data] if chance.random() < 0.5 else [data[:cut], data[cut:]]
    kept = [part for part in parts if part[4:8] not in (b"IDAT", b"IEND")]
    return head + b"".join([*kept, *(chunk(b"IDAT", p) for p in pieces), chunk(b"IEND", b"")])
