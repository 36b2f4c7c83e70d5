"""Files on which decoders differ are read by both to the same pixels, or refused by both."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from faults.mutated_images import chunk, encoded, png, seeds, with_chunks
from PIL import Image

from tfft.data.graph.decode import decode_upright
from tfft.data.graph.tolerant import unless_refused
from tfft.errors import DataError
from tfft.images.decode import decode_image
from tfft.images.gif import RUN
from tfft.images.inspect import image_size, inspect_image
from tfft.images.jpeg import MAX_SCANS

_SEEDS = seeds()
_NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
_HEADER = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
_ROWS = bytes(9 * 8)
_OF_64_MB = zlib.compress(bytes(1 << 26), 1)


@pytest.fixture(scope="module")
def in_graph():
    """Decodes a file in TensorFlow to uint8 [height, width, 3], or returns None."""
    decode = tf.function(
        lambda encoded: decode_upright(unless_refused(encoded)),
        input_signature=[tf.TensorSpec([], tf.string)],
    )

    def decoded(file: bytes) -> np.ndarray | None:
        try:
            return decode(tf.constant(file)).numpy()
        except tf.errors.OpError:
            return None

    return decoded


def _with_wrong_checksum(name: bytes) -> bytes:
    start = _SEEDS["PNG, text"].index(name)
    length = int.from_bytes(_SEEDS["PNG, text"][start - 4 : start], "big")
    end = start + 4 + length
    return _SEEDS["PNG, text"][:end] + b"oops" + _SEEDS["PNG, text"][end + 4 :]


def _gif_data(file: bytes) -> int:
    """Returns where the data of the first frame of a GIF without extensions begin."""
    return 13 + 3 * (2 << (file[10] & 7)) + 10


def _gif_of_codes(size: int, codes: list[int]) -> bytes:
    """Returns a GIF of size x size pixels and four colours whose data are these codes of 3 bits."""
    bits = sum(code << 3 * number for number, code in enumerate(codes))
    data = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
    side = struct.pack("<HH", size, size)
    head = b"GIF89a" + side + b"\x81\0\0" + bytes(range(0, 240, 20))
    return head + b",\0\0\0\0" + side + b"\0\x02" + bytes([len(data)]) + data + b"\0;"


def _progressive(scans: int) -> bytes:
    """Returns a progressive JPEG with so many scans, whole or cut, and an end mark."""
    head, *parts = _SEEDS["JPEG, progressive"].split(b"\xff\xda")
    parts[-1] = parts[-1].removesuffix(b"\xff\xd9")
    parts = (parts[:-1] + [parts[-1]] * scans)[:scans]
    return b"\xff\xda".join([head, *parts]) + b"\xff\xd9"


_GIF = encoded(_NOISE.quantize(64), "GIF", interlace=0)
READ = {
    "a PNG with 2 MB of text": with_chunks(_SEEDS["PNG"], chunk(b"tEXt", b"a\0" + b"b" * 2**21)),
    "a PNG with text that inflates to 64 MB": with_chunks(
        _SEEDS["PNG"], chunk(b"zTXt", b"a\0\0" + _OF_64_MB)
    ),
    "a PNG with a profile that inflates to 64 MB": with_chunks(
        _SEEDS["PNG"], chunk(b"iCCP", b"a\0\0" + _OF_64_MB)
    ),
    "a PNG with a wrong checksum in a text": _with_wrong_checksum(b"tEXt"),
    "a PNG with a wrong checksum in its resolution": _with_wrong_checksum(b"pHYs"),
    "a PNG with more rows than it announces": png(_HEADER, _ROWS + bytes(900)),
    "a PNG with a palette that it does not need": png(_HEADER, _ROWS, chunk(b"PLTE", b"abcd")),
    "a PNG with something behind its end": _SEEDS["PNG"] + b"more",
    "an interlaced PNG": _SEEDS["PNG, interlaced"],
    "a GIF whose frame is smaller than its screen": _SEEDS["GIF, part of the screen"],
    "a GIF that ends after its first frame": _GIF.removesuffix(b";"),
    "a GIF with codes that no encoder writes": _gif_of_codes(2, [4, 1, 7, 2, 1, 1]),
    "a JPEG with bytes between its segments": b"\xff\xd8\xff\x01ab" + _SEEDS["JPEG"][2:],
    "a JPEG with bytes before its end": _SEEDS["JPEG"][:-2] + bytes(500) + b"\xff\xd9",
    "a WebP with something behind its end": _SEEDS["WEBP"] + b"more",
}
REFUSED = {
    "a PNG with too few rows": png(_HEADER, _ROWS[:-9]),
    "a PNG with a wrong checksum in its data": _with_wrong_checksum(b"IDAT"),
    "a PNG with a filter that does not exist": png(_HEADER, b"\x05" + _ROWS[1:]),
    "a PNG with an unknown critical chunk": with_chunks(_SEEDS["PNG"], chunk(b"ABCD", b"")),
    "a PNG without its colours": _SEEDS["PNG, palette"].replace(b"PLTE", b"pLTE"),
    "a PNG whose data end before their checksum": png(_HEADER, _ROWS).replace(
        chunk(b"IDAT", zlib.compress(_ROWS)), chunk(b"IDAT", zlib.compress(_ROWS)[:-4])
    ),
    "a PNG longer than a decoder allows": png(
        struct.pack(">IIBBBBB", 2_000_000, 1, 1, 0, 0, 0, 0), bytes(250_001)
    ),
    "a GIF whose data end before the last pixel": _gif_of_codes(9, [4, 1, 2, 3, 5]),
    "a GIF with a colour that it does not have": _GIF[:10] + b"\xf0" + _GIF[11:17] + _GIF[205:],
    "a GIF cut within its first frame": _GIF[: _gif_data(_GIF) + 300],
    "a JPEG without an end mark": _SEEDS["JPEG"][:-2],
    "a JPEG of 12 bits a sample": _SEEDS["JPEG"].replace(
        b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"
    ),
    "a progressive JPEG whose last scans are missing": _progressive(4),
    "a progressive JPEG of too many scans": _progressive(MAX_SCANS + 1),
    "a WebP whose canvas has another size": _SEEDS["WEBP, extended"][:24]
    + b"\x50"
    + _SEEDS["WEBP, extended"][25:],
    "a compressed BMP": _SEEDS["BMP, palette"][:30] + b"\x01" + _SEEDS["BMP, palette"][31:],
    "a BMP with other bit fields": _SEEDS["BMP"][:30] + b"\x03" + _SEEDS["BMP"][31:],
    "a BMP without its last row": _SEEDS["BMP"][:-100],
    "a BMP of no rows": _SEEDS["BMP"][:22] + bytes(4) + _SEEDS["BMP"][26:],
}


@pytest.mark.parametrize("kind", READ)
def test_what_the_check_passes_is_read_to_the_same_pixels(in_graph, kind):
    inspect_image(READ[kind])
    pixels = decode_image(READ[kind])
    assert pixels.shape[:2] == image_size(READ[kind])
    np.testing.assert_array_equal(in_graph(READ[kind]), pixels)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_check_refuses_is_refused_by_all(in_graph, kind):
    assert in_graph(REFUSED[kind]) is None
    for read in (inspect_image, decode_image):
        with pytest.raises(DataError) as caught:
            read(REFUSED[kind])
        assert "Pillow" not in str(caught.value)


def test_a_frame_lies_where_it_belongs_on_a_black_screen():
    image = decode_image(_SEEDS["GIF, part of the screen"])
    assert image.shape == (37, 45, 3)
    frame = Image.open(io.BytesIO(_SEEDS["GIF, part of the screen"])).convert("RGB")
    np.testing.assert_array_equal(image[9:29, 7:32], np.asarray(frame)[9:29, 7:32])
    image[9:29, 7:32] = 0
    assert not image.any()


def test_of_an_animation_nothing_behind_its_first_frame_is_read(in_graph):
    still = _GIF.removesuffix(b";")
    bomb = b"," + bytes(4) + b"\xff" * 4 + b"\0" + b"\x08\x01\0\0"
    np.testing.assert_array_equal(decode_image(still + bomb * 1000 + b";"), decode_image(_GIF))
    np.testing.assert_array_equal(in_graph(still + bomb * 1000 + b";"), decode_image(_GIF))


def test_many_full_blocks_of_a_frame_are_stepped_over_at_once(in_graph):
    size = 1 << 11
    noise = np.random.default_rng(0).integers(0, 256, (size, size), np.uint8)
    palette = Image.fromarray(noise).convert("P")
    file = encoded(palette, "GIF", interlace=0)
    assert len(file) > 2 * RUN * 256
    np.testing.assert_array_equal(in_graph(file), decode_image(file))
