"""The temperature of a run: fitted on validation images that nothing was trained on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tfft.cli.main import run as command_line
from tfft.errors import ModelFileError, TfftError
from tfft.evaluation.calibrate import Calibration, HeadCalibration, calibrate
from tfft.evaluation.data import recorded_data
from tfft.runtime.load import load_predictor
from tfft.system.files import read_arrays, write_arrays, write_json
from tfft.system.progress import SILENT


@pytest.fixture
def run(small_run, tmp_path) -> Path:
    """The small run with six of its twelve training images for validation."""
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    return with_validation_fraction(run, 0.5)


def with_validation_fraction(run: Path, fraction: float) -> Path:
    info = json.loads((run / "model.json").read_text())
    info.pop("crc32", None)
    info["data"]["validation_fraction"] = fraction
    write_json(run / "model.json", info)
    return run


def test_it_is_kept_with_the_run_and_no_image_is_predicted_twice(run):
    calibration = calibrate(run)
    kept = json.loads((run / "calibration.json").read_text())
    assert kept.items() >= {"format": 1, **calibration.to_json()}.items()
    head = calibration.heads["label"]
    assert head.temperature > 0
    assert head.nll_after <= head.nll_before
    assert not calibration.held_out
    answers = read_arrays(run / "evaluation" / "validation.npz")
    assert answers["outputs/label"].shape == (calibration.examples, 3)
    (run / "evaluation" / "validation.npz").unlink()
    assert calibrate(run) == calibration
    assert not (run / "evaluation" / "validation.npz").exists()


def test_its_table_tells_before_from_after(monkeypatch, capsys):
    heads = {"label": HeadCalibration(1.5, True, 0.4, 0.3, 0.2, 0.1)}
    fitted = Calibration(6, heads, "", held_out=False)
    monkeypatch.setattr("tfft.calibrate", lambda run, **options: fitted)
    assert command_line(["calibrate", "run", "--quiet"]) == 0
    columns = capsys.readouterr().out.splitlines()[2].split("  ")
    names = [name.strip() for name in columns if name.strip()]
    assert len(names) == len(set(names)) == 6


def test_a_calibration_of_another_model_is_fitted_again(run):
    first = calibrate(run)
    stale = {**first.to_json(), "model": "other"}
    stale["heads"]["label"]["temperature"] = 123.0
    write_json(run / "calibration.json", stale)
    assert calibrate(run) == first


def test_without_validation_images_it_says_what_to_do(run):
    with_validation_fraction(run, 0.0)
    with pytest.raises(TfftError, match="validation_fraction above 0"):
        calibrate(run)


def test_what_is_no_run_cannot_be_calibrated(exported):
    with pytest.raises(ModelFileError, match="is not a run"):
        calibrate(exported.tflite["float32"])


@pytest.fixture
def refitted_run(run) -> Path:
    """A run whose head was solved again on the validation images."""
    write_json(run / "plan.json", {"phases": [{"config": {"refit": True}}]})
    write_json(run / "metrics.json", {"validation": {}, "best": {"phase": 1, "epoch": 1}})
    return run


def test_a_refitted_head_is_calibrated_on_what_it_said_before(refitted_run):
    """Each image says 9 : 1 : 1 for its class but one, so that 9^(1/T) / 2 is right : wrong."""
    index = recorded_data(load_predictor(refitted_run).info, SILENT).splits["validation"]
    said = index.targets["label"].copy()
    said[0] = (said[0] + 1) % 3
    probabilities = np.full((len(index), 3), 1 / 11, np.float32)
    probabilities[np.arange(len(index)), said] = 9 / 11
    write_arrays(refitted_run / "validation_before_refit.npz", {"label": probabilities})
    calibration = calibrate(refitted_run)
    assert calibration.held_out
    expected = np.log(9) / np.log(2 * (len(index) - 1))
    assert calibration.heads["label"].temperature == pytest.approx(expected, rel=1e-4)


def test_a_run_that_kept_its_untrained_heads_is_not_refitted(refitted_run):
    """Phase 0 is before the phases of the plan, whatever the last of them does."""
    write_json(refitted_run / "metrics.json", {"validation": {}, "best": {"phase": 0, "epoch": 0}})
    assert not calibrate(refitted_run).held_out


def test_a_refitted_head_is_not_calibrated_on_images_that_it_was_trained_on(refitted_run):
    with pytest.raises(TfftError, match="refitted on the validation images"):
        calibrate(refitted_run)
