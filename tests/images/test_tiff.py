"""TIFF files: the first page as it is meant to be seen, or the reason why it is not read."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from tfft.errors import DataError
from tfft.images.decode import decode_grey, decode_image, decode_reduced
from tfft.images.exif import turned_upright
from tfft.images.inspect import image_size, inspect_image

_RGB = np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)
_PICTURE = Image.fromarray(_RGB)
_GREY = _PICTURE.convert("L")
_ALPHA = np.arange(23 * 31, dtype=np.uint32).astype(np.uint8).reshape(23, 31)


def _tiff(image: Image.Image, **options) -> bytes:
    content = io.BytesIO()
    image.save(content, "TIFF", **options)
    return content.getvalue()


def _by_hand(
    samples: np.ndarray, photometric: int, order: str = "<", tags: dict[int, tuple] | None = None
) -> bytes:
    """An uncompressed file of samples [height, width, n]; other tags as (type, values)."""
    height, width, count = samples.shape
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    fields: dict[int, tuple] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8 * samples.itemsize] * count),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, [8]),
        277: (3, [count]),
        278: (4, [height]),
        279: (4, [len(data)]),
        **(tags or {}),
    }
    start = 8 + len(data)
    behind = start + 2 + 12 * len(fields) + 4
    entries, values = b"", b""
    for tag, (kind, numbers) in sorted(fields.items()):
        content = struct.pack(f"{order}{len(numbers)}{'HI'[kind == 4]}", *numbers)
        place = content.ljust(4, b"\0")
        if len(content) > 4:
            place = struct.pack(f"{order}I", behind + len(values))
            values += content
        entries += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + place
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + values
    return mark + struct.pack(f"{order}I", start) + data + directory


@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "tiff_deflate"]
)
def test_every_compression_without_loss_gives_the_pixels(compression):
    encoded = _tiff(_PICTURE, compression=compression)
    np.testing.assert_array_equal(decode_image(encoded), _RGB)
    assert inspect_image(encoded).format == "TIFF"


def test_jpeg_and_fax_inside_are_read():
    smooth = _PICTURE.resize((310, 230), Image.Resampling.BICUBIC)
    difference = decode_image(_tiff(smooth, compression="jpeg", quality=95)) - np.asarray(
        smooth, np.float32
    )
    assert np.abs(difference).mean() < 12
    black = _PICTURE.convert("1")
    expected = np.asarray(black.convert("RGB"))
    for fax in ("group3", "group4", "tiff_ccitt"):
        np.testing.assert_array_equal(decode_image(_tiff(black, compression=fax)), expected)


def test_colours_become_rgb_as_those_of_other_formats():
    for image in (_GREY, _PICTURE.quantize(32), _PICTURE.convert("1")):
        np.testing.assert_array_equal(decode_image(_tiff(image)), np.asarray(image.convert("RGB")))
    ink = np.asarray(_PICTURE.convert("CMYK")).astype(np.uint16)
    light = 255 - ink
    expected = light[..., :3] * light[..., 3:] // 255
    for compression in (None, "tiff_lzw"):
        encoded = _tiff(_PICTURE.convert("CMYK"), compression=compression)
        np.testing.assert_array_equal(decode_image(encoded), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_of_16_bits_the_high_byte_counts_and_white_may_be_zero(order, photometric):
    deep = np.random.default_rng(1).integers(0, 2**16, (23, 31, 1), np.uint16)
    found = decode_image(_by_hand(deep, photometric, order))
    high = (deep >> 8).astype(np.uint8)
    np.testing.assert_array_equal(found, np.repeat(high if photometric else 255 - high, 3, axis=-1))


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_16_bits_keep_their_high_byte(order):
    deep = np.random.default_rng(1).integers(0, 2**16, (23, 31, 3), np.uint16)
    np.testing.assert_array_equal(decode_image(_by_hand(deep, 2, order)), deep >> 8)


def test_alpha_says_how_opaque_a_pixel_is_and_is_undone_where_it_was_multiplied_in():
    rgba = np.concatenate([_RGB, _ALPHA[..., None]], axis=-1)
    found = decode_image(_tiff(Image.fromarray(rgba)), alpha=True)
    np.testing.assert_array_equal(found, rgba)
    np.testing.assert_array_equal(decode_image(_tiff(Image.fromarray(rgba))), _RGB)
    half = np.full((4, 5, 4), 128, np.uint8)
    multiplied = decode_image(_by_hand(half, 2, tags={338: (3, [1])}), alpha=True)
    assert multiplied[0, 0].tolist() == [255, 255, 255, 128]
    assert (decode_image(_tiff(_PICTURE), alpha=True)[..., 3] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_as_it_says(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = _tiff(_PICTURE, exif=exif)
    upright = turned_upright(_RGB, orientation)
    np.testing.assert_array_equal(decode_image(encoded), upright)
    np.testing.assert_array_equal(decode_reduced(encoded, 5), upright)
    assert image_size(encoded) == upright.shape[:2] == decode_grey(encoded, 5).shape
    assert inspect_image(encoded).orientation == orientation


def test_of_several_pages_the_first_is_read_and_no_other():
    pages = [_PICTURE.rotate(90), _PICTURE.rotate(180)]
    encoded = _tiff(_PICTURE, save_all=True, append_images=pages)
    np.testing.assert_array_equal(decode_image(encoded), _RGB)
    plain = _by_hand(_RGB, 2)
    start = struct.unpack("<I", plain[4:8])[0]
    end = start + 2 + 12 * struct.unpack("<H", plain[start : start + 2])[0]
    of_itself = plain[:end] + plain[4:8] + plain[end + 4 :]  # the next page is the first
    np.testing.assert_array_equal(decode_image(of_itself), _RGB)


def test_strips_tiles_and_planes_are_put_together():
    square = np.random.default_rng(2).integers(0, 256, (32, 32, 3), np.uint8)
    planes = np.ascontiguousarray(square.transpose(2, 0, 1)).reshape(32, 32, 3)
    places = {273: (4, [8, 8 + 1024, 8 + 2048]), 279: (4, [1024] * 3), 284: (3, [2])}
    np.testing.assert_array_equal(decode_image(_by_hand(planes, 2, tags=places)), square)
    tiles = square.reshape(2, 16, 2, 16, 3).transpose(0, 2, 1, 3, 4).reshape(32, 32, 3)
    offsets = [8 + 768 * number for number in range(4)]
    tiled = {322: (3, [16]), 323: (3, [16]), 324: (4, offsets), 325: (4, [768] * 4)}
    fields = _by_hand(np.ascontiguousarray(tiles), 2, tags=tiled)
    without_strips = fields.replace(struct.pack("<HH", 273, 4), struct.pack("<HH", 60_000, 4))
    np.testing.assert_array_equal(decode_image(without_strips), square)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (_tiff(Image.fromarray(_RGB[..., 0].astype(np.float32))), "signed or floating samples"),
        (_tiff(Image.fromarray(_RGB[..., 0].astype(np.int32))), "signed or floating samples"),
        (_by_hand(_RGB, 2, tags={339: (3, [2] * 3)}), "signed or floating samples"),
        (_tiff(Image.new("LAB", (9, 9))), "colours of kind 8"),
        (_tiff(_PICTURE.convert("YCbCr")), "colours of kind 6"),
        (_tiff(_PICTURE, compression="lzma"), "compressed by method 34925"),
        (_tiff(_PICTURE, big_tiff=True), "a BigTIFF image; allowed are"),
        (_by_hand(_RGB, 2, tags={258: (3, [8, 8, 4])}), "8-bit samples"),
        (_by_hand(_RGB, 2, tags={258: (3, [12] * 3)}), "12-bit samples"),
        (_by_hand(_RGB, 2, tags={277: (3, [9])}), "9 samples a pixel"),
        (_by_hand(_RGB.astype(np.uint16), 2, tags={284: (3, [2])}), "a plane a colour, of 16 bits"),
        (_by_hand(_RGB, 2, tags={254: (4, [1]), 330: (4, [8])}), "the raw file of a camera"),
        (_by_hand(_RGB, 2, tags={50706: (4, [1])}), "the raw file of a camera"),
        (_by_hand(_RGB, 2, tags={256: (4, [9000]), 257: (4, [9000])}), "9000x9000 pixels are more"),
        (_by_hand(_RGB, 2, tags={256: (4, [0])}), "its header cannot be read"),
        (_by_hand(_RGB, 2, tags={256: (4, [9, 9])}), "its header cannot be read"),
        (_by_hand(_RGB, 2, tags={322: (4, [2**20]), 323: (4, [2**20])}), "tiles of 1,099,511"),
        (_by_hand(_RGB, 2, tags={273: (4, [8 + 10**6])}), "a broken TIFF image"),
        (b"II*\0" + bytes(20), "its header cannot be read"),
        (b"MM\0*\xff\xff\xff\xff" + bytes(20), "its header cannot be read"),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(encoded, reason):
    for read in (inspect_image, decode_image):
        with pytest.raises(DataError, match=reason):
            read(encoded)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "jpeg"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_rows_that_are_missing_are_missed(compression, share):
    whole = _tiff(_PICTURE.resize((310, 230)), compression=compression)
    with pytest.raises(DataError, match="a broken TIFF image: "):
        inspect_image(whole[: int(len(whole) * share)])


def test_what_libtiff_finds_wrong_is_not_written_past_python(capfd):
    damaged = bytearray(_tiff(_PICTURE, compression="tiff_lzw"))
    damaged[20:60] = bytes(range(40))
    with pytest.raises(DataError, match="image data are damaged"):
        inspect_image(bytes(damaged))
    assert capfd.readouterr() == ("", "")


_SEEDS = [
    *(_tiff(_PICTURE, compression=name) for name in (None, "tiff_lzw", "jpeg", "zstd")),
    *(_by_hand(_RGB, 2, order) for order in "<>"),
    _tiff(_PICTURE.quantize(16)),
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_anywhere_is_read_or_refused_and_nothing_else(data):
    encoded = bytearray(data.draw(st.sampled_from(_SEEDS)))
    for _ in range(data.draw(st.integers(1, 4))):
        from_end = data.draw(st.booleans())
        place = data.draw(st.integers(0, min(300, len(encoded) - 1)))
        encoded[-1 - place if from_end else place] = data.draw(
            st.sampled_from([0, 1, 2, 3, 4, 8, 127, 255])
        )
    file = bytes(encoded[: data.draw(st.sampled_from([len(encoded), len(encoded) // 2]))])
    try:
        image = decode_image(file, alpha=True)
    except DataError:
        return
    assert image.shape == (*image_size(file), 4)


def test_pillow_is_given_a_directory_without_texts_and_profiles():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270] = "a" * 100_000
    encoded = _tiff(_PICTURE, tiffinfo=tags, icc_profile=b"x" * 50_000)
    np.testing.assert_array_equal(decode_image(encoded), _RGB)
