"""TensorFlow and Pillow see the same pixels, whatever the file."""

import io
import struct
import tarfile

import numpy as np
import pytest
import sample_pictures
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfft.data.graph.decode import decode_exact, decode_upright, resize_exact
from tfft.data.graph.exif import exif_orientation as orientation_in_graph
from tfft.images.decode import decode_image
from tfft.images.exif import exif_orientation
from tfft.images.pixels import encoded_to_pixels, to_pixels
from tfft.images.spec import PixelSpec

SPECS = [
    PixelSpec(96, 96),
    PixelSpec(112, 112, resize=128, interpolation="bicubic"),
    PixelSpec(90, 60),
    PixelSpec(300, 280, interpolation="bicubic"),
    PixelSpec(260, 310, fit="stretch"),
    PixelSpec(64, 48, fit="stretch", interpolation="bicubic"),
]

_decode = tf.function(decode_upright, input_signature=[tf.TensorSpec([], tf.string)])
_orientation = tf.function(orientation_in_graph, input_signature=[tf.TensorSpec([], tf.string)])


def test_every_kind_of_file_decodes_to_equal_bytes(kinds):
    for name, encoded in kinds.items():
        np.testing.assert_array_equal(_decode(encoded).numpy(), decode_image(encoded), err_msg=name)


# A graph each: two of them here, the others in the slow suite.
@pytest.mark.parametrize(
    "spec",
    [pytest.param(s, marks=[pytest.mark.slow] if s not in SPECS[1::3] else []) for s in SPECS],
    ids=str,
)
@pytest.mark.parametrize("box", [None, (0.1, 0.23, 0.77, 0.9)])
def test_resized_pixels_agree(kinds, spec, box):
    in_graph = tf.function(
        lambda encoded: decode_exact(encoded, spec, None if box is None else tf.constant(box)),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    for name in (
        "JPEG",
        "JPEG, CMYK",
        "JPEG, orientation 6",
        "PNG, 16-bit",
        "PNG, palette and alpha",
    ):
        difference = np.abs(
            in_graph(kinds[name]).numpy() - encoded_to_pixels(kinds[name], spec, box)
        )
        assert difference.max() < 0.001, name


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_agree(kinds, channels):
    spec = PixelSpec(96, 112, channels=channels)
    in_graph = tf.function(
        lambda encoded: decode_exact(encoded, spec), input_signature=[tf.TensorSpec([], tf.string)]
    )
    for name, encoded in kinds.items():
        actual, expected = in_graph(encoded).numpy(), encoded_to_pixels(encoded, spec)
        assert expected.shape == (96, 112, channels)
        np.testing.assert_allclose(actual, expected, atol=0.01, err_msg=name)


def test_alpha_is_how_opaque_a_pixel_is(kinds):
    spec = PixelSpec(151, 203, channels=4)
    alpha = {name: encoded_to_pixels(encoded, spec)[..., 3] for name, encoded in kinds.items()}
    written = (np.arange(151 * 203) % 256).reshape(151, 203)
    for name in ("PNG, alpha", "PNG, grey and alpha", "WebP, alpha"):
        np.testing.assert_allclose(alpha[name], written, atol=0.01)
    assert 0 < (alpha["PNG, transparent colour"] == 0).mean() < 0.1
    for name in ("JPEG", "PNG", "WebP", "GIF", "BMP, alpha"):
        assert (alpha[name] == 255).all()


def test_the_decoder_can_be_saved_and_loaded_without_python_code(kinds, tmp_path):
    module = tf.Module()
    module.pixels = tf.function(
        lambda encoded: decode_exact(encoded, SPECS[0]),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path / "decoder"))
    loaded = tf.saved_model.load(str(tmp_path / "decoder"))
    for name, encoded in kinds.items():
        difference = loaded.pixels(encoded).numpy() - encoded_to_pixels(encoded, SPECS[0])
        assert np.abs(difference).max() < 0.001, name


def test_an_animated_webp_is_refused_and_does_not_bring_the_process_down(kinds):
    animation = sample_pictures.encoded(
        sample_pictures.picture(),
        "WEBP",
        save_all=True,
        append_images=[sample_pictures.picture().rotate(90)],
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        _decode(animation)
    assert _decode(kinds["WebP"]).shape == (151, 203, 3)


def exif_segment(order: str, entries: list[tuple[int, int, int, int]], offset: int = 8) -> bytes:
    mark = {"<": b"II", ">": b"MM"}[order]
    tiff = mark + struct.pack(f"{order}HI", 42, offset) + bytes(offset - 8)
    tiff += struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        tiff += struct.pack(f"{order}HHIHH", tag, kind, count, value, 0)
    return b"Exif\0\0" + tiff


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    head = b"\xff\xd8"
    for marker, content in segments:
        head += struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
    return head + b"\xff\xda\x00\x02"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([(0x0112, 3, 1, 6)], 6),
        ([(0x010F, 2, 1, 0), (0x0112, 3, 1, 8)], 8),
        ([(0x0112, 3, 1, 9)], 1),
        ([(0x0112, 3, 1, 0)], 1),
        ([(0x0112, 4, 1, 6)], 1),
        ([(0x0112, 3, 2, 6)], 1),
        ([], 1),
    ],
)
@pytest.mark.parametrize("offset", [8, 20])
def test_the_orientation_is_found_by_the_same_rules(order, entries, expected, offset):
    content = exif_segment(order, entries, offset)
    photo = jpeg_with(
        (0xE0, b"JFIF\0" + bytes(9)), (0xE1, b"http://ns.adobe.com/"), (0xE1, content)
    )
    assert exif_orientation(photo) == expected
    assert int(_orientation(photo)) == expected


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_malformed_exif_means_the_same_to_both(data):
    order = data.draw(st.sampled_from("<>"))
    photo = bytearray(jpeg_with((0xE1, exif_segment(order, [(0x0112, 3, 1, 6)])), (0xDB, bytes(3))))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(3, len(photo) - 1))
        photo[position] = data.draw(st.sampled_from([0, 1, 2, 3, 6, 8, 0x12, 0x7F, 0xE1, 0xFF]))
    photo = bytes(photo[: data.draw(st.integers(4, len(photo)))])
    assert int(_orientation(photo)) == exif_orientation(photo)


@pytest.mark.slow
@pytest.mark.shared
def test_real_photos_decode_to_equal_bytes(shared_data):
    with tarfile.open(shared_data / "stanford_dogs_originals" / "images.tar") as tar:
        photos = [tar.extractfile(member).read() for member in tar if member.isfile()]
    exact = tf.function(
        lambda encoded: decode_exact(encoded, SPECS[1]),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    assert len(photos) == 575
    for photo in photos[::5]:
        np.testing.assert_array_equal(_decode(photo).numpy(), decode_image(photo))
        difference = exact(photo).numpy() - encoded_to_pixels(photo, SPECS[1])
        assert np.abs(difference).max() < 0.001
    assert io.BytesIO(photos[0]).read(2) == b"\xff\xd8"


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_an_image_that_has_the_size_keeps_its_pixels(interpolation: str):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    spec = PixelSpec(20, 30, "stretch", None, interpolation)
    np.testing.assert_array_equal(resize_exact(tf.constant(image), spec), image)
    np.testing.assert_array_equal(to_pixels(image, spec), image)
