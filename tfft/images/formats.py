"""What an encoded image says of itself before it is decoded: its format, its size, its turn."""

from tfft.errors import DataError
from tfft.images.bmp import bmp_size
from tfft.images.exif import exif_orientation, tiff_orientation
from tfft.images.gif import gif_size
from tfft.images.heif import avif_orientation, avif_size, boxed_format, heic_size
from tfft.images.jpeg import jpeg_size
from tfft.images.png import png_size
from tfft.images.tiff import tiff_size
from tfft.images.webp import webp_size
from tfft.system.readable import size_text

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "HEIC")
# TensorFlow does not read these: `tfft.images.portable` gives it PNG files of them.
WITHOUT_TENSORFLOW = ("TIFF", "AVIF", "HEIC")

# More pixels than any camera photo (10,000 x 8,000), and below the number at which Pillow warns.
MAX_PIXELS = 80_000_000
# What so many take uncompressed, with four samples of 16 bits each.
MAX_BYTES = 8 * MAX_PIXELS


def image_format(encoded: bytes) -> str:
    """Returns which of `FORMATS` the first bytes announce; names and extensions say nothing.

    Raises:
        DataError: They announce none of them; the message says what they look like, if known.
    """
    if encoded[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if encoded[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if encoded[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if encoded[:2] == b"BM":
        return "BMP"
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        return "WEBP"
    if encoded[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    if (boxed := boxed_format(encoded)) is not None:
        return boxed
    raise DataError(
        f"{_appearance(encoded)}; allowed are JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF and HEIC"
    )


def _appearance(encoded: bytes) -> str:
    if not encoded:
        return "the file is empty"
    if encoded[4:8] == b"ftyp":
        return "a video, or a HEIF image of another kind"
    if encoded[:4] in (b"II+\0", b"MM\0+"):
        return "a BigTIFF image"
    start = encoded[:64]
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in start):
        return "text, not an image"
    return "not an image"


def check_length(length: int) -> None:
    """Refuses a file that is longer than any image.

    Args:
        length: Its length in bytes.

    Raises:
        DataError: It is longer than `MAX_BYTES`.
    """
    if length > MAX_BYTES:
        raise DataError(
            f"a file of {size_text(length)}; an image has at most {size_text(MAX_BYTES)}"
        )


def spelled(kind: str) -> str:
    """Returns a format, one of `FORMATS`, as it is written in a sentence."""
    return "WebP" if kind == "WEBP" else kind


def check_size(encoded: bytes, kind: str) -> None:
    """Refuses an image that is too long, or whose header announces too many pixels, or none.

    Args:
        encoded: Bytes of the file.
        kind: Its format, one of `FORMATS`.

    Raises:
        DataError: It is too large, or has no size.
    """
    check_length(len(encoded))
    height, width = announced_size(encoded, kind)
    if height * width > MAX_PIXELS:
        raise DataError(
            f"{width}x{height} pixels are more than the {MAX_PIXELS:,} allowed (a decompression "
            f"bomb?)"
        )
    if not height * width:
        raise DataError(f"a broken {spelled(kind)} image: its header cannot be read")


def announced_size(encoded: bytes, kind: str) -> tuple[int, int]:
    """Returns (height, width) from the header of an image of format `kind`, or zeros.

    Raises:
        DataError: A GIF ends before its first frame does; a BMP has a header of an old kind; the
            header of a TIFF, AVIF or HEIC file cannot be read.
    """
    return _SIZES[kind](encoded)


def announced_orientation(encoded: bytes, kind: str) -> int:
    """Returns how an image of format `kind` is to be turned, as an EXIF orientation, 1..8."""
    return _ORIENTATIONS[kind](encoded) if kind in _ORIENTATIONS else 1


_SIZES = {
    "JPEG": jpeg_size,
    "PNG": png_size,
    "GIF": gif_size,
    "BMP": bmp_size,
    "WEBP": webp_size,
    "TIFF": tiff_size,
    "AVIF": avif_size,
    "HEIC": heic_size,  # turned already
}
_ORIENTATIONS = {"JPEG": exif_orientation, "TIFF": tiff_orientation, "AVIF": avif_orientation}
