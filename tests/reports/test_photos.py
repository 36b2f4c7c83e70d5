"""Photos in the page: pixels of every number of channels become RGB."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tfft.reports.photos import data_uri, in_rgb, overlaid


def shown(uri: str) -> np.ndarray:
    """The photo of a data URI, uint8 [height, width, 3]."""
    encoded = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    image = Image.open(io.BytesIO(encoded))
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize(
    ("pixel", "rgb"),
    [
        ([100], [100, 100, 100]),
        ([100, 255], [100, 100, 100]),
        ([100, 0], [255, 255, 255]),
        ([100, 51], [224, 224, 224]),
        ([200, 100, 0], [200, 100, 0]),
        ([200, 100, 0, 255], [200, 100, 0]),
        ([200, 100, 0, 0], [255, 255, 255]),
        ([200, 100, 0, 51], [244, 224, 204]),
    ],
)
def test_grey_is_repeated_and_alpha_laid_over_white(pixel, rgb):
    pixels = np.tile(np.array(pixel, np.float32), (64, 80, 1))
    np.testing.assert_allclose(in_rgb(pixels), np.broadcast_to(rgb, (64, 80, 3)), atol=1e-3)
    photo = shown(data_uri(pixels))
    assert photo.shape == (64, 80, 3)
    np.testing.assert_allclose(photo.mean(axis=(0, 1)), rgb, atol=4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_map_is_laid_over_a_photo_of_any_channels(channels):
    pixels = np.full((64, 64, channels), 255.0, np.float32)
    heat = np.zeros((64, 64), np.float32)
    heat[:, 32:] = 1.0
    laid = overlaid(pixels, heat)
    np.testing.assert_allclose(laid[0, 0], 0.75 * 255 + 0.25 * np.array([13, 8, 60]), atol=0.1)
    np.testing.assert_allclose(laid[0, 63], 0.3 * 255 + 0.7 * np.array([252, 255, 164]), atol=0.1)
    assert shown(data_uri(laid)).shape == (64, 64, 3)
