"""A search of five trials that is killed in the middle and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from transfer.shapes import small_backbone, write_backbone, write_photos

from tfft.config.loading.load import load_recipe

pytest.importorskip("optuna")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
_TRIALS = 5


def write_recipe(directory: Path) -> Path:
    (directory / "photos").mkdir()
    backbone = write_backbone(write_photos(directory / "photos"))
    recipe = {
        "name": "searched",
        "data": {"kind": "digits", "fraction": 0.1},
        "image": {"size_px": 32},
        "backbone": small_backbone(backbone),
        "train": {"strategy": {"kind": "feature_extraction", "epochs": 2, "learning_rate": 1e-6}},
        "tune": {
            "trials": _TRIALS,
            "space": {
                "train.phases.0.learning_rate": {"low": 1e-6, "high": 0.1, "log": True},
                "train.phases.0.epochs": {"low": 1, "high": 3},
                "train.phases.0.augment": {"choices": ["none", "flip"]},
            },
        },
    }
    path = directory / "searched.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def tune(directory: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tfft", "tune", "searched.yaml", "--name", "search", "--json"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_search_that_was_killed_goes_on_and_says_whether_it_found_something(tmp_path):
    write_recipe(tmp_path)
    runs = tmp_path / "studies" / "search" / "runs"
    with tune(tmp_path) as killed:
        deadline = time.monotonic() + 600
        while not (runs / "trial-2").is_dir():
            assert time.monotonic() < deadline, killed.poll()
            time.sleep(0.1)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    first = (runs / "trial-0" / "cost.json").read_bytes()

    with tune(tmp_path) as again:
        output, errors = again.communicate(timeout=1200)
    assert again.returncode == 0, errors
    assert (runs / "trial-0" / "cost.json").read_bytes() == first
    tuned = json.loads(output)
    assert tuned["trials"] == _TRIALS
    assert tuned["validation_top1"] > tuned["default_top1"]
    assert tuned["better"] == (tuned["p_value"] < 0.05)
    assert ("not shown to be better" in tuned["text"]) != tuned["better"]
    winner = load_recipe(tmp_path / tuned["recipe"])
    rate = tuned["values"]["train.phases.0.learning_rate"]
    assert winner.train.phases[0].learning_rate == pytest.approx(rate)
    assert winner.tune is None
    # The test images were not looked at.
    assert list(runs.glob("*/evaluation/test.json")) == []
