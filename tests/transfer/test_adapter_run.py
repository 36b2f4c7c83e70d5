"""Runs on grey, transparent and small images, from training to every exported form."""

from pathlib import Path

import numpy as np
import pytest
from shapes import (
    ALL,
    FEATURES,
    HEADS,
    LINEAR,
    shapes_recipe,
    weights_of,
    write_backbone,
    write_photos,
)

from tfft.config.recipe import Recipe
from tfft.evaluation.evaluate import evaluate
from tfft.exports.export import export
from tfft.runtime.load import load_predictor
from tfft.transfer.estimate import dry_run
from tfft.transfer.train import train


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photos = write_photos(tmp_path_factory.mktemp("photos"))
    write_backbone(photos)
    return photos


def _recipe(photos: Path, image: dict, *phases: dict) -> Recipe:
    values = shapes_recipe(photos, *phases).model_dump(mode="json", exclude_none=True)
    return Recipe.model_validate({**values, "image": image})


@pytest.mark.slow
@pytest.mark.parametrize(
    "image",
    [
        {"size_px": 12, "backbone_px": 32, "channels": 1, "adapter": "repeat"},
        pytest.param({"size_px": 32, "channels": 4, "adapter": "inflate"}, marks=pytest.mark.slow),
    ],
)
def test_every_form_of_the_model_takes_such_images(photos: Path, tmp_path: Path, image: dict):
    run = train(_recipe(photos, image, LINEAR), run=tmp_path / "run")
    exported = export(run.path, output=tmp_path / "saved_models", tflite={"timed": False})
    forms = (run.path, exported.savedmodel, exported.tflite["float32"])
    figures = [evaluate(form).metrics["label"]["top1"] for form in forms]
    assert figures[0] == figures[1] == figures[2]
    pixels = load_predictor(forms[2]).pixels([next(photos.glob("*/*.png")).read_bytes()])
    assert pixels.shape == (1, image["size_px"], image["size_px"], image["channels"])


@pytest.mark.slow
def test_a_trained_adapter_learns_with_the_heads_under_a_frozen_backbone(
    photos: Path, tmp_path: Path
):
    image = {"size_px": 32, "channels": 2, "adapter": "conv"}
    recipe = _recipe(photos, image, {**HEADS, "epochs": 1}, {**ALL, "epochs": 1})
    heads, everything = dry_run(recipe).phases
    assert not heads.cached
    assert "adapter" in heads.reason
    assert heads.trained_parameters == (FEATURES + 1) * 3 + 6
    assert everything.trained_parameters - heads.trained_parameters == 2_184
    run = train(_recipe(photos, image, {**HEADS, "epochs": 1}), run=tmp_path / "run")
    weights = weights_of(run.path)
    (name,) = (name for name in weights if "adapter" in name)
    assert not np.array_equal(weights[name][0, 0, :, 2], [0.0, 0.0])
