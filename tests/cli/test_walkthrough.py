"""The whole way from the command line: `tfft quickstart` and what its reader types next."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
from transfer.shapes import ALL, HEADS, write_recipe

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("walkthrough")


def tfft(place: Path, *arguments) -> subprocess.CompletedProcess:
    return forked.tfft(arguments, place, 300)


def fresh_tfft(place: Path, *arguments, timeout: int) -> subprocess.CompletedProcess:
    """In an interpreter that has imported nothing."""
    return subprocess.run(
        [sys.executable, "-m", "tfft", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=place,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


def succeeded(done: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def quickstart(place) -> subprocess.CompletedProcess:
    return succeeded(fresh_tfft(place, "quickstart", timeout=600))


@pytest.fixture(scope="module")
def models(place, quickstart) -> dict[str, Path]:
    (tflite,) = (place / "saved_models" / "quickstart" / "tflite" / "1").glob("*.tflite")
    return {
        "keras": Path("runs/quickstart"),
        "savedmodel": Path("saved_models/quickstart/1"),
        "tflite": tflite.relative_to(place),
    }


def test_the_table_has_three_models_that_read_at_least_96_percent_alike(quickstart):
    rows = [line.split() for line in quickstart.stdout.splitlines()]
    accuracies = {
        row[0]: float(row[1]) for row in rows if row and row[0] in ("Keras", "SavedModel", "TFLite")
    }
    assert len(accuracies) == 3
    assert len(set(accuracies.values())) == 1
    assert min(accuracies.values()) >= 0.96
    assert "tfft train classifier --data DIR" in quickstart.stdout


def test_nothing_but_progress_is_on_stderr(quickstart):
    noise = ("cuda", "oneDNN", "WARNING", "I0000", "W0000", "E0000", "INFO:", "DelegateCreated")
    assert [word for word in noise if word.lower() in quickstart.stderr.lower()] == []


def test_evaluation_as_json_and_its_gate(place, models):
    done = tfft(place, "evaluate", models["keras"], "--json", "--min-top1", "0.9999")
    assert done.returncode == 3
    assert "below --min-top1" in done.stderr
    document = json.loads(done.stdout)
    assert set(document) >= {"model", "split", "examples", "metrics"}
    assert set(document["metrics"]["label"]) >= {
        "loss",
        "top1",
        "top5",
        "mean_class_accuracy",
        "ece",
    }


def test_evaluation_as_tables(place, models):
    done = succeeded(tfft(place, "evaluate", models["tflite"]))
    for text in ("top-1", "95 %", "top-5", "mean per-class accuracy", "calibration", "loss"):
        assert text in done.stdout


@pytest.mark.parametrize("kind", ["keras", "savedmodel", "tflite"])
def test_prediction_is_one_json_list_and_a_bad_image_does_not_stop_it(place, models, kind):
    (place / "bad.jpg").write_text("not an image")
    done = tfft(
        place, "predict", models[kind], "runs/quickstart/samples", "bad.jpg", "--json", "--top", "2"
    )
    assert done.returncode == 1
    *answers, bad = json.loads(done.stdout)
    assert [Path(answer["path"]).stem for answer in answers] == [
        answer["predictions"]["label"][0]["label"] for answer in answers
    ]
    assert {len(answer["predictions"]["label"]) for answer in answers} == {2}
    assert bad["path"] == "bad.jpg"
    assert bad["error"]


def test_prediction_with_tflite_is_one_line_and_nothing_else(place, models):
    (sample, *_) = sorted((place / "runs/quickstart/samples").iterdir())
    arguments = ("predict", models["tflite"], sample, "--top", "1")
    done = succeeded(fresh_tfft(place, *arguments, timeout=300))
    assert done.stdout.startswith(f"{sample}: {sample.stem} ")
    assert done.stderr == ""


def test_a_directory_that_cannot_be_written_is_one_message_and_exits_1(place):
    (place / "file").touch()
    done = tfft(place, "train", "quickstart", "--run", "file/run", "-q")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tfft: ")
    assert "file/run" in done.stderr
    assert "Traceback" not in done.stderr


def await_file(file: Path, process: subprocess.Popen, timeout=300) -> None:
    """Waits until the process has written the file; fails if it ended before, or never does."""
    deadline = time.monotonic() + timeout
    while not file.is_file():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"{file.name} never appeared: {process.communicate()[1]}")
        time.sleep(0.05)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_leaves_a_usable_run_that_resume_finishes(place):
    recipe = write_recipe(place, HEADS, {**ALL, "epochs": 12})
    process = subprocess.Popen(
        [sys.executable, "-m", "tfft", "train", str(recipe), "--run", "stopped"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    history = place / "stopped" / "history.csv"
    await_file(history, process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    assert (process.returncode, output) == (130, ""), errors
    assert "tfft train --resume stopped" in errors
    assert "Traceback" not in errors
    succeeded(tfft(place, "predict", "stopped", "photos/disc"))

    document = json.loads(succeeded(tfft(place, "train", "--resume", "stopped", "--json")).stdout)
    whole = json.loads(succeeded(tfft(place, "train", recipe, "--run", "whole", "--json")).stdout)
    assert (document["run"], whole["run"]) == ("stopped", "whole")
    assert document["metrics"] == whole["metrics"]
    with history.open() as lines:
        assert len(list(csv.DictReader(lines))) == 14
