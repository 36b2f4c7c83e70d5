"""Every form of an export says which export it is, of which run, and of which weights."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_run import small_model

from tfft.errors import ModelFileError
from tfft.exports.identity import identified, weights_sha256
from tfft.exports.serving.serve_check import Live
from tfft.runtime.info import ModelInfo
from tfft.runtime.load import load_predictor, read_model_info

KEYS = ("export_version", "run", "weights_sha256")


def _said(values: dict) -> dict:
    return {key: values.get(key) for key in KEYS}


def test_every_form_says_it(exported, small_keras, small_run):
    expected = {
        "export_version": 1,
        "run": small_run.name,
        "weights_sha256": weights_sha256(small_keras.model),
    }
    file = exported.savedmodel / "assets.extra" / "tfft.json"
    assert _said(json.loads(file.read_text())) == expected
    described = load_predictor(exported.savedmodel).described()
    assert _said(described.to_export_json()) == expected
    of_tflite = zipfile.ZipFile(exported.tflite["float32"]).read("tfft.json")
    assert _said(json.loads(of_tflite)) == expected
    local = exported.savedmodel.parent / "local" / "1.json"
    assert _said(json.loads(local.read_text())) == expected


def test_a_run_is_no_export_and_says_nothing_of_it(small_run):
    info = read_model_info(small_run)
    assert not set(KEYS) & info.to_json().keys()
    assert info.export_version is info.run is info.weights_sha256 is None


def test_descriptions_of_older_versions_are_read(exported):
    values = json.loads((exported.savedmodel / "assets.extra" / "tfft.json").read_text())
    old = {key: value for key, value in values.items() if key not in (*KEYS, "crc32")}
    assert ModelInfo.from_json(old, "tfft.json").run is None
    for key in KEYS:
        with pytest.raises(ModelFileError, match=key):
            ModelInfo.from_json(old | {key: ["odd"]}, "tfft.json")


def test_the_digest_is_of_the_values_and_of_nothing_else(tmp_path):
    model = small_model()
    digest = weights_sha256(model)
    model.save(tmp_path / "a.keras")
    loaded: Any = keras.models.load_model(tmp_path / "a.keras")
    assert weights_sha256(loaded) == digest
    kernel = model.variables[0]
    kernel.assign(np.nextafter(np.asarray(kernel), np.float32(1)))
    assert weights_sha256(model) != digest


def test_no_path_is_said(small_run, small_keras, tmp_path, monkeypatch):
    monkeypatch.chdir(small_run)
    info = identified(small_keras.info, Path(), small_keras.model)
    assert info.run == small_run.name


def test_a_server_of_an_older_export_says_what_it_can():
    live = Live(None, 3, "dogs", "0123456789abcdef", "2026-01-01")
    assert live.text() == (
        "a version that the server does not name: export 3 of run dogs, weights 0123456789ab"
    )
    old = replace(live, version=2, export_version=None, run=None, weights_sha256=None)
    assert old.text() == "version 2: a model that was made 2026-01-01"
