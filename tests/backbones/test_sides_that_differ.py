"""Backbones for images whose height and width differ: built so, or refused by name."""

from pathlib import Path

from tfft.system.tensorflow import keras

import numpy as np
import pytest
from backbones.families import SMALLEST
from hub_modules import save_module, small_network
from keras import layers

from tfft.backbones.build import build_backbone
from tfft.backbones.describe import describe
from tfft.backbones.record import FILE_NAME, backbone_to_json, read_backbone_record
from tfft.catalog.backbones import backbone_spec
from tfft.config.model import ApplicationBackbone, HubBackbone, KerasBackbone
from tfft.errors import BackboneError
from tfft.system.formats import BACKBONE

_SIDES = (24, 40)


def _module(path: Path) -> HubBackbone:
    return HubBackbone(kind="hub", handle=str(path))


def _file(path: Path, model: keras.Model) -> KerasBackbone:
    model.save(path)
    return KerasBackbone(kind="keras", path=str(path), input_range=(-1, 1))


def _network(height: int | None, width: int | None) -> keras.Model:
    images = keras.Input((height, width, 3))
    x = layers.Conv2D(6, 3, 2, "same", activation="relu")(images)
    return keras.Model(images, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "MobileNet" else [pytest.mark.slow])
        for name in SMALLEST
    ],
)
def test_every_family_of_the_catalog_takes_sides_that_differ(name):
    least = backbone_spec("application", name).min_size_px
    config = ApplicationBackbone(kind="application", name=name, weights="random")
    backbone = build_backbone(config, (least, least + 64))
    assert backbone.model.input_shape == (None, least, least + 64, 3)
    assert describe(backbone).size_px == (least, least + 64)


def test_a_side_below_the_least_is_refused():
    config = ApplicationBackbone(kind="application", name="MobileNet", weights="random")
    with pytest.raises(BackboneError, match=r"MobileNet needs .* at least 32 px\. .* 64 x 31"):
        build_backbone(config, (64, 31))


def test_a_model_of_one_s_own_is_rebuilt_with_its_weights(tmp_path):
    network = _network(32, 32)
    backbone = build_backbone(_file(tmp_path / "own.keras", network), _SIDES)
    images = np.random.default_rng(0).uniform(-1, 1, (2, *_SIDES, 3)).astype(np.float32)
    convolution = network.layers[1]
    np.testing.assert_allclose(
        np.asarray(backbone.model([images])).reshape(2, -1, 6).mean(axis=1),
        np.asarray(convolution(images)).reshape(2, -1, 6).mean(axis=1),
        atol=1e-5,
    )


def test_a_model_made_for_such_images_keeps_them(tmp_path):
    backbone = build_backbone(_file(tmp_path / "own.keras", _network(*_SIDES)))
    found = describe(backbone)
    assert found.size_px == _SIDES and "at 24 x 40 px" in found.lines()[0]
    BACKBONE.write(tmp_path / FILE_NAME, backbone_to_json(backbone))
    spec, _, _ = read_backbone_record(tmp_path / FILE_NAME)
    assert spec.default_size_px == _SIDES


def test_positions_of_another_grid_are_refused(tmp_path):
    """16 patches in 4 x 4 are as many as in 2 x 8, and lie elsewhere."""
    images = keras.Input((32, 32, 3))
    tokens = layers.Reshape((16, 5))(layers.Conv2D(5, 8, 8, name="patches")(images))
    model = keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens)))
    config = _file(tmp_path / "tokens.keras", model)
    with pytest.raises(
        BackboneError, match=r"tokens\.keras .* 16 x 64 px: .* positions for 4 x 4, .* in 2 x 8"
    ):
        build_backbone(config, (16, 64))
    assert build_backbone(config, (36, 33)).model.input_shape[1:3] == (36, 33)


def test_a_module_of_one_size_refuses_all_others(tmp_path):
    square = save_module(small_network(), tmp_path / "square", "no_training")
    with pytest.raises(BackboneError, match=r"square@\w+ takes images of 24 px\. .* 24 x 40"):
        build_backbone(_module(square), _SIDES)


def test_a_module_of_any_size_takes_sides_that_differ(tmp_path):
    free = save_module(small_network(None, pooled=False), tmp_path / "free", "no_training")
    assert build_backbone(_module(free), _SIDES).model.output_shape[1:3] == (3, 5)
