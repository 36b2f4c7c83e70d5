"""A run remembers its images: it is measured on its own, whatever came, went or changed since."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from progresses import Interrupting, Listening
from shapes import LINEAR, shapes_recipe, write_backbone, write_photos

from tfft.data.kept_splits import read_kept_splits
from tfft.errors import DataError, TfftWarning
from tfft.evaluation.answers import load_answers
from tfft.evaluation.calibrate import calibrate
from tfft.evaluation.data import evaluation_images
from tfft.evaluation.evaluate import evaluate
from tfft.runs.run import Run
from tfft.runtime.info import ModelInfo
from tfft.runtime.load import load_predictor, read_model_info
from tfft.runtime.local_info import keep_local_info, with_local_info
from tfft.system.formats import RUN
from tfft.system.progress import SILENT
from tfft.transfer.resume import resume
from tfft.transfer.train import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with photos, and a finished run on them."""
    place = tmp_path_factory.mktemp("remembered")
    (place / "photos").mkdir()
    write_backbone(write_photos(place / "photos"))
    train(shapes_recipe(place / "photos", LINEAR), run=place / "run")
    evaluate(place / "run")
    return place


@pytest.fixture
def run(trained: Path) -> Run:
    """The run, over photos that a test may change: all are as they were when it begins."""
    shutil.rmtree(trained / "photos", ignore_errors=True)
    (trained / "photos").mkdir()
    write_photos(trained / "photos")
    return Run(trained / "run")


def add_photos(photos: Path, count: int) -> None:
    for number in range(count):
        pixels = np.random.default_rng(1000 + number).integers(0, 255, (9, 9, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(photos / "disc" / f"new{number}.png")


def images_of(run: Run, split: str) -> list[str]:
    index, *_ = evaluation_images(read_model_info(run.path), split, None, SILENT)
    return list(index.ids)


def test_a_run_keeps_the_split_of_each_image(run: Run):
    with run.splits_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["id", "label", "split", "sha256"]
    assert len(rows) == 90 and {row["split"] for row in rows} == {"train", "validation", "test"}
    assert all(row["id"].startswith(row["label"]) for row in rows)


def test_photos_that_are_added_change_no_metric(run: Run, trained: Path):
    before = evaluate(run.path)
    ids = load_answers(run.path, "test").ids.tolist()
    add_photos(trained / "photos", 83)
    (trained / "photos" / "star").mkdir()  # and a class that the model does not know
    shutil.copy(trained / "photos" / "disc" / "new0.png", trained / "photos" / "star")
    listening = Listening()
    after = evaluate(run.path, progress=listening)
    assert after.metrics == before.metrics
    assert load_answers(run.path, "test").ids.tolist() == ids
    (said,) = listening.messages
    assert said.startswith("84 images new since the training, not counted: disc/new0.png, ")


def test_what_is_gone_or_changed_is_named_and_what_was_trained_on_never_counted(
    run: Run, trained: Path
):
    kept = read_kept_splits(run.path)
    trained_on = kept.digests_of("train") | kept.digests_of("validation")
    tested = images_of(run, "test")
    (trained / "photos" / tested[0]).unlink()
    shutil.copy(trained / "photos" / images_of(run, "train")[0], trained / "photos" / tested[1])
    listening = Listening()
    evaluation = evaluate(run.path, progress=listening)
    assert evaluation.examples == len(tested) - 2
    assert listening.messages == [
        f"1 image gone since the training: {tested[0]}",
        f"1 image changed since the training, not counted: {tested[1]}",
    ]
    assert set(listening.messages) <= set(evaluation.to_json()["notes"])
    index, *_ = evaluation_images(read_model_info(run.path), "test", None, SILENT)
    assert not trained_on & {digest.tobytes().hex() for digest in index.digests}


def test_a_list_that_lost_its_end_is_refused(run: Run):
    """Its last images would be taken for new ones."""
    whole = run.splits_file.read_text()
    run.splits_file.write_text("".join(whole.splitlines(keepends=True)[:-3]))
    with pytest.raises(DataError, match=r"splits\.csv is damaged, or was changed since"):
        run.kept_splits()
    run.splits_file.write_text(whole)
    assert len(run.kept_splits().ids) == 90


@pytest.mark.slow
def test_other_images_are_counted_without_those_that_were_trained_on(run: Run, trained: Path):
    tested = images_of(run, "test")
    other = trained / "other"
    shutil.copytree(trained / "photos", other, dirs_exist_ok=True)
    listening = Listening()
    evaluation = evaluate(run.path, data=other, progress=listening)
    assert (evaluation.split, evaluation.examples) == ("all", len(tested))
    assert listening.messages == [
        f"{90 - len(tested)} images of {other} not counted: the model was trained on them, or "
        "chosen by them"
    ]
    assert evaluate(run.path, data=other, split="all").examples == 90
    for name in tested:
        (other / name).unlink()
    with pytest.raises(DataError, match=r"trained on all \d+ images of .*--split all"):
        evaluate(run.path, data=other)
    shutil.rmtree(other)


def test_a_finished_run_that_is_resumed_says_what_is_new_and_how_to_train_on_it(
    run: Run, trained: Path
):
    listening = Listening()
    resume(run.path, progress=listening)
    assert len(listening.messages) == 1
    add_photos(trained / "photos", 7)
    resume(run.path, progress=listening)
    said = listening.messages[-1]
    assert said.startswith("7 images new since then: disc/new0.png, ")
    assert said.endswith(f"tfft train {run.recipe_file} --set data.split_like={run.path}")
    shutil.rmtree(trained / "photos")
    assert resume(run.path).metrics["label"]["top1"] >= 0


@pytest.mark.slow
def test_a_run_that_takes_over_a_split_has_its_test_images(run: Run, trained: Path, tmp_path: Path):
    tested = images_of(run, "test")
    add_photos(trained / "photos", 30)
    recipe = shapes_recipe(trained / "photos", LINEAR)
    data = recipe.data.model_copy(update={"split_like": run.path, "test_fraction": 0.0})
    again = train(recipe.model_copy(update={"data": data}), run=tmp_path / "again")
    assert images_of(again, "test") == tested
    assert len(read_kept_splits(again.path).ids) == 120


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_the_images_that_it_had(
    run: Run, trained: Path, tmp_path: Path
):
    phases = [{"unfreeze": "none", "epochs": 2, "learning_rate": 0.01}]
    recipe = shapes_recipe(trained / "photos", *phases)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run=tmp_path / "stopped", progress=Interrupting(4))
    before = (tmp_path / "stopped" / "splits.csv").read_bytes()
    whole = train(recipe, run=tmp_path / "whole")
    add_photos(trained / "photos", 5)
    listening = Listening()
    resumed = resume(tmp_path / "stopped", progress=listening)
    assert resumed.metrics == whole.metrics
    assert any(said.startswith("5 images new since the training") for said in listening.messages)
    assert resumed.splits_file.read_bytes() == before
    (trained / "photos" / images_of(resumed, "train")[0]).unlink()
    shutil.rmtree(tmp_path / "stopped" / "checkpoints")
    (tmp_path / "stopped" / "model.keras").unlink()
    with pytest.raises(DataError, match=r"images are not those (.|\n)*1 image gone since"):
        resume(tmp_path / "stopped")


def test_a_run_of_an_older_format_is_measured_on_the_images_of_its_own_rule(
    run: Run, trained: Path, tmp_path: Path
):
    old = Path(shutil.copytree(run.path, tmp_path / "old"))
    (old / "splits.csv").unlink()
    RUN.write(old / "run.json", {**RUN.read(old / "run.json"), "splits_sha256": ""})
    info = read_model_info(old)
    by_name = {**info.data, "split_by": "name"}
    unsaid = {key: value for key, value in info.data.items() if key != "split_by"}
    images = {}
    for data in (by_name, unsaid, info.data):
        of_old = ModelInfo(**{**vars(info), "data": data, "splits": None})
        index, *_ = evaluation_images(of_old, "test", None, SILENT)
        images[len(images)] = index.ids
    assert images[0] == images[1] != images[2]


def test_an_export_remembers_the_images_of_its_run_on_this_machine(run: Run, trained: Path):
    info = load_predictor(run.path).info
    assert info.splits == run.splits_file and "splits" not in info.to_json()
    export = trained / "saved_models" / "shapes"
    keep_local_info(export, "1", info)
    found = with_local_info(info.without_places(), export, "1")
    assert found.splits.read_bytes() == run.splits_file.read_bytes()
    assert info.without_places().splits is None
    evaluation_images(found, "test", None, SILENT)
    lines = found.splits.read_text().splitlines(keepends=True)
    found.splits.write_text("".join(lines[:-1]))
    with pytest.raises(DataError, match=r"1-splits\.csv is damaged, or was changed since"):
        evaluation_images(found, "test", None, SILENT)
    keep_local_info(export, "1", info.without_places())
    assert not found.splits.exists()


def test_a_list_that_is_gone_is_missed(run: Run, trained: Path, tmp_path: Path):
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    (copy / "splits.csv").unlink()
    with pytest.warns(TfftWarning, match=r"copy/splits\.csv is gone, the list of the split"):
        assert read_model_info(copy).splits is None
    export = trained / "saved_models" / "shapes"
    info = load_predictor(run.path).info
    keep_local_info(export, "2", info)
    (export / "local" / "2-splits.csv").unlink()
    with pytest.warns(TfftWarning, match=r"2-splits\.csv is gone"):
        assert with_local_info(info.without_places(), export, "2").splits is None


def test_a_temperature_is_fitted_on_the_validation_images_of_the_run(run: Run, trained: Path):
    before = calibrate(run.path)
    run.calibration_file.unlink()
    add_photos(trained / "photos", 40)
    assert calibrate(run.path) == before
