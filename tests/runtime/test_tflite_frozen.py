"""Frozen models as TFLite functions, kept between runs."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import tfft.runtime.tflite.convert_frozen as frozen
from tfft.cache.converted import Conversion, converted_directory
from tfft.runtime.tflite.convert_frozen import agreeing_conversion, convert_frozen, model_digest
from tfft.runtime.tflite.runner import TfliteFunction

_ROWS = np.random.default_rng(0).uniform(0, 1, (3, 5)).astype(np.float32)


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


def _prefix(activation: str = "relu", seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    x = keras.Input((5,))
    hidden = keras.layers.Dense(4, activation=activation)(x)
    return keras.Model(x, keras.layers.BatchNormalization()(hidden))


def _conversion(model: keras.Model) -> Conversion:
    return agreeing_conversion(
        model, 2, _ROWS, identity=model_digest(model), about={"what": "test"}
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path))
    return converted_directory()


def test_a_digest_is_that_of_graph_and_weights_and_not_of_names_or_flags():
    model, same = _prefix(), _prefix()
    same.trainable = False
    assert model.layers[1].name != same.layers[1].name
    assert model_digest(model) == model_digest(same)
    others = {model_digest(other) for other in (_prefix("elu"), _prefix(seed=1))}
    assert len(others | {model_digest(model)}) == 3


def test_the_same_model_is_converted_once(cache, monkeypatch):
    made = _conversion(_prefix())
    monkeypatch.setattr(frozen, "convert_frozen", lambda *_: pytest.fail("converted again"))
    assert _conversion(_prefix()) == made
    assert made.content is not None


def test_a_kept_file_that_answers_otherwise_is_not_believed(cache):
    made, other = _conversion(_prefix()), _conversion(_prefix(seed=1))
    of_made, of_other = sorted(cache.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)
    shutil.copytree(of_other, of_made, dirs_exist_ok=True)
    found = [
        TfliteFunction(c.content or b"")(_ROWS)[0] for c in (made, other, _conversion(_prefix()))
    ]
    np.testing.assert_array_equal(found[2], found[0])
    assert np.abs(found[2] - found[1]).max() > 0.01
