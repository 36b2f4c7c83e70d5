"""TFLite files as functions."""

import keras
import numpy as np
import pytest

from tfft.errors import ModelFileError, TfftError
from tfft.runtime.tflite.convert import convert_to_tflite, operators
from tfft.runtime.tflite.runner import ParallelTflite, TfliteFunction, TfliteWorkers


def _model() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((5,))
    # Three outputs of one shape, whose order the converter may change.
    return keras.Model(x, {name: keras.layers.Dense(3)(x) for name in ("middle", "zeta", "alpha")})


@pytest.mark.parametrize("rows", [1, 4, 7])
def test_outputs_come_by_name_for_any_number_of_rows(rows: int):
    model = _model()
    function = TfliteFunction(convert_to_tflite(model, batch_size=4))
    images = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    expected = model(images)
    assert function.output_names == ("alpha", "middle", "zeta")
    for name, output in zip(function.output_names, function(images), strict=True):
        np.testing.assert_allclose(output, expected[name], atol=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_give_the_outputs_of_batches_in_their_order(workers: int):
    content = convert_to_tflite(_model(), batch_size=4)
    generator = np.random.default_rng(0)
    batches = [generator.normal(size=(rows, 5)).astype(np.float32) for rows in (4, 1, 9, 4, 2)]
    found = list(TfliteWorkers(content, workers).map(iter(batches)))
    function = TfliteFunction(content)
    assert [len(outputs[0]) for outputs in found] == [4, 1, 9, 4, 2]
    for batch, outputs in zip(batches, found, strict=True):
        for output, expected in zip(outputs, function(batch), strict=True):
            np.testing.assert_array_equal(output, expected)


def test_a_file_has_no_operators_that_clients_lack():
    assert set(operators(convert_to_tflite(_model()))) == {"FULLY_CONNECTED"}


def test_a_model_that_tflite_cannot_hold_is_refused():
    x = keras.Input((5,))
    with pytest.raises(TfftError, match="TFLite cannot hold this model"):
        convert_to_tflite(keras.Model(x, keras.ops.erfinv(x)))


def test_what_is_no_tflite_file_is_refused():
    with pytest.raises(ModelFileError, match="not a TFLite model"):
        TfliteFunction(b"no model at all, only text that is long enough")


@pytest.mark.parametrize("rows", [1, 4, 5, 33])
@pytest.mark.parametrize("threads", [1, 3])
def test_on_all_processors_the_outputs_are_those_of_one_interpreter(rows: int, threads: int):
    content = convert_to_tflite(_model(), batch_size=4)
    images = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    expected = TfliteFunction(content)(images)
    for output, other in zip(ParallelTflite(content, threads)(images), expected, strict=True):
        np.testing.assert_array_equal(output, other)
