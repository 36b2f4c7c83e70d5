"""Backbones as they are named on the command line."""

from pathlib import Path

import pytest

from tfft.config.loading.named_backbone import parse_backbones
from tfft.errors import BackboneError


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
    run, preset, recipe = parse_backbones(
        [str(tmp_path), "keras_hub:presets/vit", "quickstart"], tmp_path
    )
    assert (run.config.kind, run.config.path) == ("keras", str(tmp_path))
    assert preset.config.preset == "presets/vit"
    assert recipe.image is not None
    assert (recipe.config.kind, recipe.image.size_px) == ("lite", 96)


def test_every_unknown_name_is_reported_with_the_nearest():
    with pytest.raises(BackboneError) as raised:
        parse_backbones(["ResNet5,Nothing", "MobileNet:alhpa=1", "MobileNet:quarter"])
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("ResNet5: no backbone. Did you mean 'ResNet50'?")
    assert lines[1].startswith("Nothing: no backbone.")
    assert "has no argument of this name. Did you mean 'alpha'?" in lines[2]
    assert "KEY=VALUE" in lines[3]
