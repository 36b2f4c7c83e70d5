"""Decoded images become the pixels that a PixelSpec asks for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tfft.images.geometry import Window, box_pixels, output_window
from tfft.images.pixels import to_pixels
from tfft.images.spec import PixelSpec


def test_a_spec_survives_json():
    spec = PixelSpec(224, 192, resize=256, interpolation="bicubic")
    assert PixelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"height": 0, "width": 8}, "positive"),
        ({"height": 8, "width": 8, "channels": 5}, "Received: channels=5"),
        ({"height": 8, "width": 8, "resize": 7}, "at least the output's longer side, 8"),
        ({"height": 8, "width": 8, "fit": "stretch", "resize": 9}, "not to 'stretch'"),
    ],
)
def test_an_impossible_spec_is_refused(values, fault):
    with pytest.raises(ValueError, match=fault):
        PixelSpec(**values)


def test_the_shorter_side_is_resized_and_the_centre_cut():
    assert output_window(500, 375, PixelSpec(224, 224, resize=256)) == Window(341, 256, 58, 16)
    assert output_window(375, 500, PixelSpec(224, 224)) == Window(224, 299, 0, 37)
    assert output_window(375, 500, PixelSpec(224, 200, fit="stretch")) == Window(224, 200, 0, 0)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 400), st.integers(1, 400))
def test_the_window_always_lies_in_the_resized_image(height, width, out_height, out_width):
    window = output_window(height, width, PixelSpec(out_height, out_width))
    assert 0 <= window.top <= window.resized_height - out_height
    assert 0 <= window.left <= window.resized_width - out_width


def test_a_box_is_rounded_to_whole_pixels_inside_the_image():
    assert box_pixels(10, 20, (0.1, 0.12, 0.96, 1.0)) == (1, 2, 10, 20)
    assert box_pixels(10, 20, (-1.0, 0.5, 2.0, 0.5)) == (0, 10, 10, 11)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_an_image_of_the_right_size_is_left_alone(interpolation):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    pixels = to_pixels(image, PixelSpec(9, 7, interpolation=interpolation))
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, image, atol=1e-4)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5, 6), (31, 44), (90, 70)])
def test_resizing_is_antialiased_as_pillow_does_it(interpolation, size):
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    spec = PixelSpec(*size, fit="stretch", interpolation=interpolation)
    kernel = getattr(Image.Resampling, interpolation.upper())
    for channel in range(3):
        grey = Image.fromarray(image[..., channel].astype(np.float32))
        expected = np.clip(np.asarray(grey.resize(size[::-1], kernel)), 0, 255)
        np.testing.assert_allclose(to_pixels(image, spec)[..., channel], expected, atol=0.02)


def test_a_very_long_image_costs_only_what_is_cut_from_it():
    image = np.zeros((1, 30_000, 3), np.uint8)
    assert to_pixels(image, PixelSpec(224, 224)).shape == (224, 224, 3)


def test_the_box_is_cut_before_resizing():
    image = np.zeros((10, 10, 3), np.uint8)
    image[:5, :5] = 200
    pixels = to_pixels(image, PixelSpec(4, 4), box=(0.0, 0.0, 0.5, 0.5))
    np.testing.assert_allclose(pixels, 200.0, atol=1e-3)
