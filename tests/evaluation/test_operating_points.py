"""The threshold of a class that matters: chosen on validation images, carried by the model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_calibrate import with_validation_fraction

from tfft.cli.answer_first import answer_first
from tfft.cli.predict import predict_files
from tfft.errors import GateError, TfftError, UsageError
from tfft.evaluation.answers import Answers, answers_key, save_answers
from tfft.evaluation.calibrate import calibrate
from tfft.evaluation.data import recorded_data
from tfft.evaluation.evaluate import evaluate
from tfft.evaluation.operating_points import AskedPoint, asked_point, chosen_point
from tfft.exports.export import export
from tfft.metrics.calibration import at_temperature
from tfft.metrics.heads import head_metrics
from tfft.runtime.info import HeadInfo, OperatingPoint
from tfft.runtime.load import load_predictor, read_model_info
from tfft.system.progress import SILENT

HEAD = HeadInfo("classification", ("blue", "green", "red"), "label")
LABELS = HeadInfo("multi_label", ("scratch", "dent"), "faults", thresholds=(0.3, 0.4))
RED = AskedPoint("red", "precision", 0.9)


@pytest.fixture
def run(small_run, tmp_path) -> Path:
    """The small run with six validation images, of which one that is not red looks most like it."""
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    said_of(with_validation_fraction(run, 0.5), unlike_red=0.5)
    return run


def said_of(run: Path, unlike_red: float) -> None:
    """Keeps answers on the validation images: the red ones are red by 0.6 and 0.7."""
    predictor = load_predictor(run)
    index = recorded_data(predictor.info, SILENT).splits["validation"]
    truth = index.targets["label"]
    red = np.where(truth == 2, 0.6, unlike_red)
    red[np.flatnonzero(truth == 2)[0]] = 0.7
    red[np.flatnonzero(truth != 2)[1:]] = 0.1
    probabilities = np.stack([(1 - red) * 0.7, (1 - red) * 0.3, red], axis=1).astype(np.float32)
    answers = Answers(np.array(index.ids), {}, {"label": probabilities}, "")
    save_answers(run, "validation", replace(answers, key=answers_key(predictor, index)))


def content(run: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in run.iterdir() if f.is_file()}


def listening() -> SimpleNamespace:
    said: list[str] = []
    return SimpleNamespace(start=SILENT.start, message=said.append, said=said)


def test_it_is_chosen_on_validation_images_and_carried_by_the_model(run):
    calibration = calibrate(run, asked=RED)
    (chosen,) = calibration.operating_points["label"]
    assert (chosen.as_trained.precision, chosen.as_trained.recall) == (1.0, 1.0)
    assert chosen.as_trained.threshold == pytest.approx(0.55)
    predictor = load_predictor(run)
    assert "head label: classification, 3 classes, red above 0.55" in str(predictor)
    (point,) = predictor.info.heads["label"].operating_points
    assert point == OperatingPoint("red", chosen.as_trained.threshold, "precision", 0.9)
    assert calibrate(run) == calibration
    assert "red: precision of at least 0.9: above 0.55" in str(calibration)
    assert "red has 2 validation images" in str(calibration)


def test_what_it_gives_on_test_images_is_evaluated_with_intervals(run):
    calibrate(run, asked=RED)
    evaluation = evaluate(run)
    (row,) = evaluation.metrics["label"]["operating_points"]
    assert (row["label"], row["goal"], row["at_least"]) == ("red", "precision", 0.9)
    assert row["examples"] == 4
    low, high = row["recall_interval"]
    assert low <= row["recall"] <= high
    assert f"red above {row['threshold']:.4f}: precision" in str(evaluation)
    assert json.loads((run / "evaluation" / "test.json").read_text())["metrics"]["label"]


def test_one_that_cannot_be_reached_is_refused_and_changes_nothing(run):
    said_of(run, unlike_red=0.9)
    before = content(run)
    with pytest.raises(GateError, match=r"the highest is a precision of 0\.667") as refused:
        calibrate(run, asked=RED)
    assert refused.value.exit_code == 3
    assert content(run) == before


def test_after_the_validation_images_changed_it_is_chosen_again_and_that_is_said(run):
    calibrate(run, asked=RED)
    with_validation_fraction(run, 0.25)
    said_of(run, unlike_red=0.3)
    progress = listening()
    (chosen,) = calibrate(run, progress).operating_points["label"]
    assert chosen.as_trained.threshold == pytest.approx(0.5)
    assert "chosen again, at 0.5000 in place of 0.5500" in progress.said[0]
    (point,) = read_model_info(run).heads["label"].operating_points
    assert point.threshold == chosen.as_trained.threshold


def test_another_one_replaces_that_of_classes_which_exclude_each_other(run):
    calibrate(run, asked=RED)
    progress = listening()
    calibrate(run, progress, asked=AskedPoint("blue", "recall", 0.5))
    (point,) = read_model_info(run).heads["label"].operating_points
    assert point.label == "blue"
    assert "the operating point of red is taken back" in progress.said[0]


def test_it_is_taken_back(run):
    without = calibrate(run)
    described = read_model_info(run)
    calibrate(run, asked=RED)
    with pytest.raises(UsageError, match="no operating point of blue to take back: red: precision"):
        calibrate(run, remove="blue")
    assert calibrate(run, remove="red") == without
    assert read_model_info(run) == described
    with pytest.raises(UsageError, match="no operating point to take back: none"):
        calibrate(run, remove="")


def test_a_calibration_from_before_there_were_any_is_read(run):
    first = calibrate(run)
    old = json.loads((run / "calibration.json").read_text())
    del old["operating_points"], old["crc32"]
    (run / "calibration.json").write_text(json.dumps(old))
    assert calibrate(run) == first


def test_a_head_with_a_temperature_has_one_threshold_for_each_of_its_answers():
    """With three classes, another temperature changes the order of images by one of them."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(200, 3)) * 3
    probabilities = at_temperature(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1.0)
    probabilities = probabilities.astype(np.float32)
    targets = np.array([generator.choice(3, p=p / p.sum()) for p in probabilities.astype(float)])
    chosen = chosen_point(AskedPoint("red", "recall", 0.9), HEAD, probabilities, targets, 2.0)
    scaled = at_temperature(probabilities, 2.0).astype(np.float32)
    for temperature, answers in ((1.0, probabilities), (2.0, scaled)):
        head = replace(HEAD, operating_points=(chosen.point(temperature),))
        (row,) = head_metrics(head, answers, targets)["operating_points"]
        assert row["recall"] >= 0.9
    assert chosen.point(1.0).threshold != chosen.point(2.0).threshold


def test_calibrated_exports_carry_the_threshold_of_their_answers(run):
    calibration = calibrate(run, asked=RED)
    (chosen,) = calibration.operating_points["label"]
    info = calibration.calibrated(read_model_info(run))
    head = info.heads["label"]
    assert head.temperature == calibration.temperatures["label"] != 1.0
    assert head.operating_points == (chosen.point(head.temperature),)
    assert info.at_temperatures({}).heads["label"].operating_points == ()
    assert info.as_trained() == read_model_info(run).as_trained()


@pytest.mark.slow
def test_every_form_predicts_by_the_threshold_of_its_probabilities(run, pictures, tmp_path):
    (chosen,) = calibrate(run, asked=RED).operating_points["label"]
    temperature = calibrate(run).temperatures["label"]
    files = [str(file) for file in sorted(pictures.glob("*/*"))]
    for calibrated in (False, True):
        place = tmp_path / str(calibrated)
        written = export(run, output=place, calibrated=calibrated, tflite={"timed": False})
        said = [answered(run, files)] if not calibrated else []
        for model in (written.savedmodel, written.tflite["float32"]):
            carried = chosen.point(temperature if calibrated else 1.0)
            assert load_predictor(model).info.heads["label"].operating_points == (carried,)
            said.append(answered(model, files))
        assert all(answers == said[0] for answers in said)


def answered(model: Path, files: list[str]) -> list[str]:
    """Returns what a model says of each image by its operating point."""
    answers = predict_files(load_predictor(model), files, 1, SILENT)
    return [answer_first(answer["predictions"]["label"])[0]["label"] for answer in answers]


def test_of_labels_each_has_its_own_and_the_others_keep_their_thresholds():
    answers = np.array([[0.9, 0.1], [0.6, 0.35], [0.4, 0.8], [0.2, 0.3]], np.float32)
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
    asked = AskedPoint("scratch", "precision", 1.0)
    chosen = chosen_point(asked, LABELS, answers, targets, 1.0)
    head = replace(LABELS, operating_points=(chosen.point(1.0),))
    assert [head.threshold(k) for k in (0, 1)] == [pytest.approx(0.75), 0.4]
    metrics = head_metrics(head, answers, targets)
    assert [row["threshold"] for row in metrics["per_label"]] == pytest.approx([0.75, 0.4])
    assert [row["precision"] for row in metrics["per_label"]] == [1.0, 1.0]
    (row,) = metrics["operating_points"]
    assert (row["label"], row["precision"], row["recall"]) == ("scratch", 1.0, 0.5)


def test_a_class_without_validation_images_cannot_have_one():
    answers, targets = np.full((2, 3), 1 / 3, np.float32), np.array([0, 1])
    with pytest.raises(UsageError, match="none of the 2 validation images is of red"):
        chosen_point(RED, HEAD, answers, targets, 1.0)


def test_what_is_misspelt_is_refused_with_what_there_is(run):
    with pytest.raises(UsageError, match="Did you mean 'red'"):
        calibrate(run, asked=AskedPoint("redd", "precision", 0.9))
    with pytest.raises(UsageError, match="Did you mean 'label'"):
        calibrate(run, asked=RED, head="labell")
    with pytest.raises(UsageError, match="Did you mean 'red'"):
        evaluate(run, classes=["redd"])


@pytest.mark.parametrize(
    ("arguments", "remove", "said"),
    [
        ((0.9, 0.9, "red"), False, "give one of the three"),
        ((0.9, None, "red"), True, "give one of the three"),
        ((0.9, None, None), False, "say for which class"),
        ((None, None, "red"), False, "say what for"),
        ((1.5, None, "red"), False, "Received: 1.5"),
        ((float("nan"), None, "red"), False, "Received: nan"),
    ],
)
def test_contradicting_arguments_are_refused(arguments, remove, said):
    with pytest.raises(UsageError, match=said):
        asked_point(*arguments, remove=remove)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([("pink", 0.5, "recall")], "not those of its classes"),
        ([("red", 0.5, "recall"), ("blue", 0.5, "recall")], "one class of a classification"),
        ([("red", 1.0, "recall")], "below 1"),
        ([("red", 0.5, "speed")], "one of precision, recall"),
    ],
)
def test_a_description_with_impossible_ones_is_damaged(run, points, said):
    described = json.loads((run / "model.json").read_text())
    keys = ("label", "threshold", "goal")
    described["heads"]["label"]["operating_points"] = [
        dict(zip(keys, point, strict=True)) | {"at_least": 0.9} for point in points
    ]
    described.pop("crc32", None)
    (run / "model.json").write_text(json.dumps(described))
    with pytest.raises(TfftError, match=said):
        read_model_info(run)
