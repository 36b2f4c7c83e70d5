"""Frozen models as TFLite functions."""

import keras
import numpy as np

from tfft.runtime.tflite.convert_frozen import convert_frozen
from tfft.runtime.tflite.runner import TfliteFunction


def test_many_outputs_come_in_the_order_of_the_model():
    keras.utils.set_random_seed(0)
    x = images = keras.Input((8, 8, 3))
    outputs = []
    for channels in range(2, 14):
        x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
        outputs.append(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(images, outputs)
    batch = np.random.default_rng(0).uniform(0, 1, (5, 8, 8, 3)).astype(np.float32)
    actual = TfliteFunction(convert_frozen(model, batch_size=2))(batch)
    expected = [output.numpy() for output in model(batch, training=False)]
    assert [output.shape for output in actual] == [output.shape for output in expected]
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
