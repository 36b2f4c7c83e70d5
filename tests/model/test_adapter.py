"""Images with other channels than RGB, and smaller ones, inside the model."""

import keras
import numpy as np
import pytest

from tfft.model.front import build_adapter, channel_map


def _through(adapter, images: np.ndarray) -> np.ndarray:
    inputs = keras.Input(images.shape[1:])
    return keras.Model(inputs, adapter(inputs)).predict(images, verbose=0)


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 13])
@pytest.mark.parametrize("kind", ["repeat", "inflate"])
def test_a_picture_that_is_equal_in_all_channels_keeps_its_brightness(kind, channels):
    """The sum over colours stays; each colour does where the channels can be dealt out evenly."""
    mapped = np.ones(channels) @ channel_map(kind, channels)
    assert mapped.sum() == pytest.approx(3.0, rel=1e-5)
    if kind == "repeat" or channels in (1, 6):
        np.testing.assert_allclose(mapped, 1.0, rtol=1e-5)


def test_repeat_gives_each_colour_the_mean_of_the_channels():
    images = np.random.default_rng(0).uniform(0, 255, (2, 5, 5, 4)).astype(np.float32)
    adapted = _through(build_adapter(5, 4, 5, "repeat"), images)
    for colour in range(3):
        np.testing.assert_allclose(adapted[..., colour], images.mean(axis=-1), rtol=1e-5)


def test_inflate_is_the_first_convolution_with_its_kernels_dealt_out():
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (2, 6, 6, 5)).astype(np.float32)
    kernel = generator.normal(size=(3, 3, 3, 7)).astype(np.float32)
    adapted = _through(build_adapter(6, 5, 6, "inflate"), images)
    inflated = np.stack([kernel[:, :, channel % 3] * 3 / 5 for channel in range(5)], axis=2)
    np.testing.assert_allclose(
        keras.ops.conv(adapted, kernel, padding="same"),
        keras.ops.conv(images, inflated, padding="same"),
        rtol=1e-4,
        atol=0.05,
    )


def test_only_conv_is_trained():
    assert build_adapter(8, 1, 8, "repeat").weights == ()
    assert build_adapter(8, 2, 8, "inflate").weights == ()
    (kernel,) = build_adapter(8, 2, 8, "conv").weights
    np.testing.assert_array_equal(kernel.numpy()[0, 0], channel_map("inflate", 2))


def test_small_images_are_enlarged_and_whole_ones_left_alone():
    assert _through(build_adapter(8, 3, 32, None), np.zeros((1, 8, 8, 3))).shape == (1, 32, 32, 3)
    assert build_adapter(32, 3, 32, None).layers == ()
