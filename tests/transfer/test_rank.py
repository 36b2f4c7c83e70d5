"""Ranking backbones on pictures: features once, the probe first."""

from pathlib import Path

import pytest
from hub_modules import save_module, small_network

import tfft
from tfft.errors import DataError

_RANDOM = ("MobileNet:alpha=0.25,weights=random", "EfficientNetLite0:weights=random")
_PIXELS = {
    "image.size_px": 32,
    "image.resize_px": None,
    "data.validation_fraction": 0.25,
}


@pytest.mark.slow
def test_backbones_come_by_their_probe_with_all_figures(pictures: Path):
    ranking = tfft.rank(_RANDOM, data=pictures, overrides=_PIXELS)
    assert ranking.classes == 3
    assert {backbone.name for backbone in ranking.backbones} == set(_RANDOM)
    first, second = ranking.backbones
    assert first.probe_top1 >= second.probe_top1
    by_name = {backbone.name: backbone for backbone in ranking.backbones}
    mobilenet = by_name[_RANDOM[0]]
    assert (mobilenet.parameters, mobilenet.features, mobilenet.size_px) == (218_544, 256, 32)
    assert mobilenet.multiply_adds > 0
    assert mobilenet.probe_interval[0] <= mobilenet.probe_top1 <= mobilenet.probe_interval[1]
    again = tfft.rank(_RANDOM[:1], data=pictures, overrides=_PIXELS)
    assert again.backbones[0].logme == mobilenet.logme
    assert again.backbones[0].h_score == mobilenet.h_score


@pytest.mark.slow
def test_a_backbone_is_ranked_at_the_size_it_is_trained_at(pictures: Path):
    small = {**_PIXELS, "image.size_px": 16, "image.backbone_px": 32}
    (ranked,) = tfft.rank(_RANDOM[:1], data=pictures, overrides=small).backbones
    assert ranked.size_px == 32


def test_a_saved_model_is_ranked_like_any_other(pictures: Path, tmp_path: Path):
    module = save_module(small_network(), tmp_path / "module", "training_argument")
    overrides = {**_PIXELS, "image.size_px": None}
    (ranked,) = tfft.rank([str(module)], data=pictures, overrides=overrides).backbones
    assert (ranked.name, ranked.size_px, ranked.features) == (str(module), 24, 10)
    assert ranked.multiply_adds == 0


def test_without_validation_images_there_is_no_evidence(pictures: Path):
    overrides = {**_PIXELS, "data.validation_fraction": 0.0}
    with pytest.raises(DataError, match="needs validation images"):
        tfft.rank(_RANDOM[:1], data=pictures, overrides=overrides)
