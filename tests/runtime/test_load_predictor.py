"""Every kind of MODEL through one interface, and what is no MODEL."""

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tfft.errors import DataError, ModelFileError, UsageError
from tfft.images.spec import PixelSpec
from tfft.runtime.load import load_predictor, read_model_info


def _files(pictures: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(pictures.glob("*/*"))]


@pytest.fixture(scope="module")
def loaded(small_run, exported):
    """Predictors of every kind of file."""
    models = (small_run / "model.keras", exported.savedmodel, exported.tflite["float32"])
    return [load_predictor(model) for model in models]


def test_each_kind_gives_the_same_probabilities(small_keras, loaded, pictures):
    encoded = _files(pictures)
    expected = small_keras.answers_from_bytes(encoded)["label"]
    assert np.ptp(expected) > 0.5
    for predictor in loaded:
        actual = predictor.answers_from_bytes(encoded)["label"]
        np.testing.assert_allclose(actual, expected, atol=1e-4, err_msg=predictor.path)
        logits = predictor.logits(predictor.pixels(encoded))["label"]
        assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_a_directory_of_versions_is_its_newest(exported, tmp_path):
    versions = tmp_path / "colours"
    for number in ("2", "10"):
        shutil.copytree(exported.savedmodel, versions / number)
    assert Path(load_predictor(versions).path).name == "10"


def test_an_image_that_cannot_be_read_is_a_data_error(loaded):
    for predictor in loaded:
        with pytest.raises(DataError):
            predictor.answers_from_bytes([b"\xff\xd8\xff no photo"])


def test_each_kind_reads_what_tensorflow_does_not(loaded, pictures):
    image = Image.open(pictures / "red" / "5.png")
    of_kind = {}
    for kind in ("PNG", "TIFF", "AVIF"):
        content = io.BytesIO()
        image.save(content, kind)
        of_kind[kind] = content.getvalue()
    for predictor in loaded:
        png, tiff, avif = predictor.answers_from_bytes(list(of_kind.values()))["label"]
        np.testing.assert_allclose(tiff, png, atol=1e-6)
        np.testing.assert_allclose(avif, png, atol=0.05)
        with pytest.raises(DataError, match="a broken TIFF image: the file is truncated"):
            predictor.answers_from_bytes([of_kind["PNG"], of_kind["TIFF"][:999]])


def _lambda_model(path: Path) -> None:
    x = keras.Input((4,))
    keras.Model(x, keras.layers.Lambda(lambda t: t * 2)(x)).save(path)


def test_a_model_that_would_run_code_is_refused(small_run, tmp_path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    _lambda_model(run / "model.keras")
    with pytest.raises(ModelFileError, match="Lambda layers, which hold Python code"):
        load_predictor(run)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"text"])
def test_a_damaged_keras_file_is_one_clear_error(small_run, tmp_path, content):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    (run / "model.keras").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"is not a \.keras file"):
        load_predictor(run)


def test_a_tflite_file_of_others_is_refused(exported, tmp_path):
    content = exported.tflite["float32"].read_bytes()
    other = tmp_path / "other.tflite"
    other.write_bytes(content[: content.index(b"PK\x03\x04")])
    with pytest.raises(ModelFileError, match="no description by tfft"):
        load_predictor(other)


def test_a_saved_model_of_others_is_refused(exported, tmp_path):
    other = Path(shutil.copytree(exported.savedmodel, tmp_path / "1"))
    (other / "assets.extra" / "tfft.json").unlink()
    with pytest.raises(ModelFileError, match="no description by tfft"):
        load_predictor(other)


def test_a_description_of_something_else_is_refused(small_run, tmp_path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    (run / "model.json").write_text(json.dumps({"heads": 3}))
    with pytest.raises(ModelFileError, match="not the description of a model: heads must be an ob"):
        load_predictor(run)


def test_what_is_not_there_or_no_model_says_what_a_model_is(tmp_path):
    with pytest.raises(ModelFileError, match=r"does not exist. A MODEL is a run directory, a"):
        load_predictor(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match=r"is not a model. A MODEL is a run directory, a"):
        load_predictor(tmp_path)


def test_a_run_that_has_no_model_yet_says_how_to_get_one(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ModelFileError, match=f"tfft train --resume {tmp_path}"):
        load_predictor(tmp_path)


def test_signatures_belong_to_saved_models(small_run, exported):
    with pytest.raises(UsageError, match="for SavedModels"):
        load_predictor(small_run, signature="serve_bytes")
    with pytest.raises(UsageError, match="Did you mean 'serve_bytes'"):
        load_predictor(exported.savedmodel, signature="serve_byte")


def test_a_tflite_file_answers_without_heavy_imports(exported, pictures):
    script = """
import sys
from pathlib import Path
from tfft.runtime.load import load_predictor
predictor = load_predictor(sys.argv[1])
predictor.answers_from_bytes([Path(sys.argv[2]).read_bytes()])
heavy = {"tensorflow", "keras", "pydantic", "sklearn", "scipy"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    image = next(pictures.glob("*/*.jpg"))
    arguments = [sys.executable, "-c", script, str(exported.tflite["float32"]), str(image)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def flipped(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 0x10
    file.write_bytes(content)


def test_a_model_with_one_bit_changed_is_refused(small_run, exported, tmp_path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    place = (run / "model.keras").read_bytes().index(b"model.weights.h5") + 3000
    flipped(run / "model.keras", place)
    with pytest.raises(ModelFileError, match=r"model.keras is damaged.*wrong checksum"):
        load_predictor(run)
    lite = Path(shutil.copy(exported.tflite["float32"], tmp_path / "small.tflite"))
    flipped(lite, 3000)
    with pytest.raises(ModelFileError, match=r"small.tflite is damaged: its model is not the one"):
        load_predictor(lite)
    saved = Path(shutil.copytree(exported.savedmodel, tmp_path / "1"))
    graph = saved / "saved_model.pb"
    flipped(graph, graph.read_bytes().index(b"label_labels.txt"))
    with pytest.raises(ModelFileError, match=r"saved_model\.pb is damaged: it is not the one"):
        load_predictor(saved)


@pytest.mark.parametrize("form", ["keras", "savedmodel", "tflite"])
def test_a_description_of_another_model_is_refused(form, small_run, exported):
    """Else its names would go to wrong numbers, or images of a wrong size to the model."""
    from tfft.runtime.keras_predictor import KerasPredictor
    from tfft.runtime.saved_model_predictor import SavedModelPredictor
    from tfft.runtime.tflite.predictor import TflitePredictor

    kind, path = {
        "keras": (KerasPredictor, small_run / "model.keras"),
        "savedmodel": (SavedModelPredictor, exported.savedmodel),
        "tflite": (TflitePredictor, exported.tflite["float32"]),
    }[form]
    info = read_model_info(small_run)
    head = replace(info.heads["label"], class_names=("blue", "green"))
    with pytest.raises(
        ModelFileError, match="has 3 values for 'label', and its description says 2"
    ):
        kind(path, replace(info, heads={"label": head}))
    with pytest.raises(ModelFileError, match=r"takes images of the shape \[32, 32, 3\]"):
        kind(path, replace(info, input=PixelSpec(16, 32)))


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_out_is_a_number_of_seconds(timeout_s):
    with pytest.raises(UsageError, match="a time-out is a number of seconds above 0"):
        load_predictor("http://localhost:1/v1/models/x", timeout_s=timeout_s)


def test_a_file_is_read_though_stdout_is_closed(exported, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert load_predictor(exported.tflite["float32"]).info.name == "colours"
