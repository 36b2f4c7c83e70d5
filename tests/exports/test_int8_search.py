"""What is tried where plain int8 loses too much."""

import keras
import numpy as np

from tfft.exports.parity import Comparison, ParityCheck
from tfft.exports.tflite.int8_search import Calibration, find_int8
from tfft.runtime.info import HeadInfo
from tfft.runtime.tflite.convert import convert_to_tflite
from tfft.runtime.tflite.runner import TfliteFunction
from tfft.system.progress import SILENT

SIZE = 8
HEADS = {"label": HeadInfo("classification", ("a", "b", "c"), "label")}


def _network(of_dead_feature: float) -> bytes:
    """Three colours; a fourth feature is always 0, so that its weights matter for nothing."""
    images = keras.Input((SIZE, SIZE, 3), name="images")
    convolution = keras.layers.Conv2D(4, 1, activation="relu")
    dense = keras.layers.Dense(3)
    x = keras.layers.GlobalAveragePooling2D()(convolution(images))
    logits = dense(x)
    model = keras.Model(images, {"logits": logits, "probabilities": keras.ops.softmax(logits)})
    kernel = np.concatenate([np.eye(3) / 25.0, np.zeros((3, 1))], axis=1)
    convolution.set_weights([kernel.reshape(1, 1, 3, 4), np.array([0.0, 0.0, 0.0, -1.0])])
    weights = np.concatenate([np.eye(3), np.full((1, 3), of_dead_feature)])
    dense.set_weights([weights, np.array([0.2, 0.1, 0.0])])
    return convert_to_tflite(model)


def _images(count: int) -> np.ndarray:
    generator = np.random.default_rng(count)
    colour = generator.integers(0, 256, (count, 1, 1, 3))
    noise = generator.integers(-20, 20, (count, SIZE, SIZE, 3))
    return np.clip(colour + noise, 0, 255).astype(np.float32)


def _search(content: bytes):
    images = _images(60)
    expected = TfliteFunction(content)(images)[1]

    def judge(quantised: bytes) -> Comparison:
        actual = TfliteFunction(quantised)(images)[1]
        same = float((actual.argmax(axis=1) == expected.argmax(axis=1)).mean())
        check = {"largest_difference": 0.0, "accuracy": same, "keras_accuracy": 1.0}
        labels = {"label": expected.argmax(axis=1)}
        answers = ({"label": actual}, {"label": expected})
        return Comparison(HEADS, HEADS, *answers, labels, ParityCheck(60, 0.0, {"label": check}))

    calibration = Calibration(20, lambda count: list(_images(min(count, 20))))
    return find_int8(content, calibration, judge, 0.03, SILENT)


def test_what_quantises_well_needs_no_remedy():
    found = _search(_network(of_dead_feature=1.0))
    assert [attempt["what"] for attempt in found.tried] == [
        "int8 throughout, 20 calibration images"
    ]
    assert found.noisiest == []


def test_a_head_that_does_not_fit_into_8_bits_stays_in_float():
    """The weights of the dead feature leave no steps for the others."""
    found = _search(_network(of_dead_feature=1000.0))
    plain, *_, last = found.tried
    assert plain["accuracy_drop"] > 0.2
    assert last["what"] == "heads in float"
    assert last["accuracy_drop"] <= 0.03
    assert len(found.tried) == 2
    assert found.noisiest[0]["noise"] > 0.1
