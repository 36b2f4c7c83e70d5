"""What the quantiser is asked, and what is mended after it."""

import keras
import numpy as np

from tfft.exports.tflite.file import layers, model_bytes, read_model, take_uint8
from tfft.exports.tflite.quantize import calibrate, int8, noise_by_tensor
from tfft.exports.tflite.quantized_bias import mend_biases
from tfft.runtime.tflite.convert import convert_to_tflite
from tfft.runtime.tflite.runner import TfliteFunction

SIZE = 8


def _network(kernel: np.ndarray | None = None, bias: np.ndarray | None = None) -> bytes:
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(images)
    convolution = keras.layers.Conv2D(4, 3, activation="relu", name="conv")
    x = keras.layers.GlobalAveragePooling2D()(convolution(x))
    logits = keras.layers.Dense(3)(x)
    model = keras.Model(images, {"logits": logits, "probabilities": keras.ops.softmax(logits)})
    if kernel is not None:
        convolution.set_weights([kernel, bias])
    return convert_to_tflite(model)


def _images(count: int = 16) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return list(generator.integers(30, 200, (count, SIZE, SIZE, 3)).astype(np.float32))


def test_the_range_of_the_input_is_that_of_pixels_whatever_the_images():
    ranges = calibrate(_network(), _images())
    (name,) = (name for name in ranges if "images" in name)
    assert (ranges[name]["min"].item(), ranges[name]["max"].item()) == (0.0, 255.0)


def test_a_uint8_entrance_changes_no_answer():
    network = _network()
    content = int8(network, calibrate(network, _images()))
    model = read_model(content)
    take_uint8(model)
    expected = TfliteFunction(content)(np.stack(_images()))
    for output, same in zip(
        TfliteFunction(model_bytes(model))(np.stack(_images())), expected, strict=True
    ):
        np.testing.assert_array_equal(output, same)


def test_a_float_file_can_have_a_uint8_entrance():
    content = _network()
    model = read_model(content)
    take_uint8(model)
    function = TfliteFunction(model_bytes(model))
    for output, same in zip(
        function(np.stack(_images())), TfliteFunction(content)(np.stack(_images())), strict=True
    ):
        np.testing.assert_allclose(output, same, atol=1e-6)


def test_layers_can_stay_in_float():
    content = _network()
    ranges = calibrate(content, _images())
    (convolution,) = (
        layer.name for layer in layers(read_model(content)) if layer.kind == "CONV_2D"
    )
    kinds = [layer.kind for layer in layers(read_model(int8(content, ranges, [convolution])))]
    assert kinds[:2] == ["CONV_2D", "QUANTIZE"]


def test_a_bias_of_almost_dead_weights_keeps_its_value():
    """Its scale is the product of input's and weights' and would not hold it in 32 bits."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    kernel[..., 1] = 1e-12
    bias = np.array([0.1, 0.7, 0.2, 0.3], np.float32)
    content = _network(kernel, bias)
    images = np.stack(_images())
    expected = TfliteFunction(content)(images)
    actual = TfliteFunction(int8(content, calibrate(content, _images())))(images)
    np.testing.assert_allclose(actual[0], expected[0], atol=0.05)


def test_biases_that_fit_are_left_alone():
    content = _network()
    quantised = read_model(int8(content, calibrate(content, _images())))
    assert mend_biases(quantised, read_model(content)) == 0


def test_noise_is_known_for_each_layer():
    content = _network()
    noise = noise_by_tensor(content, int8(content, calibrate(content, _images())), _images(4))
    names = [layer.name for layer in layers(read_model(content))]
    assert set(names) <= set(noise)
    assert all(0 <= value < 0.1 for value in noise.values())
