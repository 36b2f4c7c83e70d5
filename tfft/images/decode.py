"""From encoded bytes to upright RGB: JPEG, PNG, WebP, BMP, the first frame of a GIF, and others.

The same values as `tfft.data.graph.decode` computes with TensorFlow, and the same images refused;
but for TIFF, AVIF and HEIC, which TensorFlow does not read (`tfft.images.portable`).
Where Pillow draws lines elsewhere, the modules of the formats give it files without what it would
mind; where its conversion differs, the values are TensorFlow's: 16-bit samples keep their high
byte, CMYK is multiplied out, alpha is ignored.
"""

import io
import struct
import zlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from PIL import Image

from tfft.errors import DataError
from tfft.images.bmp import check_bmp, decode_bmp
from tfft.images.exif import exif_orientation, turned_upright
from tfft.images.formats import (
    WITHOUT_TENSORFLOW,
    announced_orientation,
    check_size,
    image_format,
    spelled,
)
from tfft.images.gif import decode_gif
from tfft.images.heif import open_avif, open_heic
from tfft.images.jpeg import decoded_corruption, has_adobe_marker, plain_jpeg, stray_bytes
from tfft.images.png import check_png, plain_png
from tfft.images.tiff import is_negative, open_tiff
from tfft.images.webp import plain_webp

_Found = TypeVar("_Found")
# What Pillow's decoders raise on files that are not what they should be.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, RuntimeError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)


def decode_image(encoded: bytes, alpha: bool = False) -> np.ndarray:
    """Decodes an image as it is meant to be seen.

    Args:
        encoded: Bytes of the file.
        alpha: Whether to return a fourth channel that says how opaque each pixel is, 0..255. PNG,
            WebP, TIFF, AVIF and HEIC may have one; other images are opaque (255).

    Returns:
        uint8 [height, width, 3], RGB, upright; with `alpha` [height, width, 4].

    Raises:
        DataError: The format is not allowed, or the image is truncated, broken or too large. The
            message has no path: the caller knows it.
    """
    kind = _checked_kind(encoded)
    opacity = None
    if kind == "BMP":
        check_bmp(encoded)
        image = decode_bmp(encoded)
    elif kind == "GIF":
        image = decode_gif(encoded)
    elif kind in WITHOUT_TENSORFLOW:
        opened = _of_pillow(kind, lambda: _OPENED[kind](encoded))
        image = _rgb(opened, is_adobe=kind == "TIFF")
        if kind == "TIFF" and is_negative(encoded):
            image = 255 - image
        opacity = _alpha(kind, opened, encoded) if alpha else None
    else:
        opened = _opened(kind, _PLAIN[kind](encoded))
        image = _rgb(opened, has_adobe_marker(encoded))
        opacity = _alpha(kind, opened, encoded) if alpha else None
    if alpha:
        opacity = np.full((*image.shape[:2], 1), 255, np.uint8) if opacity is None else opacity
        image = np.concatenate([image, opacity], axis=-1)
    return np.ascontiguousarray(turned_upright(image, announced_orientation(encoded, kind)))


def decode_reduced(encoded: bytes, side_px: int) -> np.ndarray:
    """Decodes an image for a small picture of it: a large JPEG at a part of its size, much faster.

    Args:
        encoded: Bytes of the file.
        side_px: Shorter side that is enough.

    Returns:
        uint8 [height, width, 3], RGB, EXIF orientation applied: the image, or where its shorter
        side is twice `side_px` or more a half, a quarter or an eighth of it each way.

    Raises:
        DataError: As `decode_image`.
    """
    kind = _checked_kind(encoded)
    if kind != "JPEG":
        return decode_image(encoded)
    opened = _opened(kind, plain_jpeg(encoded), side_px)
    image = _rgb(opened, has_adobe_marker(encoded))
    return np.ascontiguousarray(turned_upright(image, exif_orientation(encoded)))


def decode_grey(encoded: bytes, side_px: int | None = None) -> np.ndarray:
    """Decodes an image that `check_image` accepts for looking at it, not as a model sees it.

    Args:
        encoded: Bytes of the file.
        side_px: Shorter side that is enough, as of `decode_reduced`; None: all of it.

    Returns:
        uint8 [height, width], luma, upright.
    """
    kind = image_format(encoded)
    if kind in WITHOUT_TENSORFLOW:
        return np.asarray(Image.fromarray(decode_image(encoded)).convert("L"))
    image = Image.open(io.BytesIO(encoded), formats=(kind,))
    if side_px is not None:
        image.draft("L", (side_px, side_px))
    samples = np.asarray(image.convert("L"))[..., None]
    return turned_upright(samples, exif_orientation(encoded))[..., 0]


def check_image(encoded: bytes) -> tuple[str, str]:
    """Reads all of an image, so that `decode_image` cannot fail.

    Returns:
        Its format, one of `FORMATS`, and what in it is corrupt although it can be decoded: "" if
        nothing is. That is found in JPEG files only.

    Raises:
        DataError: As `decode_image`.
    """
    kind = _checked_kind(encoded)
    if kind == "JPEG":
        plain = plain_jpeg(encoded)
        corruption = _of_pillow(kind, lambda: decoded_corruption(plain))
        return kind, corruption or stray_bytes(encoded)
    if kind == "PNG":
        check_png(encoded)
    elif kind == "BMP":
        check_bmp(encoded)
    elif kind == "GIF":
        decode_gif(encoded)
    elif kind == "WEBP":
        _opened(kind, plain_webp(encoded))
    else:
        decode_image(encoded)
    return kind, ""


_PLAIN = {"JPEG": plain_jpeg, "PNG": plain_png, "WEBP": plain_webp}
_OPENED = {"TIFF": open_tiff, "AVIF": open_avif, "HEIC": open_heic}


def _checked_kind(encoded: bytes) -> str:
    kind = image_format(encoded)
    check_size(encoded, kind)
    return kind


def _opened(kind: str, plain: bytes, side_px: int | None = None) -> Image.Image:
    """Returns an image decoded, fully or reduced, in whatever mode Pillow reads it."""

    def load() -> Image.Image:
        image = Image.open(io.BytesIO(plain), formats=(kind,))
        if side_px is not None:
            image.draft(None, (side_px, side_px))
        image.load()
        return image

    return _of_pillow(kind, load)


def _of_pillow(kind: str, function: Callable[[], _Found]) -> _Found:
    """Returns what a function returns that calls Pillow's decoders."""
    try:
        return function()
    except Image.UnidentifiedImageError as error:
        raise DataError(f"a broken {spelled(kind)} image: its header cannot be read") from error
    except _BROKEN as error:
        is_cut = "truncated" in str(error)
        what = "the file is truncated" if is_cut else "its image data are damaged"
        raise DataError(f"a broken {spelled(kind)} image: {what}") from error


def _rgb(image: Image.Image, is_adobe: bool) -> np.ndarray:
    """Returns uint8 [height, width, 3]; `is_adobe`: that CMYK samples say how much ink there is."""
    if image.mode in ("P", "PA"):
        return _palette_to_rgb(image)
    if image.mode == "CMYK":
        return _cmyk_to_rgb(np.asarray(image), inverted=is_adobe)
    return _samples_to_rgb(np.asarray(image), image.mode)


def _alpha(kind: str, image: Image.Image, encoded: bytes) -> np.ndarray | None:
    """Returns uint8 [height, width, 1], or None where there is none.

    A PNG of fewer than 8 bits a sample counts as opaque.
    """
    says_so = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA")
    has_few_bits = kind == "PNG" and encoded[24] < 8
    if kind == "JPEG" or not says_so or has_few_bits:
        return None
    return np.asarray(image.convert("RGBA"))[..., 3:]


def _samples_to_rgb(samples: np.ndarray, mode: str) -> np.ndarray:
    if mode == "1":
        samples = samples.astype(np.uint8) * 255
    elif mode.startswith("I"):  # 16-bit grey
        samples = (samples.astype(np.uint32) >> 8).astype(np.uint8)
    if samples.ndim == 2:
        samples = samples[..., None]
    if mode in ("RGB", "RGBA", "RGBX"):
        return samples[..., :3]
    if mode in ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L"):
        return np.repeat(samples[..., :1], 3, axis=-1)
    raise DataError("an image of colours that are not handled")


def _palette_to_rgb(image: Image.Image) -> np.ndarray:
    colours = np.zeros((256, 3), np.uint8)
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colours[: len(palette)] = palette
    indices = np.asarray(image if image.mode == "P" else image.getchannel(0))
    return colours[indices]


def _cmyk_to_rgb(cmyk: np.ndarray, inverted: bool) -> np.ndarray:
    """Multiplies ink out in whole numbers, as TensorFlow's JPEG reader does.

    Pillow always takes the samples for inverted, as Adobe writes them; without Adobe's marker
    they are not.
    """
    light = 255 - cmyk.astype(np.uint16) if inverted else cmyk.astype(np.uint16)
    return (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
