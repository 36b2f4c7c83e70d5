"""Exports: what is written, and what is not put in place."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_run import CLASSES, SIZE_PX, write_run

from tfft.errors import GateError, ModelFileError, TfftError, UsageError
from tfft.evaluation.calibrate import calibrate
from tfft.exports import export as exporting
from tfft.exports import saved_model
from tfft.exports.export import export
from tfft.exports.parity import ParityCheck, require_metrics
from tfft.exports.tflite import family as tflite_family
from tfft.exports.tflite.file import model_bytes, read_model
from tfft.images.spec import PixelSpec
from tfft.runs.exports import record_export, recorded_exports
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import softmax
from tfft.system.files import write_json
from tfft.system.formats import CHECKS

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")
UNTIMED = {"timed": False}


def test_json_has_the_documented_form(exported):
    written = json.loads(json.dumps(exported.to_json()))
    assert written["savedmodel"].endswith("colours/1")
    assert written["tflite"]["float32"].endswith("colours/tflite/1/colours_float32.tflite")
    assert set(written["checks"]) == {
        *("SavedModel serving_default", "SavedModel serve_uint8", "SavedModel serve_bytes"),
        "TFLite float32",
    }
    for figures in written["checks"].values():
        assert figures["images"] == 12
        assert figures["top1_agreement"] == 1.0
        assert figures["accuracy"] == figures["keras_accuracy"] > 0.5


def test_an_export_says_its_input_and_for_older_clients_its_pixels(exported):
    described = json.loads((exported.savedmodel / "assets.extra" / "tfft.json").read_text())
    assert described["format"] == 1
    assert described["input"] == {"kind": "image", **PixelSpec(SIZE_PX, SIZE_PX).to_json()}
    assert described["pixels"] == PixelSpec(SIZE_PX, SIZE_PX).to_json()
    assert len(described.pop("crc32")) == 8
    assert len(described.pop("model_sha256")) == 64
    answered = load_predictor(exported.savedmodel).described().to_export_json()
    assert json.loads(json.dumps(answered)) == described
    of_file = json.loads(zipfile.ZipFile(exported.tflite["float32"]).read("tfft.json"))
    assert len(of_file.pop("model_sha256")) == 64
    assert of_file == described


def test_figures_and_labels_lie_beside_each_file(exported):
    beside = [exported.savedmodel / "assets.extra", exported.tflite["float32"].parent]
    checks = {}
    for directory in beside:
        checks |= CHECKS.read(directory / "checks.json")
    assert checks == exported.checks
    labels = (exported.savedmodel / "assets" / "label_labels.txt").read_text()
    assert labels.splitlines() == list(CLASSES)


@pytest.mark.slow
def test_a_server_needs_neither_tfft_nor_keras(exported, small_keras, pictures, tmp_path):
    """Loads the SavedModel as any TensorFlow program does, in its own process."""
    script = """
import sys
import numpy as np
import tensorflow as tf
model, images, out = sys.argv[1], np.load(sys.argv[2]), sys.argv[3]
signatures = tf.saved_model.load(model).signatures
encoded = [open(path, "rb").read() for path in sys.argv[4:]]
answers = {}
for batch in (1, 7, 32):
    rows = images[:batch]
    files = tf.constant((encoded * 4)[:batch])
    for name, given in {
        "serving_default": {"images": tf.constant(rows)},
        "serve_uint8": {"images": tf.constant(rows.astype(np.uint8))},
        "serve_bytes": {"image_bytes": files},
    }.items():
        answer = signatures[name](**given)
        for output in ("probabilities", "logits"):
            answers[f"{name}/{batch}/{output}"] = answer[output].numpy()
np.savez(out, **answers)
sys.exit("tfft was imported" if "tfft" in sys.modules else 0)
"""
    files = sorted(pictures.glob("*/*.jpg"))[:9]
    pixels = np.random.default_rng(0).integers(0, 256, (32, SIZE_PX, SIZE_PX, 3))
    np.save(tmp_path / "images.npy", pixels.astype(np.float32))
    paths = [exported.savedmodel, tmp_path / "images.npy", tmp_path / "out.npz", *files]
    subprocess.run(
        [sys.executable, "-c", script, *map(str, paths)],
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )
    encoded = [file.read_bytes() for file in files] * 4
    with np.load(tmp_path / "out.npz") as answers:
        for batch in (1, 7, 32):
            on_pixels = small_keras.answers(pixels[:batch].astype(np.float32))["label"]
            on_bytes = small_keras.answers_from_bytes(encoded[:batch])["label"]
            for name, expected in {
                "serving_default": on_pixels,
                "serve_uint8": on_pixels,
                "serve_bytes": on_bytes,
            }.items():
                answer = answers[f"{name}/{batch}/probabilities"]
                np.testing.assert_allclose(answer, expected, atol=1e-4)
                logits = answers[f"{name}/{batch}/logits"]
                assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.slow
def test_versions_never_overwrite_each_other(small_run, tmp_path):
    first = export(small_run, formats=["tflite"], output=tmp_path, tflite=UNTIMED)
    before = first.tflite["float32"].read_bytes()
    second = export(small_run, formats=["savedmodel", "tflite"], output=tmp_path, tflite=UNTIMED)
    assert first.tflite["float32"].parent.name == "1"
    assert (second.savedmodel.name, second.tflite["float32"].parent.name) == ("2", "2")
    assert first.tflite["float32"].read_bytes() == before


@pytest.mark.slow
def test_outputs_of_several_heads_bear_their_names(pictures, tmp_path):
    run = write_run(tmp_path / "run", pictures, heads=("colour", "tone"))
    written = export(run, output=tmp_path / "saved_models", tflite=UNTIMED)
    encoded = [file.read_bytes() for file in sorted(pictures.glob("*/*"))]
    expected = load_predictor(run).answers_from_bytes(encoded)
    assert np.abs(expected["colour"] - expected["tone"]).max() > 0.01
    for model in (written.savedmodel, written.tflite["float32"]):
        answers = load_predictor(model).answers_from_bytes(encoded)
        for head in ("colour", "tone"):
            np.testing.assert_allclose(answers[head], expected[head], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["float16", "bfloat16"])
def test_weights_in_16_bits_take_half_the_room_and_give_nearly_the_same(
    pictures, tmp_path, weights
):
    run = write_run(tmp_path / "run", pictures)
    written = export(
        run,
        formats=["savedmodel"],
        output=tmp_path / "saved_models",
        overrides={"export.savedmodel_weights": weights},
    )
    names = dict(tf.train.list_variables(str(written.savedmodel / "variables" / "variables")))
    reader = tf.train.load_checkpoint(str(written.savedmodel / "variables" / "variables"))
    kinds = {reader.get_tensor(name).dtype.name for name in names if "OBJECT_GRAPH" not in name}
    assert kinds == {weights, "float32"}
    files = [file.read_bytes() for file in sorted(pictures.glob("*/*"))]
    expected = load_predictor(run).answers_from_bytes(files)["label"]
    actual = load_predictor(written.savedmodel).answers_from_bytes(files)["label"]
    difference = np.abs(actual - expected).max()
    assert 0 < difference < 0.05


def test_weights_that_lose_accuracy_are_not_put_in_place():
    figures = {"largest_difference": 0.01, "accuracy": 0.90, "keras_accuracy": 0.92}
    check = ParityCheck(100, 0.01, {"label": figures})
    with pytest.raises(GateError, match=r"accuracy 0.9000 is below the Keras model's 0.9200"):
        require_metrics(check, "SavedModel", 0.01)
    require_metrics(check, "SavedModel", 0.03)


def _corrupted_weight(model: keras.Model) -> keras.Model:
    damaged = keras.models.clone_model(model)
    damaged.set_weights([np.roll(w, 1, axis=-1) for w in model.get_weights()])
    return damaged


def _swapped_labels(model: keras.Model) -> keras.Model:
    swapped = keras.ops.take(model.output["label"], [1, 0, 2], axis=-1)
    return keras.Model(model.input, {**model.output, "label": swapped})


def _without_preprocessing(model: keras.Model) -> keras.Model:
    images = keras.Input(model.input_shape[1:], name="images")
    return keras.Model(images, model((images + 1.0) * 127.5))


@pytest.mark.parametrize(
    "damage",
    [
        _swapped_labels,
        pytest.param(_corrupted_weight, marks=pytest.mark.slow),
        pytest.param(_without_preprocessing, marks=pytest.mark.slow),
    ],
)
def test_a_saved_model_that_answers_otherwise_is_not_put_in_place(
    small_run, tmp_path, monkeypatch, damage
):
    write = exporting.write_saved_model
    monkeypatch.setattr(
        exporting, "write_saved_model", lambda model, *rest: write(damage(model), *rest)
    )
    with pytest.raises(GateError, match="not put in place"):
        export(small_run, formats=["savedmodel"], output=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "damage",
    [
        _swapped_labels,
        pytest.param(_corrupted_weight, marks=pytest.mark.slow),
        pytest.param(_without_preprocessing, marks=pytest.mark.slow),
    ],
)
def test_tflite_files_that_answer_otherwise_are_not_put_in_place(
    small_run, tmp_path, monkeypatch, damage
):
    """Of each precision, though the smaller ones may differ from the Keras model."""
    convert = tflite_family.float32_content
    monkeypatch.setattr(
        tflite_family, "float32_content", lambda model, *rest: convert(damage(model), *rest)
    )
    with pytest.raises(GateError, match="not put in place") as raised:
        export(small_run, formats=["tflite"], output=tmp_path, tflite={"precisions": PRECISIONS})
    assert set(raised.value.result.refused) == set(PRECISIONS)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_a_saved_model_that_tells_clients_other_names_is_not_put_in_place(
    small_run, tmp_path, monkeypatch
):
    """In the file that clients read, or in its answer to those that ask."""

    def swapped(value):
        text = json.dumps(value)
        return text.replace("green", "?").replace("blue", "green").replace("?", "blue")

    with monkeypatch.context() as patched:
        patched.setattr(saved_model, "json", SimpleNamespace(dumps=swapped))
        with pytest.raises(GateError, match="signature `describe`"):
            export(small_run, formats=["savedmodel"], output=tmp_path)
    names = saved_model.read_labels
    monkeypatch.setattr(exporting, "read_labels", lambda *given: names(*given)[::-1])
    with pytest.raises(GateError, match="the label file of head label"):
        export(small_run, formats=["savedmodel"], output=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_names_of_classes_that_were_swapped_are_noticed(small_run, tmp_path, monkeypatch):
    write = tflite_family.write_tflite

    def with_swapped_names(content, info, *rest, **options):
        heads = json.loads(json.dumps(info.to_json()))
        heads["heads"]["label"]["class_names"] = ["green", "blue", "red"]
        write(content, type(info).from_json(heads, "test"), *rest, **options)

    monkeypatch.setattr(tflite_family, "write_tflite", with_swapped_names)
    with pytest.raises(GateError, match="class names"):
        export(small_run, formats=["tflite"], output=tmp_path)


def test_a_label_file_that_clients_would_misread_is_noticed(small_run, tmp_path, monkeypatch):
    read = tflite_family.read_labels
    monkeypatch.setattr(tflite_family, "read_labels", lambda *given: read(*given)[::-1])
    with pytest.raises(GateError, match="label file"):
        export(small_run, formats=["tflite"], output=tmp_path)


def test_files_that_pass_are_in_place_when_another_is_refused(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(tflite_family, "float16", _zeroed)
    with pytest.raises(GateError, match="TFLite float16 never says") as raised:
        export(small_run, formats=["tflite"], output=tmp_path, tflite=_TWO)
    written = raised.value.result
    directory = written.tflite["float32"].parent
    assert {path.name for path in directory.glob("*.tflite")} == {"colours_float32.tflite"}
    card = (directory / "MODEL_CARD.md").read_text()
    assert "TFLite float32" in card and "float16" not in card
    assert written.checks["TFLite float16"]["in_place"] is False


def test_a_file_whose_answers_are_no_numbers_has_no_largest_difference(
    small_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(tflite_family, "float16", _without_numbers)
    with pytest.raises(GateError, match="TFLite float16 gives answers that are not numb") as raised:
        export(small_run, formats=["tflite"], output=tmp_path, tflite=_TWO)
    (file,) = raised.value.result.tflite.values()
    checks = json.loads((file.parent / "checks.json").read_text())
    assert checks["TFLite float16"]["largest_difference"] is None
    assert checks["TFLite float32"]["largest_difference"] < 1e-4


@pytest.mark.slow
def test_a_float32_file_whose_answers_are_no_numbers_is_refused(small_run, tmp_path, monkeypatch):
    convert = tflite_family.float32_content
    monkeypatch.setattr(
        tflite_family, "float32_content", lambda *given: _without_numbers(convert(*given))
    )
    with pytest.raises(GateError, match="does not answer as the Keras model does"):
        export(small_run, formats=["tflite"], output=tmp_path, tflite=UNTIMED)


_TWO = {"precisions": ("float32", "float16"), "timed": False}


def _zeroed(content: bytes) -> bytes:
    """The file with all weights zero."""
    return _filled(content, 0)


def _without_numbers(content: bytes) -> bytes:
    """The file with NaN for all weights: bytes of ones are that in 16 bits and in 32."""
    return _filled(content, 255)


def _filled(content: bytes, byte: int) -> bytes:
    model = read_model(content)
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) > 40:
            buffer.data = np.full_like(buffer.data, byte)
    return model_bytes(model)


def test_a_place_that_cannot_be_written_is_one_clear_error_before_any_work(
    small_run, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(exporting, "_opened", None)
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TfftError, match=r"cannot write .*file is no directory"):
            export(small_run, output=output)


def test_what_is_no_run_and_what_is_no_format(small_run, tmp_path):
    with pytest.raises(ModelFileError, match="is not a run"):
        export(tmp_path)
    with pytest.raises(UsageError, match="Did you mean 'tflite'"):
        export(small_run, formats=["tflit"], output=tmp_path)


def test_settings_of_tflite_that_are_none_are_named(small_run, tmp_path):
    with pytest.raises(UsageError, match="batchsize"):
        export(small_run, formats=["tflite"], output=tmp_path, tflite={"batchsize": 4})


def test_a_name_and_values_of_the_recipe_can_be_given(small_run, tmp_path):
    written = export(
        small_run,
        output=tmp_path,
        name="other",
        overrides=["export.formats=[tflite]", "export.check_images=5", "export.tflite.timed=false"],
    )
    file = tmp_path / "other" / "tflite" / "1" / "other_float32.tflite"
    assert (written.savedmodel, written.tflite) == (None, {"float32": file})
    assert written.checks["TFLite float32"]["images"] == 5
    assert load_predictor(file).info.name == "other"


def test_what_is_in_the_model_already_cannot_be_set(small_run, tmp_path):
    with pytest.raises(UsageError, match=r"--set train.batch_size: the model is trained"):
        export(small_run, output=tmp_path, overrides=["train.batch_size=2"])


@pytest.fixture
def unsure_run(small_run, tmp_path) -> Path:
    """A run that has a calibration: its temperature is 2."""
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    fitted = calibrate(run).to_json()
    fitted["heads"]["label"]["temperature"] = 2.0
    write_json(run / "calibration.json", fitted)
    return run


@pytest.mark.slow
def test_calibrated_probabilities_are_at_the_temperature_and_logits_as_trained(
    unsure_run, pictures, tmp_path
):
    written = export(unsure_run, output=tmp_path / "out", calibrated=True, tflite=UNTIMED)
    raw = load_predictor(unsure_run)
    images = raw.pixels([file.read_bytes() for file in sorted(pictures.glob("*/*"))])
    logits = raw.logits(images)["label"]
    for model in (written.savedmodel, written.tflite["float32"]):
        predictor = load_predictor(model)
        assert predictor.info.heads["label"].temperature == 2.0
        answers = predictor.answers(images)["label"]
        np.testing.assert_allclose(answers, softmax(logits / 2.0), atol=1e-3)
        np.testing.assert_allclose(predictor.logits(images)["label"], logits, atol=1e-2)
    assert np.abs(softmax(logits) - softmax(logits / 2.0)).max() > 0.02
    assert all(check["largest_difference"] < 1e-3 for check in written.checks.values())


@pytest.mark.slow
def test_the_recipe_can_ask_for_calibrated_probabilities(unsure_run, tmp_path):
    recipe = unsure_run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("calibrated: false", "calibrated: true"))
    written = export(unsure_run, formats=["tflite"], output=tmp_path / "out", tflite=UNTIMED)
    head = load_predictor(written.tflite["float32"]).info.heads["label"]
    assert head.temperature == 2.0


@pytest.mark.slow
def test_an_uncalibrated_file_is_not_put_in_place_of_a_calibrated_one(
    unsure_run, tmp_path, monkeypatch
):
    content_of = tflite_family.float32_content

    def raw(model, info, *arguments):
        return content_of(model, info.at_temperatures({}), *arguments)

    monkeypatch.setattr(tflite_family, "float32_content", raw)
    with pytest.raises(GateError, match="does not answer as the Keras model"):
        export(unsure_run, formats=["tflite"], output=tmp_path / "out", calibrated=True)


@pytest.mark.slow
def test_a_run_knows_its_exports(small_run, tmp_path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    first, second = (
        export(run, formats=["tflite"], output=tmp_path / "out", tflite=UNTIMED) for _ in range(2)
    )
    assert [entry["float32"] for entry in recorded_exports(run)][:2] == [
        second.tflite["float32"],
        first.tflite["float32"],
    ]
    second.tflite["float32"].unlink()
    assert recorded_exports(run)[0] == {"float32": first.tflite["float32"]}


def test_both_forms_of_an_export_are_one_entry_and_exports_are_several(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    files = [tmp_path / name for name in ("1", "1.tflite", "2", "3.tflite")]
    for file in files:
        file.touch()
    record_export(tmp_path, {"savedmodel": files[0]}, beside=files[0])
    record_export(tmp_path, {"float32": files[1]}, beside=files[0])
    record_export(tmp_path, {"savedmodel": files[2]}, beside=files[2])
    record_export(tmp_path, {"float32": files[3]}, beside=tmp_path / "3")
    assert recorded_exports(tmp_path) == [
        {"float32": files[3]},
        {"savedmodel": files[2]},
        {"savedmodel": files[0], "float32": files[1]},
    ]


@pytest.mark.slow
@pytest.mark.parametrize("end", [TfftError("no room"), KeyboardInterrupt()])
def test_a_saved_model_is_recorded_though_tflite_fails(small_run, tmp_path, monkeypatch, end):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))

    def fail(*_given: object) -> None:
        raise end

    monkeypatch.setattr(exporting, "export_tflite", fail)
    with pytest.raises(type(end)):
        export(run, output=tmp_path / "out", name="new")
    place = tmp_path / "out" / "new"
    assert recorded_exports(run)[0] == {"savedmodel": place / "1"}
    assert (place / "local" / "1.json").is_file()


@pytest.mark.slow
def test_an_export_of_which_nothing_is_in_place_is_not_recorded(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(tflite_family, "read_labels", lambda *_given: ())
    before = (small_run / "run.json").read_bytes()
    with pytest.raises(GateError, match="label file"):
        export(small_run, formats=["tflite"], output=tmp_path, tflite=UNTIMED)
    assert (small_run / "run.json").read_bytes() == before
