"""A user's mistake is one message with the way out, an exit code and no traceback; quickly."""

import os

import pytest

from tfft.cli.main import run


def failure(done, code: int) -> str:
    """The message of a failed command; stdout is empty and there is no traceback."""
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("tfft: ")
    assert done.returncode == code, done.stderr
    return done.stderr


def test_an_unknown_recipe_names_the_nearest(tfft):
    assert "'quickstart'" in failure(tfft("train", "quickstrat"), 2)


def test_a_recipe_file_that_is_not_there(tfft):
    assert "gone.yaml" in failure(tfft("train", "gone.yaml"), 2)


def test_a_recipe_file_with_several_faults_names_them_all_with_their_lines(tfft, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\n"
        "data: {kind: digits}\n"
        "backbone: {kind: lite, wieghts: random}\n"
        "train:\n"
        "  batch_size: -1\n"
        "  phases: [{solver: linear}]\n"
    )
    message = failure(tfft("train", "mine.yaml"), 2)
    assert "mine.yaml:3" in message
    assert "'weights'" in message
    assert "mine.yaml:5" in message


def test_an_unknown_key_names_the_nearest(tfft):
    message = failure(tfft("train", "quickstart", "--set", "train.batchsize=8"), 2)
    assert "batch_size" in message


def test_a_renamed_value_is_a_line_of_its_own(tfft):
    message = failure(tfft("train", "classifier", "--set", "train.monitor=figure"), 2)
    renamed = "figure has been renamed: write monitor: metric"
    first, second = message.splitlines()
    assert first == f"tfft: --set train.monitor: {renamed}"
    assert "data.path: which images?" in second


def test_an_unknown_backbone_names_the_nearest(tfft):
    settings = ("--set", "backbone.kind=application", "--set", "backbone.name=ResNte50")
    message = failure(tfft("train", "quickstart", *settings, timeout=60), 2)
    assert "ResNet50" in message


def test_a_size_that_is_none_says_how_one_is_written(tfft):
    message = failure(tfft("backbones", "describe", "MobileNet", "--size-px", "192x"), 2)
    assert "'192x' is not a number of pixels, such as 224, or HEIGHTxWIDTH, such as" in message


def test_a_data_directory_that_is_not_there(tfft):
    assert "gone" in failure(tfft("train", "classifier", "--data", "gone", timeout=60), 2)


def test_data_that_are_not_there_are_not_taken_for_a_recipe(tfft):
    message = failure(tfft("data", "check", "no/such/folder"), 2)
    assert (
        "there is no folder, manifest or recipe of this path. Received: no/such/folder" in message
    )


def test_own_photos_need_data(tfft):
    assert "--data" in failure(tfft("train", "classifier", timeout=60), 2)


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_a_model_that_is_not_there(tfft, command):
    assert "gone" in failure(tfft(command, "gone", timeout=60), 2)


def test_a_model_that_is_not_there_is_said_before_any_image_is_read(tfft):
    assert "gone.tflite" in failure(tfft("predict", "gone.tflite", "a.jpg"), 2)


def test_a_file_that_is_no_model(tfft, tmp_path):
    (tmp_path / "model.tflite").write_text("not a model")
    (tmp_path / "a.jpg").touch()
    assert "model.tflite" in failure(tfft("predict", "model.tflite", "a.jpg"), 2)


def test_a_run_to_resume_that_is_not_there(tfft):
    assert "gone" in failure(tfft("train", "--resume", "gone", timeout=60), 2)


def test_resuming_takes_the_runs_own_recipe(tfft):
    message = failure(tfft("train", "quickstart", "--resume", "runs/x"), 2)
    assert "--resume" in message


def test_training_needs_a_recipe(tfft):
    assert "RECIPE" in failure(tfft("train"), 2)


def test_a_gate_outside_zero_to_one_is_refused(tfft):
    assert "--min-top1" in failure(tfft("evaluate", "runs/x", "--min-top1", "80"), 2)


def test_images_that_cannot_be_used_are_all_named_and_exit_2(tfft, tmp_path):
    for name in ("cat/a.jpg", "cat/b.jpg", "dog/c.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_text("not an image")
    done = tfft("data", "check", "photos")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in ("cat/a.jpg", "cat/b.jpg", "dog/c.jpg"):
        assert name in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("data check {}", "train classifier --data {}", "train classifier --run {}"),
        *("train --resume {}", "evaluate {}", "evaluate runs/x --data {}", "export {}"),
        *("export runs/x --output {}", "predict {} a.jpg", "report {}", "calibrate {}"),
        *("publish {} models", "publish x {}", "benchmark {}", "compare {} runs/x"),
    ],
)
def test_a_path_that_is_not_utf_8_is_refused_by_what_can_be_printed(command, capsys, tmp_path):
    strange = tmp_path / os.fsdecode(b"caf\xe9")
    strange.mkdir()
    assert run(command.format(strange).split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"Received: {tmp_path}/caf\\xe9\n" in captured.err
