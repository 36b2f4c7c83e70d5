"""What a model is unsure of: the same images in each of its forms, here and on a server."""

import io

import numpy as np
import pytest
from PIL import Image

from tfft.runtime.load import load_predictor
from tfft.system.names import UNLIKENESS


@pytest.fixture(scope="module")
def encoded(pictures) -> list[bytes]:
    """Pictures like those of the training, and three, overexposed, that are like none of them."""
    known = [file.read_bytes() for file in sorted(pictures.glob("*/*"))[:6]]
    return known + [_png(np.full((44, 60, 3), level, np.uint8)) for level in (255, 253, 251)]


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def expected(small_keras, encoded) -> np.ndarray:
    return small_keras.answers_from_bytes(encoded)[UNLIKENESS]


def test_the_keras_model_is_unsure_of_what_it_does_not_know(expected):
    assert expected.shape == (9, 1) and expected.dtype == np.float32
    assert (expected[:6] < 1.0).all()
    assert (expected[6:] > 1.0).all()


@pytest.mark.parametrize("signature", ["serving_default", "serve_uint8", "serve_bytes"])
def test_each_signature_of_a_savedmodel_is_unsure_alike(exported, encoded, expected, signature):
    predictor = load_predictor(exported.savedmodel, signature=signature)
    tolerance = 0.02 if signature == "serve_uint8" else 1e-3
    actual = predictor.answers_from_bytes(encoded)[UNLIKENESS]
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_a_tflite_file_is_unsure_alike(exported, encoded, expected):
    actual = load_predictor(exported.tflite["float32"]).answers_from_bytes(encoded)[UNLIKENESS]
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("interface", ["rest_url", "grpc_url"])
def test_a_server_is_unsure_alike(server, encoded, expected, interface):
    predictor = load_predictor(getattr(server, interface))
    actual = predictor.answers_from_bytes(encoded)[UNLIKENESS]
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_what_a_server_cannot_read_has_no_answer_and_the_others_keep_theirs(exported, encoded):
    import tensorflow as tf

    serve = tf.saved_model.load(str(exported.savedmodel)).signatures["serve_bytes"]
    outputs = serve(image_bytes=tf.constant([encoded[0], b"no image", encoded[6]]))
    unlikeness = outputs[UNLIKENESS].numpy()[:, 0]
    assert np.isnan(unlikeness).tolist() == [False, True, False]
    assert unlikeness[0] < 1.0 < unlikeness[2]


def test_the_export_says_how_far_it_agrees(exported):
    for check in exported.checks.values():
        assert check["unsure"]["agreement"] == 1.0
        assert check["unsure"]["kept"] == check["unsure"]["keras_kept"]
