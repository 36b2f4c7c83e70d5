"""A MODEL on a split of data."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tfft.errors import DataError, ModelFileError, RecipeError, UsageError
from tfft.evaluation.answers import load_answers
from tfft.evaluation.evaluate import evaluate
from tfft.runtime.load import load_predictor
from tfft.system.files import write_json
from tfft.system.progress import SILENT


def test_json_has_the_documented_form(small_run):
    evaluation = evaluate(small_run).to_json()
    assert evaluation["model"] == str(small_run)
    assert (evaluation["split"], evaluation["examples"]) == ("test", 12)
    assert evaluation["metrics"]["label"].keys() >= {
        *("loss", "top1", "top1_interval", "top5", "mean_class_accuracy", "ece"),
        *("per_class", "confusion"),
    }
    assert evaluation["notes"] == []
    assert json.loads(json.dumps(evaluation)) == evaluation


@pytest.fixture(scope="module")
def of_training(small_run):
    """An evaluation on the images that the run was trained on."""
    return evaluate(small_run, split="train")


@pytest.fixture(scope="module")
def of_all(small_run):
    """What the Keras model has on all images, in batches that do not divide them."""
    return evaluate(small_run, split="all", batch_size=5).metrics["label"]


def test_a_run_keeps_its_evaluations(small_run, of_training):
    kept = json.loads((small_run / "evaluation" / "train.json").read_text())
    assert len(kept.pop("crc32")) == 8
    assert kept == {"format": 1, **json.loads(json.dumps(of_training.to_json()))}


def test_a_run_keeps_what_it_said_about_each_image(small_run, of_training):
    answers = load_answers(small_run, "train")
    assert len(set(answers.ids)) == len(answers.ids) == of_training.examples
    assert answers.right("label").mean() == of_training.metrics["label"]["top1"]
    np.testing.assert_allclose(answers.outputs["label"].sum(axis=1), 1.0, atol=1e-6)


def test_answers_that_are_not_there_or_damaged_are_named(small_run, tmp_path):
    with pytest.raises(ModelFileError, match=r"tfft evaluate .* --split test"):
        load_answers(tmp_path, "test")
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "test.npz").write_bytes(b"PK\3\4 cut short")
    with pytest.raises(ModelFileError, match="cannot read"):
        load_answers(tmp_path, "test")


@pytest.mark.parametrize(
    "signature",
    [
        "serve_bytes",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("serving_default", "serve_uint8")
        ),
    ],
)
def test_every_signature_has_the_accuracy_of_keras(of_all, exported, signature):
    predictor = load_predictor(exported.savedmodel, signature=signature)
    other = evaluate(predictor, split="all").metrics["label"]
    assert other["top1"] == of_all["top1"] > 0.5
    assert other["loss"] == pytest.approx(of_all["loss"], abs=1e-2)


def test_tflite_has_the_accuracy_of_keras(of_all, exported):
    tflite = evaluate(exported.tflite["float32"], split="all", batch_size=5).metrics["label"]
    assert tflite["confusion"] == of_all["confusion"]


def test_labels_are_matched_by_name(small_run, of_all, pictures, tmp_path):
    """Two of the three classes, so that the folder numbers them differently."""
    for label in ("green", "red"):
        shutil.copytree(pictures / label, tmp_path / "some" / label)
    some = evaluate(small_run, data=tmp_path / "some")
    assert (some.split, some.examples) == ("all", 16)
    whole = of_all["confusion"]
    np.testing.assert_array_equal(
        some.metrics["label"]["confusion"], [[0, 0, 0], whole[1], whole[2]]
    )


def test_a_list_of_test_images_alone_is_enough(small_run, pictures, tmp_path):
    """As Excel writes it: with a mark of its own at the start."""
    photos = sorted((pictures / "green").iterdir())[:3] + sorted((pictures / "red").iterdir())[:2]
    lines = [f"test,{photo},{photo.parent.name}" for photo in photos]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["split,path,label", *lines]), encoding="utf-8-sig")
    evaluation = evaluate(small_run, data=path)
    assert (evaluation.split, evaluation.examples) == ("test", 5)


def test_a_class_that_the_model_does_not_know_is_named(small_run, pictures, tmp_path):
    shutil.copytree(pictures / "green", tmp_path / "some" / "green")
    shutil.copytree(pictures / "red", tmp_path / "some" / "reed")
    with pytest.raises(DataError, match=r"'reed' Did you mean 'red'\?"):
        evaluate(small_run, data=tmp_path / "some")


@pytest.mark.parametrize("name", ["list.csv", "photo.jpg"])
def test_a_file_that_lists_no_images_is_a_data_error(small_run, tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=rf"{name}"):
        evaluate(small_run, data=tmp_path / name)


def test_files_that_are_no_images_stop_it_unless_it_is_told_to_skip_them(
    small_run, pictures, tmp_path
):
    some = Path(shutil.copytree(pictures, tmp_path / "some"))
    (some / "red" / "bad.png").write_bytes(b"no image")
    with pytest.raises(
        DataError, match=r"red/bad\.png: .*\nRepair .* set data\.on_bad_image to skip"
    ):
        evaluate(small_run, data=some, split="all")
    skipped = {"data.on_bad_image": "skip"}
    evaluation = evaluate(small_run, data=some, split="all", overrides=skipped)
    assert evaluation.examples == 24
    assert any(
        note.startswith("left out: 1 file, such as red/bad.png") for note in evaluation.notes
    )
    with pytest.raises(RecipeError, match=r"unknown key"):
        evaluate(small_run, data=some, overrides=["train.batch_size=3"])
    with pytest.raises(UsageError, match=r"--set is for the images that --data names"):
        evaluate(small_run, overrides=skipped)


def test_data_with_splits_are_evaluated_on_the_one_asked_for(small_run, pictures, tmp_path):
    for label in ("blue", "green", "red"):
        for number, file in enumerate(sorted((pictures / label).iterdir())):
            folder = tmp_path / "own" / ("train" if number < 6 else "test") / label
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)
    assert evaluate(small_run, data=tmp_path / "own").examples == 6


def test_a_split_of_data_that_have_none_is_refused(small_run, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "own")
    with pytest.raises(DataError, match="has no splits; without --split all of it is used"):
        evaluate(small_run, data=tmp_path / "own", split="validation")


def test_a_split_that_is_not_there_names_those_that_are(small_run):
    with pytest.raises(DataError, match="it has train, validation, test, or all"):
        evaluate(small_run, split="tset")


def test_data_that_are_gone_are_a_data_error(small_run, tmp_path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    info = json.loads((run / "model.json").read_text())
    info["data"]["path"] = str(tmp_path / "gone")
    (run / "model.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match="gone"):
        evaluate(run)


def test_what_was_or_may_have_been_trained_on_is_said(small_run, tmp_path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    said: list[str] = []
    progress = SimpleNamespace(start=SILENT.start, message=said.append)
    evaluate(run, split="all", progress=progress)
    assert said == []
    write_json(run / "plan.json", {"phases": [{"config": {"refit": True}}]})
    write_json(run / "metrics.json", {"best": {"phase": 1, "epoch": 1}})
    evaluate(run, progress=progress)
    assert said == []
    evaluate(run, split="all", progress=progress)
    assert "with the validation images too (refit: true)" in said.pop()
    record = {"status": "finished", "data": {"fingerprint": "of others", "images": {"test": 9}}}
    write_json(run / "run.json", record)
    evaluate(run, progress=progress)
    assert said.pop().startswith(
        "some of these images may have been trained on: the images are not"
    )
    assert said == []


def test_a_run_is_measured_by_other_labels_and_keeps_its_own_evaluation(small_run, tmp_path):
    own = evaluate(small_run)
    kept = (small_run / "evaluation" / "test.json").read_bytes()
    answers = load_answers(small_run, "test")
    right = answers.ids[answers.right("label")].tolist()
    truth = {name: name.split("/")[0] for name in right}
    other = {"red": "blue", "blue": "green", "green": "red"}
    file = tmp_path / "labels.csv"
    file.write_text(f"path,label\n{right[0]},{other[truth[right[0]]]}\n{right[1]},\n")
    mended = evaluate(small_run, overrides={"data.labels": file})
    assert mended.examples == own.examples - 1
    assert mended.metrics["label"]["top1"] == (len(right) - 2) / mended.examples
    assert (small_run / "evaluation" / "test.json").read_bytes() == kept
    with pytest.raises(UsageError, match="at most with other labels"):
        evaluate(small_run, overrides={"data.labels": file, "data.split_seed": 1})
