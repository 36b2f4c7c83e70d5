"""`fit: letterbox`: the whole image is seen, on a ground of one colour, whatever computes it."""

import numpy as np
import pytest
import sample_pictures
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfft.data.graph.augment import augmented_view
from tfft.data.graph.decode import decode_exact, resize_exact, visible_part
from tfft.images import geometry
from tfft.images.geometry import Window, boxes_in_image, boxes_in_part, output_window
from tfft.images.pixels import encoded_to_pixels, to_pixels
from tfft.images.spec import GREY, PixelSpec

_RED = (200, 10, 30)


def _spec(height: int, width: int, **values) -> PixelSpec:
    return PixelSpec(height, width, fit="letterbox", **values)


def _is_fill(pixels: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """bool [height, width]: where pixels have exactly the colour of the ground."""
    return np.all(pixels == np.array(colour, np.float32), axis=-1)


def test_the_image_lies_in_the_middle_of_the_colour():
    image = np.full((20, 40, 3), 77, np.uint8)
    pixels = to_pixels(image, _spec(15, 20, fill=_RED))
    np.testing.assert_allclose(pixels[2:12], 77.0, atol=1e-4)
    assert _is_fill(pixels, _RED).sum(axis=1).tolist() == [20] * 2 + [0] * 10 + [20] * 3


def test_windows_by_hand():
    assert output_window(375, 500, _spec(224, 224)) == Window(168, 224, -28, 0)
    assert output_window(500, 375, _spec(224, 224)) == Window(224, 168, 0, -28)
    assert output_window(100, 100, _spec(64, 97)) == Window(64, 64, 0, -16)
    assert output_window(1, 30_000, _spec(224, 224)) == Window(1, 224, -111, 0)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 400), st.integers(1, 400))
def test_the_whole_image_is_seen_and_one_side_is_filled(height, width, out_height, out_width):
    spec = _spec(out_height, out_width)
    window = output_window(height, width, spec)
    assert 1 <= window.resized_height <= out_height and 1 <= window.resized_width <= out_width
    assert window.resized_height == out_height or window.resized_width == out_width
    assert window.top == -((out_height - window.resized_height) // 2)
    assert window.left == -((out_width - window.resized_width) // 2)
    low, high = np.split(geometry.visible_part(height, width, spec), 2)
    assert (low <= 0).all() and (high >= 1).all()


def test_what_is_filled_is_transparent_and_grey_is_its_luma():
    image = np.full((10, 20, 4), 255, np.uint8)
    of_alpha = to_pixels(image, _spec(20, 20, fill=_RED, channels=4))
    assert of_alpha[0, 0].tolist() == [*_RED, 0] and of_alpha[10, 0].tolist() == [255] * 4
    grey = to_pixels(image[..., :3], _spec(20, 20, fill=_RED, channels=1))
    np.testing.assert_allclose(grey[0, 0], 0.299 * 200 + 0.587 * 10 + 0.114 * 30, atol=1e-3)


def test_an_image_that_has_the_shape_has_nothing_around_it():
    image = np.random.default_rng(0).integers(0, 256, (12, 18, 3), np.uint8)
    for spec in (_spec(12, 18), _spec(30, 45, interpolation="bicubic")):
        plain = PixelSpec(spec.height, spec.width, "stretch", None, spec.interpolation)
        np.testing.assert_array_equal(to_pixels(image, spec), to_pixels(image, plain))


_CUT = (0.1, 0.23, 0.37, 0.9)


# A graph each: two of them here, the others in the slow suite.
@pytest.mark.parametrize(
    ("spec", "box"),
    [
        (_spec(90, 61, fill=_RED), None),
        (_spec(60, 111, interpolation="bicubic", channels=4), _CUT),
        pytest.param(_spec(90, 61, fill=_RED), _CUT, marks=pytest.mark.slow),
        pytest.param(_spec(400, 300, channels=1), None, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_tensorflow_sees_the_same_pixels(kinds, spec, box):
    in_graph = tf.function(
        lambda encoded: decode_exact(encoded, spec, None if box is None else tf.constant(box)),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    for name in ("JPEG", "JPEG, orientation 6", "PNG, 16-bit", "WebP, alpha"):
        pixels = encoded_to_pixels(kinds[name], spec, box)
        np.testing.assert_allclose(in_graph(kinds[name]), pixels, atol=0.001, err_msg=name)


def test_tensorflow_lays_images_of_all_shapes_at_the_same_place():
    spec = _spec(9, 14)
    in_graph = tf.function(
        lambda image: (resize_exact(image, spec), visible_part(tf.shape(image), spec)),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
    )
    generator = np.random.default_rng(0)
    for height, width in [(1, 300), (300, 1), (9, 14), (9, 3), *generator.integers(1, 40, (40, 2))]:
        image = generator.integers(0, 256, (height, width, 3), np.uint8)
        pixels, part = in_graph(image)
        np.testing.assert_allclose(pixels, to_pixels(image, spec), atol=0.001)
        np.testing.assert_array_equal(
            _is_fill(pixels.numpy(), GREY), _is_fill(to_pixels(image, spec), GREY)
        )
        expected = geometry.visible_part(int(height), int(width), spec)
        np.testing.assert_allclose(part, expected, atol=1e-5)


def test_a_box_that_reaches_into_the_ground_ends_with_the_image():
    part = geometry.visible_part(100, 200, _spec(50, 50))
    seen = boxes_in_part(np.array([0.0, 0.5, 1.0, 1.0], np.float32), part)
    np.testing.assert_allclose(seen, [0.24, 0.5, 0.74, 1.0], atol=1e-6)
    back = boxes_in_image(np.array([0.1, 0.5, 0.74, 1.0], np.float32), part)
    np.testing.assert_allclose(back, [0.0, 0.5, 1.0, 1.0], atol=1e-6)


@pytest.mark.slow
def test_a_random_part_is_letterboxed_too_and_shaped_about_as_its_image():
    encoded = sample_pictures.encoded(sample_pictures.picture(60, 240), "JPEG")
    spec = _spec(32, 32, fill=_RED)
    view = tf.function(
        lambda seed: augmented_view(encoded, spec, None, "random_crop", seed),
        input_signature=[tf.TensorSpec([2], tf.int32)],
    )
    ratios = []
    for number in range(30):
        pixels, (ymin, xmin, ymax, xmax) = view([3, number])
        filled = _is_fill(pixels.numpy(), _RED).all(axis=1)
        assert 20 <= filled.sum() <= 27  # an image of 4:1 leaves 24 rows of 32
        height = (32 - filled.sum()) / 32 * float(ymax - ymin)
        assert 0.35 - 0.1 < height * abs(float(xmax - xmin)) <= 1.1
        ratios.append(4 * abs(float(xmax - xmin)) / height)
    assert 2.6 < min(ratios) < 3.9 and 4.1 < max(ratios) < 6.2


def test_colours_are_levels_and_belong_to_letterboxes():
    with pytest.raises(ValueError, match=r"0\.\.255\. Received: fill=\(0, 0, 256\)"):
        _spec(8, 8, fill=(0, 0, 256))
    with pytest.raises(ValueError, match="not to 'crop'"):
        PixelSpec(8, 8, fill=_RED)


def test_only_a_letterbox_is_described_with_its_colour():
    spec = _spec(8, 9, fill=_RED)
    assert spec.to_json()["fill"] == list(_RED)
    assert PixelSpec.from_json(spec.to_json()) == spec
    assert "fill" not in PixelSpec(8, 9).to_json()
