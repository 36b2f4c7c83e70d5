"""What each augmentation does to pixels, beside Pillow's operations of the same names."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps
from sample_pictures import picture

from tfft.data.graph import augment, rand_augment

# The strength 9 of 10 in the authors' code: enhancements by 1.72, three bits, a threshold of 230.
_FACTOR = 1.72
_ONE = tf.constant(1.0)
_SEED = tf.constant([1, 2], tf.int32)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """uint8 [300, 500, 3], dark and bright, but without black and white."""
    return (np.asarray(picture(300, 500), np.float32) * 0.8 + 45).astype(np.uint8)


def _applied(name: str, pixels: np.ndarray, sign: float = 1.0) -> np.ndarray:
    operation = getattr(rand_augment, f"_{name}")
    changed = operation(tf.constant(pixels, tf.float32), tf.constant(sign))
    return np.clip(changed.numpy(), 0.0, 255.0)


@pytest.mark.parametrize(
    ("name", "of_pillow"),
    [
        ("autocontrast", ImageOps.autocontrast),
        ("equalize", ImageOps.equalize),
        ("posterize", lambda image: ImageOps.posterize(image, 3)),
        ("solarize", lambda image: ImageOps.solarize(image, 231)),
        ("colour", lambda image: ImageEnhance.Color(image).enhance(_FACTOR)),
        ("contrast", lambda image: ImageEnhance.Contrast(image).enhance(_FACTOR)),
        ("brightness", lambda image: ImageEnhance.Brightness(image).enhance(_FACTOR)),
    ],
)
def test_operations_on_colours_are_pillows(photo, name, of_pillow):
    expected = np.asarray(of_pillow(Image.fromarray(photo)), np.float32)
    # Pillow rounds, also on the way.
    assert np.abs(_applied(name, photo) - expected).max() <= 3.0
    assert np.abs(expected - photo).max() > 5.0


def test_sharpness_is_pillows_but_for_its_border(photo):
    expected = np.asarray(ImageEnhance.Sharpness(Image.fromarray(photo)).enhance(_FACTOR))
    actual = _applied("sharpness", photo)
    assert np.abs(actual - expected.astype(np.float32))[1:-1, 1:-1].max() <= 2.0


def test_a_channel_of_one_value_has_no_contrast_to_stretch(photo):
    flat = photo.copy()
    flat[:, :, 1] = 77
    assert (_applied("autocontrast", flat)[:, :, 1] == 77.0).all()


def test_shifts_are_a_share_of_the_side_and_leave_grey_behind(photo):
    shifted = _applied("translate_x", photo)
    np.testing.assert_allclose(shifted[:, :364], photo[:, 135:499], atol=0.01)
    np.testing.assert_allclose(shifted[:, 366:], 128.0)
    shifted = _applied("translate_x", photo, -1.0)
    np.testing.assert_allclose(shifted[:, 136:], photo[:, 1:365], atol=0.01)
    np.testing.assert_allclose(shifted[:, :134], 128.0)
    tall = photo.transpose(1, 0, 2)
    np.testing.assert_allclose(_applied("translate_y", tall)[:364], tall[135:499], atol=0.01)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_turns_and_shears_are_about_the_middle(photo, sign):
    square = photo[:51, :51]
    for name, matrix in (
        ("rotate", [[0.8910065, -0.4539905], [0.4539905, 0.8910065]]),  # 27 degrees
        ("shear_x", [[1.0, 0.27], [0.0, 1.0]]),
        ("shear_y", [[1.0, 0.0], [0.27, 1.0]]),
    ):
        (a, b), (d, e) = np.array(matrix) * [[1, sign], [sign, 1]]
        middle = np.array([25.0, 25.0])
        c, f = middle - np.array([[a, b], [d, e]]) @ middle
        # Pillow's coordinates are of corners, these of the middles of pixels.
        c, f = c + 0.5 - 0.5 * (a + b), f + 0.5 - 0.5 * (d + e)
        moved = Image.fromarray(square).transform(
            (51, 51), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
        )
        inside = np.abs(_applied(name, square, sign) - np.asarray(moved, np.float32))
        assert np.median(inside) <= 1.0, name
        assert (_applied(name, square, sign)[25, 25] == square[25, 25]).all()


def test_both_directions_are_drawn_of_equal_strength(photo, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        rand_augment, "_OPERATIONS", (lambda pixels, sign: pixels + sign, rand_augment._identity)
    )
    grey = tf.fill([2, 2, 3], 100.0)
    for number in range(24):
        seed = tf.constant([number, 0], tf.int32)
        drawn.append(float(rand_augment.rand_augmented(grey, seed)[0, 0, 0]) - 100.0)
    assert set(drawn) == {-2.0, -1.0, 0.0, 1.0, 2.0}


def test_saturation_is_the_distance_from_grey(photo, monkeypatch):
    monkeypatch.setattr(augment, "_BRIGHTNESS", 0.0)
    monkeypatch.setattr(augment, "_CONTRAST", (1.0, 1.0))
    monkeypatch.setattr(augment, "_SATURATION", (1.5, 1.5))
    pixels = photo.astype(np.float32)
    grey = (pixels @ np.array([0.2989, 0.587, 0.114], np.float32))[:, :, None]
    expected = np.clip(grey + 1.5 * (pixels - grey), 0.0, 255.0)
    actual = augment._recoloured(tf.constant(pixels), _SEED).numpy()
    np.testing.assert_allclose(actual, expected, atol=0.05)


def test_black_and_white_stay_what_they_are_where_nothing_is_drawn(monkeypatch):
    for name, nothing in (
        ("_BRIGHTNESS", 0.0),
        ("_CONTRAST", (1.0, 1.0)),
        ("_SATURATION", (1.0, 1.0)),
    ):
        monkeypatch.setattr(augment, name, nothing)
    extremes = np.zeros((2, 2, 3), np.float32)
    extremes[0] = 255.0
    actual = augment._recoloured(tf.constant(extremes), _SEED).numpy()
    np.testing.assert_allclose(actual, extremes, atol=1e-3)
