"""Small pictures inside the page: JPEG data URIs, and maps laid over a photo."""

import base64
import io

import numpy as np
from PIL import Image

_SIDE_PX = 168
_QUALITY = 72
# Of a map from 0 to 1: dark violet over magenta and orange to light yellow, which stay apart in
# grey and for colour-blind readers.
_STOPS = np.array(
    [[13, 8, 60], [84, 15, 109], [187, 55, 84], [249, 142, 9], [252, 255, 164]], np.float32
)


def data_uri(pixels: np.ndarray) -> str:
    """Returns a photo as a JPEG data URI, its longer side 168 px at most.

    Args:
        pixels: [height, width, 3], RGB, 0..255.
    """
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
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
        pixels: float [height, width, 3], 0..255.
        heat: float [height, width], 0..1.
    """
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    position = np.clip(heat, 0, 1) * (len(_STOPS) - 1)
    lower = np.minimum(position.astype(int), len(_STOPS) - 2)
    share = (position - lower)[..., None]
    colours = _STOPS[lower] * (1 - share) + _STOPS[lower + 1] * share
    weight = (0.25 + 0.45 * np.clip(heat, 0, 1))[..., None]
    return grey[..., None] * (1 - weight) + colours * weight
