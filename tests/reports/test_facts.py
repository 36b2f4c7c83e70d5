"""The facts that open a report, and the command that made its run."""

import sys
from dataclasses import replace

import pytest

from tfft.config.loading.load import load_recipe
from tfft.data.dataset import ImageData
from tfft.images.spec import PixelSpec
from tfft.reports.facts import facts, made_by
from tfft.runs.run import create_run
from tfft.runtime.info import ModelInfo
from tfft.system.files import read_json

INFO = ModelInfo("digits", PixelSpec(32, 32), {}, "B", "L", None, "0", "now")
REFIT = {"blocks": [], "phases": [{"config": {}}, {"config": {"refit": True}}]}
BEST = "the best on validation images"


def weights_kept(phase: int, *, keep_best: bool = True, validated: bool = True, plan=None) -> str:
    recipe = load_recipe("quickstart", overrides={"train.keep_best": keep_best})
    metrics = {
        "best": {"phase": phase, "epoch": 3},
        "validation": {"label": {"top1": 0.9}} if validated else {},
    }
    data = ImageData("digits", {}, {})
    return dict(facts(INFO, recipe, data, {}, plan or {}, metrics))["Weights kept"]


def test_weights_are_the_best_only_where_they_were_chosen():
    assert weights_kept(1) == f"of phase 1, epoch 3: {BEST}"
    assert weights_kept(1, keep_best=False) == "of phase 1, epoch 3: the last"
    assert weights_kept(1, validated=False) == "of phase 1, epoch 3: the last"


def test_only_weights_of_a_phase_with_a_refit_were_solved_again():
    assert weights_kept(2, plan=REFIT).endswith("then solved again with the validation images")
    assert weights_kept(1, plan=REFIT) == f"of phase 1, epoch 3: {BEST}"
    assert weights_kept(0, plan=REFIT) == f"untrained: {BEST}"


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (PixelSpec(32, 32), "32 by 32, shorter side fitted, centre cut, bilinear"),
        (PixelSpec(24, 40, "stretch"), "24 by 40, each side stretched, bilinear"),
        (
            PixelSpec(24, 40, "letterbox", fill=(255, 0, 9)),
            "24 by 40, fitted whole, the rest filled with rgb(255, 0, 9), bilinear",
        ),
    ],
)
def test_how_images_are_fitted_is_said(pixels, expected):
    data = ImageData("digits", {}, {})
    info = replace(INFO, input=pixels)
    assert dict(facts(info, load_recipe("quickstart"), data, {}, {}, {}))["Pixels"] == expected


@pytest.mark.parametrize("program", ["/venv/bin/tfft", "tfft.exe", "/lib/tfft/__main__.py"])
def test_the_command_of_a_run_means_in_a_shell_what_it_meant(tmp_path, monkeypatch, program):
    monkeypatch.setattr(sys, "argv", [program, "train", "classifier", "--data", "my photos"])
    run = create_run(load_recipe("quickstart"), tmp_path / "run")
    assert made_by(read_json(run.record_file)) == "tfft train classifier --data 'my photos'"


@pytest.mark.parametrize(
    "command",
    [
        "/lib/tfft/studies/worker.py a.yaml run test",
        "ipykernel_launcher.py -f k.json",
        "tfft 'a",
        "",
    ],
)
def test_what_is_no_command_of_tfft_is_not_shown(command):
    assert made_by({"command": command}) == ""
    assert made_by({}) == ""
