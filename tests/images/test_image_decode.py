"""Encoded bytes become upright RGB, or one clear refusal."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from tfft.errors import DataError
from tfft.images.decode import decode_image, decode_reduced
from tfft.images.inspect import ImageFacts, inspect_image


def gradient(height: int = 20, width: int = 30) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) * 4], axis=-1)
    return Image.fromarray(image.astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP"])
def test_lossless_kinds_decode_to_what_was_saved(kind):
    image = gradient().quantize(50) if kind == "GIF" else gradient()
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(
        decode_image(encoded(image, kind, **options)), np.asarray(image.convert("RGB"))
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_exif_says(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = encoded(gradient(), "JPEG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(photo)))
    np.testing.assert_array_equal(decode_image(photo), np.asarray(upright))
    height, width = upright.height, upright.width
    assert inspect_image(photo) == ImageFacts("JPEG", height, width, orientation)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(("side_px", "part"), [(304, 1), (153, 1), (152, 2), (76, 4), (10, 8)])
def test_a_reduced_photo_is_a_part_of_its_size_and_looks_the_same(mode, side_px, part):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encoded(gradient(304, 480).convert(mode), "JPEG", exif=exif, quality=95)
    whole, reduced = decode_image(photo), decode_reduced(photo, side_px)
    assert reduced.shape == (480 // part, 304 // part, 3)
    means = whole.reshape(480 // part, part, 304 // part, part, 3).mean(axis=(1, 3))
    # Other than the mean of squares where a colour jumps, as this one does at 256.
    assert np.median(np.abs(means - reduced)) < 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP"])
def test_other_kinds_are_reduced_to_themselves(kind):
    photo = encoded(gradient(64, 96), kind)
    np.testing.assert_array_equal(decode_reduced(photo, 8), decode_image(photo))


def test_16_bit_samples_keep_their_high_byte():
    samples = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1023
    image = decode_image(encoded(Image.fromarray(samples), "PNG"))
    np.testing.assert_array_equal(image[..., 0], samples >> 8)


def test_alpha_is_ignored():
    image = gradient()
    image.putalpha(7)
    np.testing.assert_array_equal(
        decode_image(encoded(image, "PNG")), np.asarray(gradient().convert("RGB"))
    )


def test_the_first_frame_stands_for_an_animated_gif():
    first = gradient().quantize(50)
    animation = encoded(
        first, "GIF", save_all=True, append_images=[first.rotate(90), first.rotate(180)]
    )
    np.testing.assert_array_equal(decode_image(animation), np.asarray(first.convert("RGB")))


def test_the_first_bytes_decide_the_format():
    assert inspect_image(encoded(gradient(), "BMP")).format == "BMP"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"this is a list of photos", "text, not an image"),
        (b"\x00\x01\x02\x03 binary", "not an image"),
        (b"II*\0" + bytes(20), "a broken TIFF image: its header cannot be read"),
        (b"\0\0\0\x1cftypavif" + bytes(20), "a broken AVIF image: its header cannot be read"),
        (b"\0\0\0\x1cftypisom" + bytes(20), "a video, or a HEIF image of another kind"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "a broken JPEG image"),
        (b"\x89PNG\r\n\x1a\n", "a broken PNG image"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI" + bytes(range(30)), "a broken PNG image: its header"),
        (b"BM" + bytes(12) + b"\x0c\0\0\0" + bytes(range(40)), "a BMP image of an old kind$"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(content, reason):
    with pytest.raises(DataError, match=reason):
        inspect_image(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.98])
def test_a_truncated_image_is_refused(kind, share):
    whole = encoded(gradient(60, 80), kind)
    with pytest.raises(DataError, match=f"(?i)broken {kind} image: "):
        inspect_image(whole[: int(len(whole) * share)])


def test_an_image_that_would_fill_the_memory_is_refused_before_it_is_decoded():
    bomb = bytearray(encoded(gradient(), "PNG"))
    bomb[16:24] = (50_000).to_bytes(4, "big") * 2
    with pytest.raises(DataError, match="50000x50000 pixels are more than the 80,000,000 allowed"):
        inspect_image(bytes(bomb))


@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0}, {"quality": 100}, {"restart_marker_blocks": 3}, {"progressive": True}],
    ids=str,
)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 17), (60, 80)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_nothing_is_said_to_be_corrupt_in_a_jpeg_that_is_not(size, mode, options):
    photo = gradient(*size).convert(mode)
    assert inspect_image(encoded(photo, "JPEG", **options)).corruption == ""
    assert inspect_image(encoded(Image.new(mode, size, 0), "JPEG", **options)).corruption == ""


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_what_is_corrupt_in_a_jpeg_is_said_although_it_can_be_decoded(mode):
    photo = encoded(gradient(60, 80).convert(mode), "JPEG")
    end = b"\xff\xd9"
    assert "go on after" in inspect_image(photo[:-2] + bytes(20) + end).corruption
    assert "end before" in inspect_image(photo[:-30] + end).corruption
    assert "between its segments" in inspect_image(photo[:2] + b"\xff\x01ab" + photo[2:]).corruption


def test_fill_bytes_before_the_end_mark_are_no_data_of_a_jpeg():
    photo, end = encoded(gradient(60, 80), "JPEG"), b"\xff\xd9"
    for fill in (b"\xff", b"\xff" * 20):
        assert inspect_image(photo[:-2] + fill + end).corruption == ""
        assert "end before" in inspect_image(photo[:-30] + fill + end).corruption
        assert "go on after" in inspect_image(photo[:-2] + bytes(20) + fill + end).corruption


def test_an_animated_webp_is_refused():
    animation = encoded(gradient(), "WEBP", save_all=True, append_images=[gradient().rotate(90)])
    with pytest.raises(DataError, match="animated WebP"):
        inspect_image(animation)
