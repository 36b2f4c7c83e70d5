"""Small photos inside the page: JPEG data URIs, and maps laid over a photo."""

import base64
import io

import numpy as np
from PIL import Image

from tfft.images.channels import LUMA, has_alpha

_SIDE_PX = 168
_QUALITY = 72
# Colours of a map from 0 to 1: dark violet, magenta, orange, light yellow, which can be told apart
# in grey and by colour-blind readers.
_STOPS = np.array(
    [[13, 8, 60], [84, 15, 109], [187, 55, 84], [249, 142, 9], [252, 255, 164]], np.float32
)


def in_rgb(pixels: np.ndarray) -> np.ndarray:
    """Returns pixels in RGB: grey is repeated, what is not opaque is laid over white.

    Args:
        pixels: Pixels, [height, width, channels], 0..255, with 1 (grey), 2 (grey, alpha), 3 (RGB)
            or 4 (RGB, alpha) channels.

    Returns:
        Pixels, [height, width, 3], 0..255; `pixels` themselves if they are RGB.
    """
    channels = pixels.shape[-1]
    if channels == 3:
        return pixels
    colours = pixels[..., :3] if channels == 4 else np.repeat(pixels[..., :1], 3, axis=-1)
    if not has_alpha(channels):
        return colours
    opaque = pixels[..., -1:] / 255.0
    return colours * opaque + 255.0 * (1.0 - opaque)


def data_uri(pixels: np.ndarray) -> str:
    """Returns a photo as a JPEG data URI, its longer side 168 px at most.

    Args:
        pixels: Pixels, [height, width, channels], 0..255, as `in_rgb` takes them.
    """
    image = Image.fromarray(np.clip(np.rint(in_rgb(pixels)), 0, 255).astype(np.uint8))
    if max(image.size) < 64:
        factor = 96 // max(image.size)
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    image.thumbnail((_SIDE_PX, _SIDE_PX))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def overlaid(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Returns a photo in grey with a map laid over it.

    Args:
        pixels: Pixels, float [height, width, channels], 0..255, as `in_rgb` takes them.
        heat: Map, float [height, width], 0..1.

    Returns:
        Pixels in RGB, float [height, width, 3], 0..255.
    """
    grey = in_rgb(pixels) @ LUMA
    position = np.clip(heat, 0, 1) * (len(_STOPS) - 1)
    lower = np.minimum(position.astype(int), len(_STOPS) - 2)
    share = (position - lower)[..., None]
    colours = _STOPS[lower] * (1 - share) + _STOPS[lower + 1] * share
    weight = (0.25 + 0.45 * np.clip(heat, 0, 1))[..., None]
    return grey[..., None] * (1 - weight) + colours * weight
