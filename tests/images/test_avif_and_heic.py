"""AVIF and HEIC files: the image as it is meant to be seen, and which files are not read."""

import importlib
import io
import sys

import numpy as np
import pytest
from PIL import Image

from tfft.errors import DataError
from tfft.images.decode import decode_grey, decode_image
from tfft.images.exif import turned_upright
from tfft.images.formats import image_format
from tfft.images.heif import boxed_format
from tfft.images.inspect import image_size, inspect_image


def _picture() -> Image.Image:
    rows, columns = np.mgrid[0:48, 0:72]
    image = np.stack([rows * 5, columns * 3, 255 * ((rows // 16 + columns // 24) % 2)], axis=-1)
    return Image.fromarray(image.astype(np.uint8))


_PICTURE = _picture()
_RGB = np.asarray(_PICTURE)


def _encoded(kind: str, image: Image.Image = _PICTURE, orientation: int = 1, **options) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    if kind == "HEIC":
        pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
        pillow_heif.register_heif_opener()
        kind, options = "HEIF", {"quality": 95, "chroma": 444, **options}
    else:
        options = {"quality": 95, "subsampling": "4:4:4", **options}
    image.save(content, kind, exif=exif.tobytes(), **options)
    return content.getvalue()


both = pytest.mark.parametrize("kind", ["AVIF", "HEIC"])


@both
def test_the_pixels_are_those_that_were_written_but_for_the_loss(kind):
    encoded = _encoded(kind)
    assert image_format(encoded) == inspect_image(encoded).format == kind
    assert np.abs(decode_image(encoded).astype(int) - _RGB).mean() < 4
    assert decode_grey(encoded).shape == image_size(encoded) == (48, 72)


@both
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_it_is_turned_as_it_says(kind, orientation):
    encoded = _encoded(kind, orientation=orientation)
    upright = turned_upright(_RGB, orientation)
    assert image_size(encoded) == upright.shape[:2]
    assert np.abs(decode_image(encoded).astype(int) - upright).mean() < 4


@both
def test_alpha_says_how_opaque_a_pixel_is(kind):
    image = _PICTURE.copy()
    image.putalpha(Image.fromarray((_RGB[..., 0] // 2).astype(np.uint8)))
    found = decode_image(_encoded(kind, image), alpha=True)
    assert np.abs(found[..., 3].astype(int) - _RGB[..., 0] // 2).mean() < 4
    assert (decode_image(_encoded(kind), alpha=True)[..., 3] == 255).all()


@both
def test_grey_becomes_rgb(kind):
    found = decode_image(_encoded(kind, _PICTURE.convert("L")))
    assert found.shape == (48, 72, 3) and np.ptp(found, axis=-1).max() <= 3


def test_of_an_animation_the_first_frame_is_read():
    later = [_PICTURE.rotate(180), _PICTURE.rotate(90)]
    encoded = _encoded("AVIF", save_all=True, append_images=later)
    assert np.abs(decode_image(encoded).astype(int) - _RGB).mean() < 6


@both
@pytest.mark.parametrize("share", [0.05, 0.4, 0.97])
def test_a_truncated_image_is_refused(kind, share):
    whole = _encoded(kind)
    for read in (inspect_image, decode_image):
        with pytest.raises(DataError, match=f"a broken {kind} image: |not an image"):
            read(whole[: int(len(whole) * share)])


@both
def test_more_pixels_than_are_allowed_are_refused_before_they_are_decoded(kind):
    encoded = bytearray(_encoded(kind))
    start = 0
    while (start := encoded.find(b"ispe", start) + 8) >= 8:
        encoded[start : start + 8] = (12_000).to_bytes(4, "big") * 2
    with pytest.raises(DataError, match=f"12000x12000 pixels are more|a broken {kind} image"):
        inspect_image(bytes(encoded))


def test_without_the_extra_a_heic_file_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    header = (24).to_bytes(4, "big") + b"ftypheic\0\0\0\0mif1heic"
    with pytest.raises(DataError, match=r"pip install 'tfft\[heic\]' \(its wheels hold .* GPL\)"):
        inspect_image(header + bytes(500))


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        ("avif mif1", "AVIF"),
        ("mif1 avif miaf", "AVIF"),
        ("avis avif msf1", "AVIF"),
        ("mif1 heic", "HEIC"),
        ("heic mif1 avif", "HEIC"),
        ("heix mif1", "HEIC"),
        ("msf1 hevc", "HEIC"),
        ("mif1 miaf", None),
        ("isom iso2 mp41", None),
        ("qt  ", None),
    ],
)
def test_the_brands_of_a_file_say_what_it_is(brands, kind):
    first, *others = (brand.ljust(4).encode() for brand in brands.split(" ") if brand)
    content = b"ftyp" + first + bytes(4) + b"".join(others)
    file = (len(content) + 4).to_bytes(4, "big") + content + bytes(40)
    assert boxed_format(file) == kind
    if kind is None:
        with pytest.raises(DataError, match="a video, or a HEIF image of another kind"):
            image_format(file)


def test_nothing_of_pillow_heif_is_imported_without_a_heic_file():
    importlib.import_module("tfft.images.decode")
    decode_image(_encoded("AVIF"))
    assert "pillow_heif" not in sys.modules or importlib.util.find_spec("pillow_heif")
