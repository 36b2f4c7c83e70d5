"""What the first code wrote, before formats had numbers, still does all that it did.

`old_formats/make.py` says what is in `old_formats/0.zip` and made it.
"""

import csv
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from old_formats.pictures import SIZE_PX, write_pictures

from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.cache.room import list_entries, remove_entries
from tfft.cache.segment import Content
from tfft.cache.store import activation_directory, open_rows, try_rows
from tfft.errors import NewerFormatError
from tfft.evaluation.answers import answers_key, kept_answers, load_answers
from tfft.evaluation.calibrate import calibrate
from tfft.evaluation.data import evaluation_images
from tfft.evaluation.evaluate import evaluate
from tfft.exports.export import export
from tfft.reports.report import make_report
from tfft.runs.run import open_run
from tfft.runtime.load import load_predictor
from tfft.studies.arms import make_arms
from tfft.studies.compare import plan_study
from tfft.studies.report import report_study
from tfft.system.files import read_arrays, write_arrays
from tfft.system.progress import SILENT
from tfft.transfer.resume import resume

ARCHIVE = Path(__file__).parent / "old_formats" / "0.zip"
EXPORTS = ("saved_models/tiny", "saved_models/tiny/tflite/1/tiny_float32.tflite")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("old") / "0"
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(place)
    for file in (*place.rglob("*.json"), *place.rglob("*.yaml")):
        file.write_text(file.read_text().replace("@PLACE@", str(place)))
    write_pictures(place / "photos")
    return place


@pytest.fixture
def old(unpacked, monkeypatch) -> Path:
    """The place of the files, which is also the current directory and that of the cache."""
    monkeypatch.chdir(unpacked)
    monkeypatch.setenv("TFFT_CACHE_DIR", str(unpacked / "cache"))
    return unpacked


@pytest.fixture
def own(old) -> Path:
    """A copy of the finished run for a test that adds to it."""
    shutil.rmtree(old / "runs" / "own", ignore_errors=True)
    return Path(shutil.copytree(old / "runs" / "finished", old / "runs" / "own"))


def expected(old: Path, name: str) -> np.ndarray:
    return np.array(json.loads((old / "expected.json").read_text())[name], np.float32)


def test_nothing_in_it_has_a_number(old):
    for file in old.rglob("*.json"):
        assert "format" not in json.loads(file.read_text()), file


@pytest.mark.slow
def test_a_run_goes_on_from_its_checkpoint_and_ends_as_it_would_have(old):
    run = Path(shutil.copytree(old / "runs" / "interrupted", old / "runs" / "resumed"))
    with (run / "history.csv").open(newline="") as stream:
        before = list(csv.DictReader(stream))
    assert resume(run).metrics["label"]["top1"] > 0.3
    with (run / "history.csv").open(newline="") as stream:
        after = list(csv.DictReader(stream))
    for row in (*before, *after):
        row.pop("elapsed_seconds")  # of the last epoch before the checkpoint, validation included
    for row, once in zip(after[: len(before)], before, strict=True):
        assert row.keys() == once.keys()
        for name, value in once.items():  # the epoch after the checkpoint is validated again
            assert float(row[name] or 0) == pytest.approx(float(value or 0), rel=1e-6), name
    assert len(after) == 36
    evaluate(run)
    found = load_answers(run, "test").outputs["label"]
    np.testing.assert_allclose(found, expected(old, "resumed"), atol=1e-3)
    for name in ("run", "plan", "metrics", "model", "backbone", "evaluation/test"):
        number = 2 if name == "run" else 1
        assert json.loads((run / f"{name}.json").read_text())["format"] == number, name
    _, recipe = open_run(run)
    assert recipe.train.monitor == "metric"


def test_a_run_is_evaluated_as_it_was_and_what_was_kept_is_known(old, own):
    kept = json.loads((own / "evaluation" / "test.json").read_text())
    predictor = load_predictor(own)
    index, _, _ = evaluation_images(predictor.info, "test", None, SILENT)
    answers = kept_answers(own, "test", answers_key(predictor, index))
    assert answers is not None
    metrics = json.loads(json.dumps(evaluate(own).to_json()))["metrics"]["label"]
    for name in ("loss", "ece", "top1_interval"):
        expected = kept["metrics"]["label"].pop(name)
        assert metrics.pop(name) == pytest.approx(expected, abs=1e-5)
    assert (metrics.pop("top5"), kept["metrics"]["label"].pop("top5")) == (None, 1.0)
    classes = zip(metrics.pop("per_class"), kept["metrics"]["label"].pop("per_class"), strict=True)
    assert [(now, then) for now, then in classes if not then.items() <= now.items()] == []
    assert kept["metrics"]["label"].items() <= metrics.items()
    now = load_answers(own, "test").outputs["label"]
    np.testing.assert_allclose(now, answers.outputs["label"], atol=1e-5)


def test_a_calibration_is_taken_as_it_is(own):
    before = (own / "calibration.json").read_bytes()
    assert calibrate(own).to_json() == {**json.loads(before), "operating_points": {}}
    assert (own / "calibration.json").read_bytes() == before


@pytest.mark.parametrize("model", EXPORTS)
def test_an_export_predicts_what_its_run_says(old, model):
    predictor = load_predictor(old / model)
    assert (predictor.info.pixels.height, predictor.info.pixels.width) == (SIZE_PX, SIZE_PX)
    answers = load_answers(old / "runs" / "finished", "test")
    encoded = [(old / "photos" / name).read_bytes() for name in answers.ids.tolist()]
    found = predictor.answers_from_bytes(encoded)["label"]
    np.testing.assert_allclose(found, answers.outputs["label"], atol=1e-5)


@pytest.mark.slow
def test_a_run_is_reported_with_its_exports(old, own):
    page = make_report(own).path.read_text()
    for model in ("saved_models/tiny/1", EXPORTS[1]):
        assert str(old / model) in page


def test_a_run_is_exported_in_the_current_format(old, own):
    file = export(own, formats=("tflite",), output=old / "new", tflite={"timed": False}).tflite
    described = json.loads(zipfile.ZipFile(file["float32"]).read("tfft.json"))
    assert described["format"] == 1
    assert described["input"] == {"kind": "image", **described["pixels"]}


def test_a_study_goes_on_with_its_runs(old):
    file = old / "studies" / "pair" / "comparison.json"
    before = json.loads(file.read_text())
    runs = ("runs/finished", "runs/other")
    report_study(plan_study(make_arms(runs), name="pair"))
    after = json.loads(file.read_text())
    assert after.pop("crc32")
    # A verdict may say more today; of what it said, it says everything.
    said, now = ([found.pop("text") for found in each["verdicts"]] for each in (before, after))
    assert all(text.startswith(old_text) for text, old_text in zip(now, said, strict=True))
    assert after == {"format": 1, **before}
    assert json.loads((file.parent / "study.json").read_text())["format"] == 1


def test_an_entry_of_the_cache_is_listed_as_of_no_use_and_removed(old, tmp_path):
    place = tmp_path / "activations"
    shutil.copytree(activation_directory(), place)
    entries = list_entries(place)
    assert sorted(entry.about["images"] for entry in entries) == [5, 13]
    assert {entry.examples for entry in entries} == {None}
    assert len(remove_entries(place, max_bytes=0)) == 2
    assert list(place.iterdir()) == []


def test_a_keras_file_with_a_module_answers_as_it_did(old):
    model = load_keras_file(old / "with_module.keras")
    images = np.linspace(0, 1, 2 * SIZE_PX * SIZE_PX * 3, dtype=np.float32)
    answers = model(images.reshape(2, SIZE_PX, SIZE_PX, 3)).numpy()
    np.testing.assert_allclose(answers, expected(old, "with_module"), rtol=1e-5)


def made_newer(file: Path, number: int = 2) -> Path:
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "format": number}))
    return file


@pytest.mark.parametrize(
    ("name", "newest"),
    [("run.json", 2), ("model.json", 1), ("metrics.json", 1), ("calibration.json", 1)],
)
def test_a_run_of_a_newer_format_is_refused_by_number(own, name, newest):
    file = made_newer(own / name, newest + 1)
    uses = {"model.json": load_predictor, "calibration.json": calibrate}
    newer = rf"{file} is .* in format {newest + 1}; .* up to {newest}\."
    with pytest.raises(NewerFormatError, match=newer):
        uses.get(name, resume)(own)


def test_newer_answers_are_not_computed_over(own):
    file = own / "evaluation" / "test.npz"
    write_arrays(file, {**read_arrays(file), "format": np.array(2)})
    before = file.read_bytes()
    with pytest.raises(NewerFormatError, match="format 2"):
        make_report(own)
    assert file.read_bytes() == before


def test_a_newer_entry_of_the_cache_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path))
    content, key = Content({"of": "a"}, {}, [()]), np.zeros((1, 32), np.uint8)
    try_rows(content, key, lambda writers: writers[0].append(np.zeros(1)), max_bytes=1e9)
    (entry,) = activation_directory().iterdir()
    values = json.loads((entry / "entry.json").read_text())
    del values["crc32"]
    (entry / "entry.json").write_text(json.dumps({**values, "format": 3}))
    with pytest.raises(NewerFormatError, match="format 3"):
        open_rows(content, key)
    assert (entry / "0.npy").is_file()


def test_a_newer_study_is_refused_and_stays(old):
    arms = make_arms(("runs/finished", "runs/other"))
    newer = old / "studies" / "newer" / "study.json"
    newer.parent.mkdir()
    newer.write_text('{"format": 2}')
    with pytest.raises(NewerFormatError, match=r"study\.json is a study in format 2"):
        report_study(plan_study(arms, name="newer"))
    assert newer.read_text() == '{"format": 2}'
