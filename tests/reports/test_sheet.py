"""A sheet of pictures: what a model would see of images, without and with augmentation."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import tfft
from tfft.cli.main import run
from tfft.config.loading.load import recipe_from_dict
from tfft.data.examples import Images
from tfft.data.load import load_data
from tfft.errors import UsageError
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec
from tfft.reports.sheet import make_sheet

SIZE_PX = 32


def recipe_on(pictures, *phases, **data):
    return recipe_from_dict(
        {
            "name": "colours",
            "seed": 3,
            "data": {"kind": "image_folder", "path": str(pictures), **data},
            "image": {"size_px": SIZE_PX},
            "backbone": {"kind": "lite"},
            "heads": {"label": {}},
            "train": {"phases": [{"solver": "linear"}, *phases]},
        }
    )


def gradient(**values):
    return {"epochs": 1, "learning_rate": 0.001, **values}


@pytest.fixture(scope="module")
def recipe(pictures):
    flip = gradient(augment="flip")
    return recipe_on(pictures, flip, gradient(mix={"kind": "mixup"}), flip)


@pytest.fixture(scope="module")
def sheet(recipe):
    return make_sheet(recipe, pictures=5, views=3)


def test_every_class_is_there_before_one_is_there_twice(sheet):
    labels = [picture.label for picture in sheet.pictures]
    assert labels == sorted(labels)
    assert {labels.count(name) for name in ("blue", "green", "red")} == {1, 2}
    assert all(picture.path.startswith(f"{picture.label}/") for picture in sheet.pictures)


def test_the_first_picture_is_what_an_evaluation_sees(sheet, pictures):
    spec = PixelSpec(SIZE_PX, SIZE_PX)
    for picture in sheet.pictures:
        pixels = encoded_to_pixels((pictures / picture.path).read_bytes(), spec)
        np.testing.assert_allclose(picture.exact, pixels, atol=0.51)


def test_the_views_are_those_of_the_first_epochs_of_a_training(sheet, recipe):
    """As training draws them: from all images, in another order, in batches."""
    train = load_data(recipe.data).splits["train"]
    batches = Images(train, PixelSpec(SIZE_PX, SIZE_PX)).training_batches(
        len(train),
        order=lambda epoch: np.random.default_rng(epoch).permutation(len(train)),
        augmentation="flip",
        seed=recipe.seed,
        epochs=range(3),
    )
    for epoch, batch in enumerate(batches):
        rows = dict(zip(batch["positions"].numpy().tolist(), batch["inputs"].numpy(), strict=True))
        for picture in sheet.pictures:
            expected = rows[train.ids.index(picture.path)]
            found = picture.views["flip"][epoch]
            np.testing.assert_allclose(found, expected, atol=0.51)


def test_each_preset_names_its_phases_and_what_is_not_shown_is_said(sheet):
    assert sheet.phases == {"flip": (2, 4)}
    assert sheet.remarks() == [
        "flip: phases 2, 4",
        "phase 3 mixes images in pairs, which is not shown",
    ]


def test_a_recipe_that_does_not_augment_says_so(sheet):
    (remark,) = replace(sheet, phases={}, mixed=()).remarks()
    assert remark.startswith("no phase of the recipe augments")


def test_a_page_and_a_cell_have_all_pictures_and_need_no_other_file(sheet, tmp_path):
    sheet.write(tmp_path / "sheet.html")
    for text in ((tmp_path / "sheet.html").read_text(encoding="utf-8"), sheet._repr_html_()):
        uris = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', text)
        assert len(uris) == text.count("<img") == 5 * (1 + 3)
        with Image.open(io.BytesIO(base64.b64decode(uris[0]))) as picture:
            assert picture.size == (96, 96)
        assert "http:" not in text and "https:" not in text


def test_a_picture_has_a_row_an_image(sheet, tmp_path):
    sheet.write(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (4 * 136 + 8, 5 * 159 + 8)


def test_names_are_text_on_a_page_whatever_they_are(sheet):
    picture = replace(sheet.pictures[0], path="<i>.png", label="<b>bold")
    text = replace(sheet, name="<u>", pictures=(picture,), notes=("<s>",))._repr_html_()
    assert not any(tag in text for tag in ("<i>", "<b>", "<u>", "<s>"))
    assert "&lt;b&gt;bold" in text


def test_the_ending_is_looked_at_before_the_images_are(tmp_path, capsys):
    assert run(["data", "show", str(tmp_path / "none"), "--output", "sheet.pdf"]) == 2
    assert "a sheet is a file .html or .png. Received: sheet.pdf" in capsys.readouterr().err


def test_a_preset_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"Did you mean 'random_crop'\?"):
        tfft.show_data("photos", augmentation="random_crops")


@pytest.mark.slow
def test_the_command_looks_at_a_folder(pictures, tmp_path, capsys):
    words = ["data", "show", str(pictures), "--augment", "flip"]
    for value in ("size_px=32", "resize_px=null", "interpolation=bilinear"):
        words += ["--set", f"image.{value}"]
    path = tmp_path / "s.html"
    assert run([*words, "--pictures", "2", "--output", str(path), "--json", "-q"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["sheet"] == str(path)
    assert path.is_file()
    assert said["augmentations"] == {"flip": []}
    assert [sorted(p) for p in said["pictures"]] == [["height", "label", "path", "width"]] * 2
