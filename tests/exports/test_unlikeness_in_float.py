"""In small TFLite files what measures unlikeness stays in float, and agrees."""

import keras
import numpy as np
import pytest
from small_run import SIZE_PX

from tfft.errors import GateError
from tfft.exports.parity import Comparison, ParityCheck, unsure_agreement
from tfft.exports.tflite.accuracy import require_accuracy
from tfft.exports.tflite.build import float32_content, write_tflite
from tfft.exports.tflite.file import layers, layers_only_for, read_model
from tfft.exports.tflite.quantize import calibrate, dynamic_int8, float16, int8
from tfft.runtime.load import load_predictor
from tfft.system.names import UNLIKENESS


@pytest.fixture(scope="module")
def pixels(small_keras, pictures) -> np.ndarray:
    files = sorted(pictures.glob("*/*"))
    return small_keras.pixels([file.read_bytes() for file in files])


@pytest.fixture(scope="module")
def content(small_keras) -> bytes:
    return float32_content(small_keras.model, small_keras.info)


def test_only_what_no_other_output_needs_is_kept_in_float(content):
    model = read_model(content)
    kinds = {layer.name: layer.kind for layer in layers(model)}
    found = [kinds[name] for name in layers_only_for(model, UNLIKENESS)]
    assert "FULLY_CONNECTED" in found and "SQRT" in found
    assert not {"CONV_2D", "MEAN", "SOFTMAX"} & set(found)
    assert layers_only_for(model, "no such output") == []


@pytest.mark.parametrize("convert", [float16, dynamic_int8, None])
def test_a_small_file_is_unsure_of_the_same_images(tmp_path, small_keras, pixels, content, convert):
    """None stands for int8."""
    small = convert(content) if convert else int8(content, calibrate(content, list(pixels)))
    path = tmp_path / "small.tflite"
    write_tflite(small, small_keras.info, path, version="1", description="")
    far = np.full((2, SIZE_PX, SIZE_PX, 3), 255, np.float32)
    every = np.concatenate([pixels, far])
    actual = load_predictor(path).answers(every)[UNLIKENESS]
    expected = small_keras.answers(every)[UNLIKENESS]
    np.testing.assert_allclose(actual, expected, atol=0.15)
    assert ((actual > 1) == (expected > 1)).all()
    kept = {tensor.name.decode() for tensor in read_model(small).subgraphs[0].tensors}
    assert set(layers_only_for(read_model(content), UNLIKENESS)) <= kept


def _compared(actual: list[float], expected: list[float]) -> Comparison:
    answers = [{UNLIKENESS: np.array(values)[:, None]} for values in (actual, expected)]
    check = ParityCheck(len(actual), 0.0, {}, unsure_agreement(*answers))
    return Comparison({}, {}, *answers, {}, check)


def test_a_file_that_is_unsure_of_more_images_is_not_put_in_place():
    comparison = _compared([0.5, 1.2, 0.7, 0.8], [0.5, 0.9, 0.7, 0.8])
    with pytest.raises(GateError, match=r"unsure of 25\.0% of 4 images"):
        require_accuracy(comparison, "TFLite int8", 0.01)


def test_a_float_file_whose_distances_differ_is_not_put_in_place():
    _compared([0.5, 1.2004], [0.5, 1.2]).require_same("TFLite float32", 1e-4)
    with pytest.raises(GateError, match="not unsure as the Keras model is"):
        _compared([0.5, 1.21], [0.5, 1.2]).require_same("TFLite float32", 1e-4)


def test_a_keras_file_with_the_output_loads_without_tfft(small_run):
    model = keras.saving.load_model(small_run / "model.keras", compile=False, safe_mode=True)
    assert set(model.output) == {"label", UNLIKENESS}
