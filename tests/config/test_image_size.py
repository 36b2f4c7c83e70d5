"""`image.size_px` is one number, or [height, width]."""

import pytest
from pydantic import ValidationError

from tfft.catalog.image_size import image_size, sides, sides_text
from tfft.config.data import ImageConfig
from tfft.config.loading.load import dump_recipe, load_recipe, recipe_from_dict
from tfft.errors import RecipeError


def _recipe(**image: object):
    return load_recipe("quickstart", overrides={f"image.{k}": v for k, v in image.items()})


def test_two_sides_are_written_and_read_as_they_were(tmp_path):
    recipe = _recipe(size_px=[96, 128], backbone_px=[192, 256])
    assert (recipe.image.size_px, recipe.image.model_px) == ((96, 128), (192, 256))
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe


def test_two_equal_sides_are_one_number():
    assert _recipe(size_px=[96, 96]) == _recipe(size_px=96)


@pytest.mark.parametrize("size", [0, -3, [96], [96, 0], [96, 96, 3], "96", 96.0, True, {}])
def test_nothing_else_is_a_size(size):
    with pytest.raises(ValidationError, match=r"whole number of pixels above 0, or \[height, wid"):
        ImageConfig(size_px=size)


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        ({"size_px": [96, 31]}, r"size_px: must be at least 32 for .* Received: 96 x 31"),
        ({"size_px": [5000, 64]}, r"size_px: must be at most 4,096, .* Received: 5000 x 64"),
        ({"size_px": [64, 96], "resize_px": 80}, r"at least size_px \(96\), .* Received: 80"),
        ({"size_px": [16, 64], "backbone_px": [32, 31]}, r"backbone_px: .* Received: 32 x 31"),
        ({"size_px": "wide"}, r"or \[height, width\]\. Received: wide"),
    ],
)
def test_rules_of_sizes_hold_for_each_side(image, fault):
    values = load_recipe("quickstart").model_dump(mode="json")
    with pytest.raises(RecipeError, match=fault):
        recipe_from_dict({**values, "image": image})


def test_sizes_for_people_have_the_height_first():
    assert [sides_text(size) for size in (224, (192, 256))] == ["224", "192 x 256"]
    assert [sides(image_size(*size)) for size in ((8, 8), (8, 9))] == [(8, 8), (8, 9)]
