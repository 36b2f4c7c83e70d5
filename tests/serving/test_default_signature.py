"""What callers get who name no signature: pixels, or image files where the export says so."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfft.errors import DataError, UsageError
from tfft.exports.export import export
from tfft.exports.serving.bundle import write_bundle
from tfft.runtime.info import ModelInfo
from tfft.runtime.load import load_predictor, read_saved_model_info
from tfft.runtime.signatures import check_signature, name_in_model, taken_by


@pytest.fixture(scope="module")
def by_files(small_run, tmp_path_factory) -> Path:
    """The SavedModel of an export whose `serving_default` takes image files."""
    place = tmp_path_factory.mktemp("by_files")
    overrides = {"export.default_signature": "serve_bytes", "export.warm_up.batch_sizes": [1]}
    found = export(small_run, formats=["savedmodel"], output=place, overrides=overrides)
    assert set(found.checks) == {
        *("SavedModel serving_default", "SavedModel serve_uint8"),
        *("SavedModel serve_bytes", "SavedModel serve_float32"),
    }
    assert found.savedmodel is not None
    return found.savedmodel


def _info(exported, default: str | None) -> ModelInfo:
    from dataclasses import replace

    return replace(read_saved_model_info(exported.savedmodel), default_signature=default)


def test_a_signature_is_known_by_what_it_takes(exported):
    plain, by_bytes = _info(exported, None), _info(exported, "serve_bytes")
    assert taken_by("serving_default", plain) == "serve_float32"
    assert taken_by("serving_default", by_bytes) == "serve_bytes"
    assert name_in_model("serve_float32", plain) == "serving_default"
    assert name_in_model("serve_float32", by_bytes) == "serve_float32"
    check_signature("serve_float32")
    with pytest.raises(UsageError, match="no signature 'serve_floats'"):
        check_signature("serve_floats")


def test_the_usual_export_has_no_other_names(exported):
    described = json.loads((exported.savedmodel / "assets.extra" / "tfft.json").read_text())
    assert "default_signature" not in described
    names = set(tf.saved_model.load(str(exported.savedmodel)).signatures)
    assert names == {"serving_default", "serve_uint8", "serve_bytes", "describe"}


@pytest.mark.slow
def test_float32_pixels_are_asked_for_by_one_name_everywhere(exported, small_keras, pictures):
    photo = [next(pictures.glob("red/*.jpg")).read_bytes()]
    found = load_predictor(exported.savedmodel, signature="serve_float32")
    expected = small_keras.answers_from_bytes(photo)["label"]
    np.testing.assert_allclose(found.answers_from_bytes(photo)["label"], expected, atol=1e-3)


def test_the_page_of_the_server_says_which_it_is(exported, tmp_path):
    write_bundle(tmp_path, _info(exported, "serve_bytes"), [1])
    page = (tmp_path / "README.md").read_text()
    assert "| `serve_float32` | `images`: float32" in page
    assert "get `serving_default`, which takes what `serve_bytes` takes" in page


@pytest.mark.slow
def test_without_a_name_image_files_are_answered(by_files, small_keras, pictures):
    photos = [file.read_bytes() for file in sorted(pictures.glob("*/*.jpg"))[:3]]
    expected = small_keras.answers_from_bytes(photos)["label"]
    default = tf.saved_model.load(str(by_files)).signatures["serving_default"]
    found = default(image_bytes=tf.constant(photos))["probabilities"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    for signature in ("serving_default", "serve_bytes", "serve_float32", "serve_uint8", None):
        predictor = load_predictor(by_files, signature=signature)
        answers = predictor.answers_from_bytes(photos)["label"]
        np.testing.assert_allclose(answers, expected, atol=0.05)
        pixels = predictor.answers(small_keras.pixels(photos))["label"]
        np.testing.assert_allclose(pixels, expected, atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["rest", "grpc"])
def test_a_client_asks_a_server_by_the_right_names(by_files, small_keras, pictures, interface):
    from serving.serving_api import Model, Server

    photos = [file.read_bytes() for file in sorted(pictures.glob("*/*.jpg"))[:2]]
    expected = small_keras.answers_from_bytes(photos)["label"]
    with Server(Model("colours", by_files.parent)) as server:
        url = getattr(server, f"{interface}_url")
        for signature in ("serving_default", "serve_float32", "serve_uint8", None):
            predictor = load_predictor(url, signature=signature)
            answers = predictor.answers_from_bytes(photos)["label"]
            np.testing.assert_allclose(answers, expected, atol=0.05)
        boxes = np.array([[0.0, 0.0, 1.0, 1.0]] * 2, np.float32)
        with pytest.raises(DataError, match="--signature serve_float32"):
            load_predictor(url, signature="serving_default").answers_from_bytes(photos, boxes)


@pytest.mark.slow
def test_its_warm_up_sends_what_each_signature_takes(by_files):
    from serving.test_warm_up import _requests

    signatures = tf.saved_model.load(str(by_files)).signatures
    requests = _requests(by_files / "assets.extra" / "tf_serving_warmup_requests")
    names = [request.model_spec.signature_name for request in requests]
    assert names == ["serving_default", "serve_bytes"]
    for request in requests:
        inputs = {name: tf.constant(tf.make_ndarray(v)) for name, v in request.inputs.items()}
        assert set(inputs) == {"image_bytes"}
        answer = signatures[request.model_spec.signature_name](**inputs)["probabilities"]
        assert np.isfinite(answer.numpy()).all()
