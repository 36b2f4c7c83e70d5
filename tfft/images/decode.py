"""From encoded bytes to upright RGB: JPEG, PNG, WebP, BMP and the first frame of a GIF.

The same values as `tfft.data.graph.decode` computes with TensorFlow. Where Pillow's own conversion
differs, the values are TensorFlow's: 16-bit samples keep their high byte, CMYK is multiplied out,
alpha is ignored, and a GIF is as large as its largest frame, black where the first is transparent
or does not reach.
"""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfft.errors import DataError
from tfft.images.exif import exif_orientation, turned_upright
from tfft.images.formats import check_size, check_variant, gif_frames, image_format

# What Pillow's decoders raise on files that are not what they should be.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error)


@dataclass(frozen=True)
class OpenedImage:
    """A fully decoded image that is neither RGB nor upright yet.

    Attributes:
        format: One of `FORMATS`.
        image: The decoded image, in whatever mode Pillow read it.
        orientation: EXIF orientation, 1..8.
    """

    format: str
    image: Image.Image
    orientation: int


def decode_image(encoded: bytes, alpha: bool = False) -> np.ndarray:
    """Decodes an image as it is meant to be seen.

    Args:
        encoded: Bytes of the file.
        alpha: Whether to return a fourth channel that says how opaque each pixel is, 0..255. Only
            PNG and WebP have one; other images are opaque (255).

    Returns:
        uint8 [height, width, 3], RGB, EXIF orientation applied; with `alpha` [height, width, 4].

    Raises:
        DataError: The format is not allowed, or the image is truncated, broken or too large. The
            message has no path: the caller knows it.
    """
    opened = open_image(encoded)
    image = _rgb(opened, encoded)
    if alpha:
        image = np.concatenate([image, _alpha(opened, encoded, image.shape)], axis=-1)
    return np.ascontiguousarray(turned_upright(image, opened.orientation))


def open_image(encoded: bytes, small: bool = False) -> OpenedImage:
    """Decodes an image fully, without converting it to RGB.

    Args:
        encoded: Bytes of the file.
        small: Whether to decode a JPEG to an eighth of its size, which takes half the time; all its
            bytes are read all the same.

    Raises:
        DataError: As `decode_image`.
    """
    kind = image_format(encoded)
    check_size(encoded, kind)
    check_variant(encoded, kind)
    try:
        image = Image.open(io.BytesIO(encoded), formats=(kind,))
        if small:
            image.draft(None, (1, 1))
        image.load()
    except (*_BROKEN, zlib.error, Image.DecompressionBombError) as error:
        raise DataError(f"a broken {kind} image: {_reason(error)}") from error
    return OpenedImage(kind, image, exif_orientation(encoded))


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "its header cannot be read"
    return str(error) or type(error).__name__


def _rgb(opened: OpenedImage, encoded: bytes) -> np.ndarray:
    image = opened.image
    if image.mode in ("P", "PA"):
        rgb = _palette_to_rgb(image)
    elif image.mode == "CMYK":
        rgb = _cmyk_to_rgb(np.asarray(image), inverted="adobe" in image.info)
    else:
        rgb = _samples_to_rgb(np.asarray(image), image.mode)
    return _first_frame(rgb, image, encoded) if opened.format == "GIF" else rgb


def _alpha(opened: OpenedImage, encoded: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Returns uint8 [height, width, 1]; a PNG of fewer than 8 bits a sample counts as opaque."""
    image = opened.image
    says_so = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA")
    few_bits = opened.format == "PNG" and encoded[24] < 8
    if opened.format not in ("PNG", "WEBP") or not says_so or few_bits:
        return np.full((*shape[:2], 1), 255, np.uint8)
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
    raise DataError(f"an image in Pillow's mode {mode}, which is not handled")


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


def _first_frame(rgb: np.ndarray, image: Image.Image, encoded: bytes) -> np.ndarray:
    """Lays the first frame of a GIF on a black canvas as large as its largest frame."""
    frames = gif_frames(encoded)
    if "transparency" in image.info:
        rgb = np.where((np.asarray(image) != image.info["transparency"])[..., None], rgb, 0)
    height, width = (max(frame[side] for frame in frames) for side in (3, 2))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top, frame_width, frame_height = frames[0]
    frame = rgb[top : top + frame_height, left : left + frame_width][: height - top, : width - left]
    canvas[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return canvas
