"""Decoding what strangers send: good images as evaluation does, the rest refused without harm."""

import io
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfft.data.graph.announced import announced_bytes
from tfft.data.graph.decode import decode_exact
from tfft.data.graph.tolerant import decode_tolerant
from tfft.errors import DataError
from tfft.images.formats import MAX_BYTES, MAX_PIXELS
from tfft.images.gif import MAX_STEPS
from tfft.images.inspect import inspect_image
from tfft.images.spec import PixelSpec

_SPEC = PixelSpec(20, 24)
_HUGE = (MAX_PIXELS // 10_000 + 1, 10_000)


@pytest.fixture(scope="module")
def decoded():
    """Decodes a batch in one graph, as the serving signature does."""
    shape = [_SPEC.height, _SPEC.width, 3]
    kinds = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec([], tf.bool))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def decode(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.map_fn(lambda e: decode_tolerant(e, _SPEC), batch, fn_output_signature=kinds)

    def run(*encoded: bytes) -> tuple[np.ndarray, list[bool]]:
        pixels, readable = decode(tf.constant(list(encoded), tf.string))
        return pixels.numpy(), readable.numpy().tolist()

    return run


@pytest.fixture(scope="module")
def announced():
    function = tf.function(announced_bytes, input_signature=[tf.TensorSpec([], tf.string)])
    return lambda encoded: int(function(tf.constant(encoded)).numpy())


def _encoded(kind: str, size: tuple[int, int] = (31, 23), **options) -> bytes:
    width, height = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, kind, **options)
    return stream.getvalue()


def _png_that_announces(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + _encoded("PNG")[33:]


def _jpeg_that_announces(width: int, height: int) -> bytes:
    encoded = _encoded("JPEG")
    start = encoded.index(b"\xff\xc0") + 5
    return encoded[:start] + struct.pack(">HH", height, width) + encoded[start + 4 :]


def _webp_that_announces(width: int, height: int) -> bytes:
    encoded = _encoded("WEBP")
    return encoded[:26] + struct.pack("<HH", width, height) + encoded[30:]


def _bmp_that_announces(width: int, height: int) -> bytes:
    encoded = _encoded("BMP")
    return encoded[:18] + struct.pack("<ii", width, -height) + encoded[26:]


def _animation(frames: int, size: tuple[int, int]) -> bytes:
    pictures = [Image.new("L", size, number % 256) for number in range(frames)]
    stream = io.BytesIO()
    pictures[0].save(stream, "GIF", save_all=True, append_images=pictures[1:])
    return stream.getvalue()


def _gif_that_announces(frames: int, width: int, height: int) -> bytes:
    encoded = _encoded("GIF")
    start = 13 + 3 * 256
    assert encoded[start : start + 1] == b","
    frame = encoded[start : start + 5] + struct.pack("<HH", width, height) + encoded[start + 9 : -1]
    return encoded[:start] + frame * frames + b";"


_GOOD = {
    "JPEG": _encoded("JPEG"),
    "PNG": _encoded("PNG"),
    "GIF": _encoded("GIF"),
    "BMP": _encoded("BMP"),
    "WebP": _encoded("WEBP"),
    "WebP without loss": _encoded("WEBP", lossless=True),
    "WebP with a header": _encoded("WEBP", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"),
}
_BAD = {
    "nothing": b"",
    "text": b"<html>not an image</html>",
    "a JPEG's first bytes": b"\xff\xd8\xff",
    "a truncated JPEG": _encoded("JPEG", (200, 150))[:3000],
    "a truncated PNG": _encoded("PNG")[:-30],
    "a PNG's first bytes": _encoded("PNG")[:19],
    "a TIFF": _encoded("TIFF"),
    "a huge PNG": _png_that_announces(*_HUGE),
    "a huge JPEG": _jpeg_that_announces(*_HUGE),
    "a huge WebP": _webp_that_announces(16383, 16383),
    "a huge BMP": _bmp_that_announces(*_HUGE),
    "a huge GIF": _gif_that_announces(1, 12_000, 8_000),
}


@pytest.mark.parametrize("kind", _GOOD)
def test_the_header_says_how_much_memory_an_image_takes(announced, kind):
    assert announced(_GOOD[kind]) == 31 * 23 * 3


def test_only_the_screen_and_the_first_frame_of_an_animation_count(announced):
    assert announced(_animation(7, (40, 30))) == 40 * 30 * 3
    first_is_huge = _gif_that_announces(1, 12_000, 5_000)
    assert announced(first_is_huge) == 12_000 * 5_000 * 3


def test_a_frame_of_endless_blocks_is_not_walked_to_its_end(announced):
    head = _encoded("GIF")[:13]
    blocks = head[:10] + b"\0\0\0" + b"!\xfe" + b"\x01a" * (MAX_STEPS + 1)
    assert announced(blocks + b"\0" + _encoded("GIF")[13 + 3 * 256 :]) == 0


def test_good_images_are_decoded_as_in_evaluation_and_bad_ones_between_them_are_not(decoded):
    mixed = [image for pair in zip(_GOOD.values(), _BAD.values(), strict=False) for image in pair]
    pixels, readable = decoded(*mixed)
    assert readable == [True, False] * len(_GOOD)
    for position, good in enumerate(_GOOD.values()):
        expected = decode_exact(tf.constant(good), _SPEC).numpy()
        np.testing.assert_array_equal(pixels[2 * position], expected)


@pytest.mark.parametrize("kind", _BAD)
def test_what_cannot_be_read_is_refused(decoded, kind):
    pixels, readable = decoded(_BAD[kind])
    assert readable == [False]
    assert not pixels.any()


def _peak_kib() -> int:
    """The most memory that this process has had since its peak was forgotten."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])


def test_huge_images_are_refused_before_they_take_memory(decoded):
    peak = Path("/proc/self/clear_refs")
    if not os.access(peak, os.W_OK):
        pytest.skip("this system cannot forget the peak of a process that has decoded much already")
    bombs = [image for kind, image in _BAD.items() if "huge" in kind]
    decoded(_GOOD["PNG"])  # or building the graph would count
    peak.write_text("5")
    before = _peak_kib()
    assert not any(decoded(*bombs * 4)[1])
    assert _peak_kib() - before < 100 * 1024


def test_an_image_just_within_the_bound_is_read(decoded):
    stream = io.BytesIO()
    Image.new("L", (100, 800_000), 9).save(stream, "PNG", compress_level=1)
    assert MAX_PIXELS == 100 * 800_000
    assert decoded(stream.getvalue())[1] == [True]


def test_no_images_are_no_answers(decoded):
    pixels, readable = decoded()
    assert pixels.shape == (0, 20, 24, 3)
    assert readable == []


@pytest.mark.slow
@pytest.mark.full
def test_a_file_longer_than_any_image_is_refused_by_all(decoded):
    """Two gigabytes for a moment: the bytes of one such file, here and in TensorFlow."""
    for length, is_read in ((MAX_BYTES, True), (MAX_BYTES + 1, False)):
        file = _encoded("JPEG")
        file += bytes(length - len(file))
        assert decoded(file)[1] == [is_read]
        if not is_read:
            with pytest.raises(DataError, match=r"a file of 640\.0 MB"):
                inspect_image(file)
