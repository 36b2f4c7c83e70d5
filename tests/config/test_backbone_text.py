"""Backbones as they are named on the command line."""

from pathlib import Path

import pytest

from tfft.config.loading.load import load_recipe
from tfft.config.loading.named_backbone import parse_backbone, parse_backbones
from tfft.errors import BackboneError, RecipeError


def test_names_arguments_and_weights():
    first, second, third = parse_backbones(
        ["EfficientNetLite0,MobileNet:alpha=0.25,weights=random", "ResNet50"]
    )
    assert (first.config.kind, first.config.weights) == ("lite", "imagenet")
    assert second.text == "MobileNet:alpha=0.25,weights=random"
    assert second.config.arguments == {"alpha": 0.25}
    assert (second.config.weights, third.config.name) == ("random", "ResNet50")


def test_a_weights_file_is_found_from_anywhere():
    (named,) = parse_backbones(["MobileNet:weights=w.h5"])
    assert named.config.weights == str(Path("w.h5").absolute())


def test_the_same_backbone_twice_is_one():
    assert len(parse_backbones(["ResNet50,ResNet50"])) == 1


def test_runs_presets_and_recipes(tmp_path: Path):
    run, preset, recipe = parse_backbones([str(tmp_path), "keras_hub:presets/vit", "quickstart"])
    assert (run.config.kind, run.config.path) == ("keras", str(tmp_path))
    assert preset.config.preset == "presets/vit"
    assert recipe.image is not None
    assert (recipe.config.kind, recipe.image.size_px) == ("lite", 96)


def test_saved_models_and_their_addresses(tmp_path: Path):
    module = tmp_path / "module"
    module.mkdir()
    (module / "saved_model.pb").touch()
    (tmp_path / "module.tar.gz").touch()
    texts = [str(module), str(tmp_path / "module.tar.gz"), "https://a.b/c/1", "model.keras"]
    found = [named.config for named in parse_backbones([",".join(texts)])]
    assert [config.kind for config in found] == ["hub", "hub", "hub", "keras"]
    assert [config.handle for config in found[:3]] == texts[:3]


def test_the_default_of_the_weights_is_for_names_that_say_nothing_of_them():
    texts = ("ResNet50", "ResNet50:weights=imagenet", "quickstart")
    found = [parse_backbone(text, weights="random").config.weights for text in texts]
    assert found == ["random", "imagenet", load_recipe("quickstart").backbone.weights]


def test_values_can_be_set_beside_the_text():
    overrides = ["backbone.arguments.alpha=0.5", "backbone.weights=random"]
    config = parse_backbone("MobileNet:alpha=0.25", overrides=overrides).config
    assert (config.arguments, config.weights) == ({"alpha": 0.5}, "random")


@pytest.mark.parametrize("text", ["EfficientNetLite0", "MobileNet:alpha=0.25,weights=random"])
def test_a_recipe_takes_the_same_text(text: str):
    set_so = load_recipe("quickstart", overrides=[f"backbone={text}"])
    assert set_so.backbone == parse_backbone(text).config
    changed = load_recipe("quickstart", overrides=[f"backbone={text}", "backbone.weights=random"])
    assert changed.backbone.weights == "random"


def test_a_recipe_says_what_is_no_backbone():
    with pytest.raises(RecipeError) as raised:
        load_recipe("quickstart", overrides=["backbone=ResNte50"])
    (line,) = str(raised.value).splitlines()
    assert line.startswith("--set backbone: no backbone. Did you mean 'ResNet50'? Give a name")


def test_every_unknown_name_is_reported_with_the_nearest():
    with pytest.raises(BackboneError) as raised:
        parse_backbones(["ResNet5,Nothing", "MobileNet:alhpa=1", "MobileNet:quarter"])
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("ResNet5: no backbone. Did you mean 'ResNet50'?")
    assert lines[1].startswith("Nothing: no backbone.")
    assert "has no argument of this name. Did you mean 'alpha'?" in lines[2]
    assert "KEY=VALUE" in lines[3]
