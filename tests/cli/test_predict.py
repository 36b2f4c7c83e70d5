"""Predicting many files, good and bad, with any predictor."""

import io
import json
import os
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image

from tfft.cli.predict import _print_json, _print_lines, predict_files, predictions_text
from tfft.errors import DataError
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec
from tfft.runtime.info import HeadInfo, ModelInfo, OperatingPoint
from tfft.system.names import UNLIKENESS
from tfft.system.progress import SILENT


@dataclass
class BrightnessPredictor:
    """Says how bright an image is: an honest predictor without a network."""

    kind: str = "keras"
    decoder: str = "pillow"
    info: ModelInfo = field(
        default_factory=lambda: ModelInfo(
            name="brightness",
            input=PixelSpec(4, 4),
            heads={"label": HeadInfo("classification", ("dark", "grey", "bright"), "label")},
            backbone="none",
            licence=None,
            data=None,
            tfft_version="0",
            created="2025-01-01T00:00:00+00:00",
        )
    )
    batches: list[int] = field(default_factory=list)

    def pixels(self, encoded):
        return np.stack([encoded_to_pixels(content, self.info.pixels) for content in encoded])

    def answers(self, images):
        self.batches.append(len(images))
        bright = images.mean(axis=(1, 2, 3)) / 255
        return {"label": np.stack([(1 - bright) * 0.9, 0.1 + 0 * bright, bright * 0.9], axis=1)}


@pytest.fixture
def files(tmp_path):
    """75 images of rising brightness, of which number 3 and 40 cannot be read, and one is gone."""
    paths = []
    for number in range(75):
        path = tmp_path / f"{number:02}.png"
        Image.new("RGB", (9, 7), (number * 3,) * 3).save(path)
        paths.append(str(path))
    (tmp_path / "03.png").write_bytes(b"")
    (tmp_path / "40.png").write_bytes(b"not an image")
    return [*paths, str(tmp_path / "gone.png")]


def test_each_path_gets_its_answer_in_order_and_bad_ones_do_not_stop_it(files):
    predictor = BrightnessPredictor()
    answers = list(predict_files(predictor, files, 2, SILENT))
    assert [answer["path"] for answer in answers] == files
    assert [i for i, answer in enumerate(answers) if "error" in answer] == [3, 40, 75]
    assert answers[75]["error"] == "cannot be read: No such file or directory"
    assert predictor.batches == [31, 31, 11]
    for number in (0, 4, 39, 41, 74):
        labels = answers[number]["predictions"]["label"]
        assert len(labels) == 2
        by_name = {label["label"]: label["probability"] for label in labels}
        assert by_name["dark"] == pytest.approx(0.9 * (1 - number * 3 / 255), abs=1e-6)


def test_labels_are_sorted_by_probability_and_at_most_as_many_as_there_are(files):
    (answer,) = predict_files(BrightnessPredictor(), files[:1], 10, SILENT)
    assert [label["label"] for label in answer["predictions"]["label"]] == [
        "dark",
        "grey",
        "bright",
    ]


def test_of_labels_those_that_apply_are_said_and_all_of_them(files):
    predictor, single = BrightnessPredictor(), BrightnessPredictor().info.heads["label"]
    head = replace(single, kind="multi_label", thresholds=(0.95, 0.05, 0.5))
    predictor.info = replace(predictor.info, heads={"label": head})
    (answer,) = predict_files(predictor, files[:1], 1, SILENT)
    assert answer["predictions"]["label"] == [
        {"label": "dark", "probability": pytest.approx(0.9), "applies": False},
        {"label": "grey", "probability": pytest.approx(0.1), "applies": True},
    ]
    assert predictions_text(answer["predictions"]) == "grey 10.0%"
    predictor.info.heads["label"] = replace(head, thresholds=(0.95, 0.95, 0.95))
    (answer,) = predict_files(predictor, files[:1], 1, SILENT)
    assert predictions_text(answer["predictions"]) == "no label applies (dark 90.0%)"


def test_by_an_operating_point_its_class_is_the_answer_above_the_threshold_alone(files):
    """Image 60 is dark by 26 % and bright by 64 %."""
    predictor = BrightnessPredictor()
    head = predictor.info.heads["label"]
    for threshold, first, said in (
        (0.25, "dark", "dark 26.5% (above 25.0%), bright 63.5%"),
        (0.30, "bright", "bright 63.5%, dark 26.5% (not above 30.0%)"),
    ):
        point = OperatingPoint("dark", threshold, "recall", 0.9)
        predictor.info.heads["label"] = replace(head, operating_points=(point,))
        (answer,) = predict_files(predictor, files[60:61], 1, SILENT)
        labels = answer["predictions"]["label"]
        assert [label["label"] for label in labels] == ["bright", "dark"]
        assert [label["label"] for label in labels if label["answer"]] == [first]
        assert (labels[1]["threshold"], labels[1]["applies"]) == (threshold, first == "dark")
        assert predictions_text(answer["predictions"]) == said
    point = OperatingPoint("bright", 0.7, "precision", 0.9)
    predictor.info.heads["label"] = replace(head, operating_points=(point,))
    (answer,) = predict_files(predictor, files[60:61], 1, SILENT)
    assert predictions_text(answer["predictions"]) == "dark 26.5%, bright 63.5% (not above 70.0%)"


def test_a_label_with_an_operating_point_says_its_threshold(files):
    predictor = BrightnessPredictor()
    point = OperatingPoint("bright", 0.6, "precision", 0.9)
    single = predictor.info.heads["label"]
    head = replace(single, kind="multi_label", operating_points=(point,))
    predictor.info.heads["label"] = head
    (answer,) = predict_files(predictor, files[60:61], 1, SILENT)
    assert answer["predictions"]["label"] == [
        {
            "label": "bright",
            "probability": pytest.approx(0.635, abs=1e-3),
            "threshold": 0.6,
            "applies": True,
        }
    ]
    assert predictions_text(answer["predictions"]) == "bright 63.5% (above 60.0%)"


def test_a_batch_of_bad_images_alone_is_no_error(files):
    answers = list(predict_files(BrightnessPredictor(), [files[3], files[75]], 1, SILENT))
    assert all("error" in answer for answer in answers)


def test_a_line_an_image_and_errors_on_stderr(files, capsys):
    results = io.StringIO()
    failed = _print_lines(results, predict_files(BrightnessPredictor(), files[2:4], 1, SILENT))
    assert failed == 1
    assert results.getvalue() == f"{files[2]}: dark 87.9%\n"
    assert capsys.readouterr().err.startswith(f"tfft: {files[3]}: ")


def test_json_is_one_list_with_errors_in_their_place(files):
    results = io.StringIO()
    failed = _print_json(results, predict_files(BrightnessPredictor(), files[2:5], 1, SILENT))
    document = json.loads(results.getvalue())
    assert failed == 1
    assert [sorted(entry) for entry in document] == [
        ["path", "predictions"],
        ["error", "path"],
        ["path", "predictions"],
    ]


def test_heads_are_named_when_there_are_several():
    one = [{"label": "pug", "probability": 0.5}]
    assert predictions_text({"breed": one}) == "pug 50.0%"
    assert predictions_text({"breed": one, "coat": one}) == "breed: pug 50.0%; coat: pug 50.0%"


def test_a_bug_of_the_predictor_is_not_swallowed(files):
    class Broken(BrightnessPredictor):
        def pixels(self, encoded):
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        list(predict_files(Broken(), files[:1], 1, SILENT))


def test_data_errors_are_what_a_bad_image_raises(files):
    with pytest.raises(DataError):
        BrightnessPredictor().pixels([b"not an image"])


def test_what_is_no_file_is_reported_and_hangs_nothing(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to("gone.png")
    Image.new("RGB", (9, 7)).save(tmp_path / os.fsdecode(b"caf\xe9\x1b.png"))
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    stream = io.StringIO()
    answers = predict_files(BrightnessPredictor(), paths, 1, SILENT)
    assert _print_lines(stream, answers) == 2
    assert stream.getvalue() == f"{tmp_path}/caf\\xe9\\x1b.png: dark 90.0%\n"
    assert capsys.readouterr().err == (
        f"tfft: {tmp_path}/broken.png: a broken link: there is no gone.png\n"
        f"tfft: {tmp_path}/pipe.png: a named pipe, not a file\n"
    )
    stream = io.StringIO()
    _print_json(stream, predict_files(BrightnessPredictor(), paths, 1, SILENT))
    assert json.loads(stream.getvalue())[1]["path"] == f"{tmp_path}/caf\\xe9\x1b.png"


def test_a_file_longer_than_any_image_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "long.png").touch()
    os.truncate(tmp_path / "long.png", 1 << 40)
    reader, writer = os.pipe()
    os.write(writer, bytes(1001))
    os.close(writer)
    paths = [str(tmp_path / "long.png"), f"/dev/fd/{reader}"]
    first, _ = predict_files(BrightnessPredictor(), paths[:1] * 2, 1, SILENT)
    assert first["error"] == "a file of 1099.51 GB; an image has at most 640.0 MB"
    for module in ("tfft.cli.predict", "tfft.images.formats"):
        monkeypatch.setattr(f"{module}.MAX_BYTES", 1000)
    (endless,) = predict_files(BrightnessPredictor(), paths[1:], 1, SILENT)
    assert endless["error"] == "a file of 1.0 kB; an image has at most 1.0 kB"
    os.close(reader)


def test_a_pipe_that_the_shell_made_is_read_and_a_device_is_not(tmp_path):
    Image.new("RGB", (9, 7), (255, 255, 255)).save(tmp_path / "white.png")
    reader, writer = os.pipe()
    os.write(writer, (tmp_path / "white.png").read_bytes())
    os.close(writer)
    paths = [f"/dev/fd/{reader}", "/dev/zero"]
    first, second = predict_files(BrightnessPredictor(), paths, 1, SILENT)
    os.close(reader)
    assert first["predictions"]["label"][0]["label"] == "bright"
    assert second["error"] == "a device, not a file"


class _Unsure(BrightnessPredictor):
    """The brighter an image, the less it is like those of the training."""

    def answers(self, images):
        answers = super().answers(images)
        return {**answers, UNLIKENESS: 2.0 * images.mean(axis=(1, 2, 3))[:, None] / 255.0}


def test_an_image_that_is_none_of_these_is_said_to_be_so(files, capsys):
    answers = list(predict_files(_Unsure(), [files[0], files[69]], 1, SILENT))
    assert [answer["unsure"] for answer in answers] == [False, True]
    assert answers[1]["unlikeness"] == pytest.approx(1.62, abs=0.01)
    results = io.StringIO()
    assert _print_lines(results, answers) == 0
    sure, unsure = results.getvalue().splitlines()
    assert ": unsure" not in sure
    assert f"{files[69]}: unsure (1." in unsure and "); " in unsure
