"""A comparison as a user runs it: killed, gone on with, and what it says of a bad transfer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def recipe_of_ill_fitting_weights(directory: Path) -> Path:
    """Digits, and a backbone whose weights were made for nothing."""
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    backbone.save_weights(directory / "unfit.weights.h5")
    recipe = {
        "name": "unfit",
        "data": {"kind": "digits"},
        "image": {"size_px": 32},
        "backbone": {
            "kind": "application",
            "name": "MobileNet",
            "weights": str(directory / "unfit.weights.h5"),
            "arguments": {"alpha": 0.25},
        },
        # Small batches: the statistics of BatchNormalization follow over some 100 steps.
        "train": {"strategy": "feature_extraction", "batch_size": 8},
    }
    path = directory / "unfit.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def compare(directory: Path, recipe: Path) -> subprocess.Popen:
    arms = ("feature_extraction", "scratch")
    options = ("--recipe", str(recipe), "--seeds", "1", "--scratch-epochs", "8")
    return subprocess.Popen(
        [sys.executable, "-m", "tfft", "compare", *arms, *options, "--name", "unfit", "--json"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, seconds: float = 900.0) -> None:
    deadline = time.monotonic() + seconds
    while not path.is_file():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.1)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ill_fitting_features_are_called_negative_transfer_also_after_a_kill(tmp_path):
    recipe = recipe_of_ill_fitting_weights(tmp_path)
    runs = tmp_path / "studies" / "unfit" / "runs"
    first, second = runs / "feature_extraction/1/seed-0", runs / "scratch/1/seed-0"
    with compare(tmp_path, recipe) as killed:
        wait_for(second / "history.csv")
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    done = (first / "cost.json").read_bytes()
    # The run that was going on stops by itself, and notes what it had cost.
    wait_for(second / "cost.json")

    with compare(tmp_path, recipe) as again:
        output, errors = again.communicate(timeout=1200)
    assert again.returncode == 0, errors
    assert (first / "cost.json").read_bytes() == done
    assert json.loads((second / "cost.json").read_text())["resumed"]
    document = json.loads(output)
    (verdict,) = document["verdicts"]
    assert verdict["kind"] == "negative_transfer", verdict["text"]
    assert "NEGATIVE TRANSFER. feature_extraction is" in verdict["text"]
    assert {row["arm"]: row["trainable_parameters"] for row in document["rows"]} == {
        "feature_extraction": 2570,
        "scratch": 215642,
    }
    assert all(row["peak_memory_mb"] > 100 for row in document["rows"])
