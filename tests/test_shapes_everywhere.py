"""Letterboxed images, inputs whose sides differ, TIFF and AVIF in every form of a model."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_run import write_pictures
from transfer.shapes import LINEAR, shapes_recipe, write_backbone, write_photos

import tfft
from tfft.config.loading.load import dump_recipe
from tfft.config.recipe import Recipe

pytestmark = pytest.mark.slow

_SIGNATURES = ("serving_default", "serve_uint8", "serve_bytes")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone for square images, and pictures in every kind of file, in both formats."""
    place = tmp_path_factory.mktemp("shapes")
    (place / "photos").mkdir()
    write_backbone(write_photos(place / "photos"))
    write_pictures(place / "pictures")
    for folder in (place / "pictures").iterdir():
        for name, made in (("5.png", "5.tif"), ("3.webp", "3.avif")):
            Image.open(folder / name).transpose(Image.Transpose.ROTATE_90).save(folder / made)
    return place


def _recipe(place: Path, image: dict) -> Recipe:
    values = shapes_recipe(place / "photos", LINEAR).model_dump(mode="json", exclude_none=True)
    values["data"] |= {"path": str(place / "pictures"), "test_fraction": 0.3, "split_by": "name"}
    return Recipe.model_validate({**values, "image": image})


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        ({"size_px": [24, 40], "fit": "letterbox", "fill": [255, 0, 60]}, (24, 40, 3)),
        ({"size_px": [48, 32]}, (48, 32, 3)),
        (
            {"size_px": [20, 12], "backbone_px": [40, 24], "channels": 1, "adapter": "repeat"},
            (20, 12, 1),
        ),
    ],
    ids=["letterbox", "crop", "enlarged"],
)
def test_every_form_answers_alike(place: Path, tmp_path: Path, image: dict, shape: tuple):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_recipe(_recipe(place, image)))
    run = tfft.train(recipe, run=tmp_path / "run")
    exported = tfft.export(run.path, output=tmp_path / "saved_models", tflite={"timed": False})
    forms = {
        "keras": tfft.load_predictor(run.path),
        "tflite": tfft.load_predictor(exported.tflite["float32"]),
        **{s: tfft.load_predictor(exported.savedmodel, signature=s) for s in _SIGNATURES},
    }
    files = sorted((place / "pictures").glob("*/*"))
    encoded = [file.read_bytes() for file in files]
    expected = forms["keras"].answers_from_bytes(encoded)["label"]
    assert np.ptp(expected, axis=0).max() > 0.2
    for name, form in forms.items():
        assert form.pixels(encoded[:1]).shape == (1, *shape)
        tolerance = 0.03 if name == "serve_uint8" else 1e-4
        answers = form.answers_from_bytes(encoded)["label"]
        np.testing.assert_allclose(answers, expected, atol=tolerance, err_msg=name)
    del forms["serve_uint8"]  # rounded pixels may turn an answer
    figures = {name: tfft.evaluate(form).metrics["label"]["top1"] for name, form in forms.items()}
    assert len(set(figures.values())) == 1
    page = tfft.report(run.path).path.read_text(encoding="utf-8")
    assert f"{shape[0]} by {shape[1]}" in page
