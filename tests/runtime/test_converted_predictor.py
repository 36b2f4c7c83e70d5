"""A run answers through the model that it was converted to, where that agrees with Keras."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import tfft.runtime.convert_model as converting
import tfft.runtime.tflite.convert_frozen as frozen
from tfft.cache.converted import converted_directory, kept_conversion
from tfft.errors import TfftError, UsageError
from tfft.evaluation.answers import load_run
from tfft.evaluation.evaluate import evaluate
from tfft.exports.tflite.file import model_bytes, read_model
from tfft.runtime.info import HeadInfo
from tfft.runtime.load import load_predictor, read_model_info
from tfft.runtime.predictor import Predictor
from tfft.system.digests import file_sha256
from tfft.system.formats import CONVERTED


@pytest.fixture(scope="module")
def made(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the small run's model is kept as it was converted."""
    cache = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFFT_CACHE_DIR", str(cache))
        load_predictor(small_run, engine="auto")
    return cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no engine that is named in the environment."""
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("TFFT_ENGINE")
    return tmp_path / "cache"


@pytest.fixture
def entry(made: Path, cache: Path) -> Path:
    """The entry of the small run in a cache of the test's own."""
    shutil.copytree(made, cache, dirs_exist_ok=True)
    (found,) = converted_directory().iterdir()
    return found


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Returns a function after which nothing may be converted any more."""

    def forbid() -> None:
        def convert(*_arguments: object) -> bytes:
            raise AssertionError("converted again")

        monkeypatch.setattr(frozen, "convert_frozen", convert)

    return forbid


def _require_answers_of_keras(predictor: Predictor, original: Predictor, pictures: Path) -> None:
    encoded = [file.read_bytes() for file in sorted(pictures.glob("*/*"))]
    expected, actual = original.answers_from_bytes(encoded), predictor.answers_from_bytes(encoded)
    assert np.ptp(expected["label"]) > 0.5
    np.testing.assert_allclose(actual["label"], expected["label"], atol=1e-4)
    pixels = original.pixels(encoded)
    logits = original.logits(pixels)["label"]
    np.testing.assert_allclose(predictor.logits(pixels)["label"], logits, atol=1e-4, rtol=1e-4)


def test_a_run_answers_as_keras_does_and_is_converted_once(
    small_run, small_keras, pictures, entry, once
):
    once()
    for model in (small_run, small_run / "model.keras"):
        predictor = load_predictor(model)
        assert (predictor.kind, predictor.decoder) == ("converted", "pillow")
        _require_answers_of_keras(predictor, small_keras, pictures)
    assert load_predictor(small_run, engine="keras").kind == "keras"
    assert load_run(small_run).kind == "keras"


def test_it_predicts_and_is_evaluated_without_tensorflow(small_run, pictures, entry):
    script = """
import sys
from pathlib import Path
import tfft
predictor = tfft.load_predictor(sys.argv[1])
predictor.answers_from_bytes([Path(sys.argv[2]).read_bytes()])
heavy = {"pydantic", "scipy", "sklearn"} & set(sys.modules)
assert tfft.evaluate(predictor, split="test").engine == "converted"
heavy |= {"tensorflow", "keras", "scipy", "sklearn"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    image = next(pictures.glob("*/*.jpg"))
    arguments = [sys.executable, "-c", script, str(small_run), str(image)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_evaluation_says_what_answered(small_run, small_keras, entry):
    converted, keras_itself = (evaluate(model) for model in (small_run, small_keras))
    assert (converted.engine, keras_itself.engine) == ("converted", "keras")
    assert converted.to_json()["engine"] == "converted"
    top1, loss = ("top1", "loss")
    metrics, expected = converted.metrics["label"], keras_itself.metrics["label"]
    assert metrics[top1] == expected[top1]
    assert metrics[loss] == pytest.approx(expected[loss], abs=1e-4)


def _flip(entry: Path) -> None:
    content = bytearray((entry / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 0x10
    (entry / "model.tflite").write_bytes(content)


def _cut(entry: Path) -> None:
    os.truncate(entry / "model.tflite", 1000)


def _lead_elsewhere(entry: Path) -> None:
    (entry / "model.tflite").rename(entry.parents[1] / "elsewhere")
    (entry / "model.tflite").symlink_to(entry.parents[1] / "elsewhere")


def _forget(entry: Path) -> None:
    (entry / "entry.json").write_text("{}")


def _put(entry: Path, content: bytes) -> None:
    (entry / "model.tflite").write_bytes(content)
    sha256 = file_sha256(entry / "model.tflite")
    record = {**CONVERTED.read(entry / "entry.json"), "bytes": len(content), "sha256": sha256}
    CONVERTED.write(entry / "entry.json", record)


def _put_no_model(entry: Path) -> None:
    _put(entry, b"no model at all, only text that is long enough")


def _put_two_inputs(entry: Path) -> None:
    model = read_model((entry / "model.tflite").read_bytes())
    graph = model.subgraphs[0]
    graph.inputs = np.append(graph.inputs, graph.inputs)
    _put(entry, model_bytes(model))


@pytest.mark.parametrize("damage", [_flip, _cut, _lead_elsewhere, _forget])
def test_an_entry_that_is_damaged_is_removed(damage, entry):
    assert kept_conversion(entry.name) is not None
    damage(entry)
    assert kept_conversion(entry.name) is None
    assert not entry.exists()


@pytest.mark.parametrize("put", [_put_no_model, _put_two_inputs])
def test_an_entry_that_holds_something_else_is_made_again(
    put, small_run, small_keras, pictures, entry
):
    put(entry)
    predictor = load_predictor(small_run)
    assert predictor.kind == "converted"
    _require_answers_of_keras(predictor, small_keras, pictures)


def _run_of(model: keras.Model, small_run: Path, place: Path) -> Path:
    run = Path(shutil.copytree(small_run, place / "run"))
    model.save(run / "model.keras")
    info = replace(read_model_info(run), unsure=None)
    (run / "model.json").write_text(json.dumps(info.to_json()))
    return run


def test_what_tflite_cannot_hold_answers_through_keras_and_is_tried_once(
    small_run, tmp_path, cache, once
):
    images = keras.Input((32, 32, 3))
    mean = keras.layers.GlobalAveragePooling2D()(images)
    run = _run_of(keras.Model(images, {"label": keras.ops.erfinv(mean / 300)}), small_run, tmp_path)
    assert load_predictor(run).kind == "keras"
    once()
    assert load_predictor(run).kind == "keras"
    (entry,) = converted_directory().iterdir()
    assert (
        "TFLite cannot hold this model" in json.loads((entry / "entry.json").read_text())["reason"]
    )


def test_what_does_not_agree_with_keras_is_not_used(small_run, cache, monkeypatch):
    convert = frozen.convert_frozen

    def wrong(model: keras.Model, batch_size: int) -> bytes:
        outputs = {name: 1.001 * output for name, output in model.output.items()}
        return convert(keras.Model(model.input, outputs), batch_size)

    monkeypatch.setattr(frozen, "convert_frozen", wrong)
    assert load_predictor(small_run).kind == "keras"


def test_without_a_cache_that_can_be_written_nothing_is_converted(
    small_run, cache, once, monkeypatch
):
    cache.write_text("a file in the way")
    once()
    assert load_predictor(small_run).kind == "keras"


def test_on_a_gpu_keras_answers(small_run, cache, once, monkeypatch):
    monkeypatch.setattr(converting, "on_gpu", lambda: True)
    once()
    assert load_predictor(small_run).kind == "keras"


def test_the_environment_names_the_engine_where_nothing_else_does(small_run, entry, monkeypatch):
    monkeypatch.setenv("TFFT_ENGINE", "keras")
    assert load_predictor(small_run).kind == "keras"
    assert load_predictor(small_run, engine="auto").kind == "converted"
    monkeypatch.setenv("TFFT_ENGINE", "kears")
    with pytest.raises(UsageError, match=r"Did you mean 'keras'.*Received in TFFT_ENGINE: kears"):
        load_predictor(small_run)


def test_heads_of_every_kind_agree(small_run, tmp_path, cache):
    keras.utils.set_random_seed(3)
    x = images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(6, 5, strides=3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    kinds = {"zoo": "classification", "tags": "multi_label", "age": "regression", "at": "box"}
    sizes = {"zoo": 3, "tags": 2, "age": 1, "at": 4}
    outputs = {name: keras.layers.Dense(size)(x) for name, size in sizes.items()}
    outputs["at"] = keras.ops.sigmoid(outputs["at"])
    run = _run_of(keras.Model(images, outputs), small_run, tmp_path)
    names = {"zoo": ("a", "b", "c"), "tags": ("d", "e")}
    heads = {name: HeadInfo(kind, names.get(name, ()), name) for name, kind in kinds.items()}
    info = replace(read_model_info(run), heads=heads)
    (run / "model.json").write_text(json.dumps(info.to_json()))
    converted, original = (load_predictor(run, engine=engine) for engine in ("auto", "keras"))
    assert converted.kind == "converted"
    pixels = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype(np.float32)
    for of in ("answers", "logits"):
        actual, expected = getattr(converted, of)(pixels), getattr(original, of)(pixels)
        assert set(actual) == set(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(actual[name], values, atol=1e-5, err_msg=name)


def test_a_description_of_another_model_is_refused_by_keras(small_run, tmp_path, entry):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    info = read_model_info(run)
    head = replace(info.heads["label"], class_names=("blue", "green"))
    described = replace(info, heads={"label": head}).to_json()
    (run / "model.json").write_text(json.dumps(described))
    with pytest.raises(TfftError, match="has 3 values for 'label'"):
        load_predictor(run)
