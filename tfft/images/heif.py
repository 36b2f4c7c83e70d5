"""AVIF and HEIC: images in files of ISO boxes, which Pillow and pillow-heif decode.

HEIC needs the extra ``heic``: the wheels of pillow-heif hold libraries under the GPL (x265) and the
LGPL, so tfft neither needs nor brings them. Both are turned by what the file says of its image
(``irot``, ``imir``), as their standard has it: the orientation in EXIF data does not count. Of a
sequence the first image is read, of several still images the primary one.

Source: ISO/IEC 23008-12 (HEIF); AOMedia, AV1 Image File Format 1.1.
"""

import importlib
import importlib.util
import io
from types import ModuleType
from typing import Any

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile

from tfft.errors import DataError

_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_ANY = (b"mif1", b"msf1")
# Brands that are looked at: files have a handful.
_MOST_BRANDS = 64
_ORIENTATION = 0x0112


def boxed_format(encoded: bytes) -> str | None:
    """Returns ``AVIF`` or ``HEIC`` for a file of ISO boxes with such an image, else None."""
    if encoded[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(encoded[:4], "big"), 16 + 4 * _MOST_BRANDS)
    brands = [encoded[8:12], *(encoded[start : start + 4] for start in range(16, end - 3, 4))]
    if any(brand in _AVIF for brand in brands) and brands[0] not in _HEIC:
        return "AVIF"
    is_heic = any(brand in _HEIC for brand in brands)
    return "HEIC" if is_heic and brands[0] in (*_HEIC, *_ANY) else None


def can_read_heic() -> bool:
    """Returns whether the extra ``heic`` is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def avif_size(encoded: bytes) -> tuple[int, int]:
    """Returns the (height, width) that an AVIF file announces, before it is turned.

    Raises:
        DataError: It cannot be read.
    """
    width, height = _avif(encoded).size
    return height, width


def avif_orientation(encoded: bytes) -> int:
    """Returns how an AVIF image is turned, as an EXIF orientation, 1..8."""
    return int(_avif(encoded).getexif().get(_ORIENTATION, 1))


def heic_size(encoded: bytes) -> tuple[int, int]:
    """Returns the (height, width) that a HEIC file announces, turned as it is to be seen.

    Raises:
        DataError: It cannot be read, or the extra ``heic`` is not installed.
    """
    width, height = _heic(encoded).size
    return height, width


def open_avif(encoded: bytes) -> Image.Image:
    """Decodes an AVIF image of a size that was checked; it is not turned."""
    image = _avif(encoded)
    image.load()
    return image


def open_heic(encoded: bytes) -> Image.Image:
    """Decodes a HEIC image of a size that was checked, turned as it is to be seen."""
    return _heic(encoded).to_pillow()


def _avif(encoded: bytes) -> AvifImageFile:
    try:
        return AvifImageFile(io.BytesIO(encoded))
    except (OSError, SyntaxError, ValueError, RuntimeError) as error:
        raise DataError("a broken AVIF image: its header cannot be read") from error


def _heic(encoded: bytes) -> Any:
    """Returns a `pillow_heif.HeifFile`, whose pixels are not decoded yet."""
    try:
        return _pillow_heif().open_heif(encoded, convert_hdr_to_8bit=True)
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError) as error:
        raise DataError("a broken HEIC image: its header cannot be read") from error


def _pillow_heif() -> ModuleType:
    try:
        return importlib.import_module("pillow_heif")
    except ImportError as error:
        raise DataError(
            "a HEIC image, which needs pillow-heif: pip install 'tfft[heic]' (its wheels hold "
            "libraries under the GPL), or convert it to JPEG"
        ) from error
