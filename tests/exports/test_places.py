"""What leaves the machine says nothing of where its files lie; what stays knows it."""

import shutil
from pathlib import Path
from typing import get_args

import pytest
import tensorflow as tf

from tfft.config.data import DataConfig
from tfft.errors import ModelFileError
from tfft.evaluation.evaluate import evaluate
from tfft.exports.serving.publish import publish
from tfft.runtime.info import PLACES
from tfft.runtime.load import load_predictor, read_saved_model_info, read_tflite_info
from tfft.system.files import read_json
from tfft.system.formats import MODEL
from tfft.system.progress import SILENT


def test_no_path_of_the_data_is_in_what_clients_and_servers_get(exported, pictures):
    versions = [exported.savedmodel, exported.tflite["float32"].parent]
    files = [file for version in versions for file in version.rglob("*") if file.is_file()]
    assert len(files) > 8
    for file in files:
        assert str(pictures.parent).encode() not in file.read_bytes(), file


def test_a_server_tells_strangers_what_the_data_were_but_not_where(exported):
    signatures = tf.saved_model.load(str(exported.savedmodel)).signatures
    (said,) = signatures["describe"](names=tf.constant(["a"]))["info"].numpy()
    assert b'"path": null' in said
    assert b'"kind": "image_folder"' in said
    assert b'"test_fraction": 0.5' in said


def test_every_place_that_a_recipe_can_have_is_known():
    sections = get_args(get_args(DataConfig)[0])
    paths = {
        name
        for section in sections
        for name, field in section.model_fields.items()
        if Path in get_args(field.annotation)
    }
    assert paths == set(PLACES)


def test_beside_the_export_tfft_still_finds_the_images(exported, pictures, monkeypatch):
    for info in (
        read_saved_model_info(exported.savedmodel),
        read_tflite_info(exported.tflite["float32"]),
    ):
        assert info.data["path"] == str(pictures)
    assert evaluate(exported.tflite["float32"]).split == "test"
    monkeypatch.chdir(exported.tflite["float32"].parent)
    assert evaluate("colours_float32.tflite").examples == 12


def test_elsewhere_it_says_what_to_give(exported, pictures, tmp_path, monkeypatch):
    file = Path(shutil.copy(exported.tflite["float32"], tmp_path))
    published = publish(exported.savedmodel, tmp_path / "colours")
    for model in (file, published.path):
        with pytest.raises(ModelFileError, match=r"does not say where the images are .*--data DIR"):
            evaluate(model)
    said: list[str] = []
    monkeypatch.setattr(SILENT, "message", said.append)
    assert evaluate(file, data=pictures).split == "all"
    assert "including any that the model was trained on" in said[0]


def test_the_places_of_another_model_are_not_taken(exported, tmp_path):
    """As when a version was deleted and its number given again."""
    export = Path(shutil.copytree(exported.savedmodel.parent, tmp_path / "colours"))
    local = export / "local" / "1.json"
    MODEL.write(local, read_json(local) | {"created": "2020-01-01T00:00:00+00:00"})
    assert load_predictor(export / "1").info.data["path"] is None
