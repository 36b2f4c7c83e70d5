"""Real KerasHub backbones with random weights: presets on disk, features, blocks, training."""

import json
import shutil
import warnings
from pathlib import Path

from tfft.system.tensorflow import keras

import numpy as np
import pytest
from backbones.transfer_matrix import (
    SIZE_PX,
    UNFREEZE,
    assert_only_the_unfrozen_changed,
    assert_saved_forms_agree,
    exported_in_this_suite,
    train_cell,
)
from untrusted.hostile_weights import (
    in_another_file,
    link_to_another_file,
    not_a_number,
    spoil,
    weights_in,
)

from tfft.backbones.build import build_backbone
from tfft.backbones.split import split
from tfft.config.model import KerasHubBackbone
from tfft.errors import BackboneError, ModelFileError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed: keras-hub")

_SAMPLE = (("resnet", "partly"), ("vit", "whole"))
_CELLS = [(name, way) for name in ("resnet", "vit") for way in UNFREEZE]


def resnet() -> keras.Model:
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[2, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )


def vit() -> keras.Model:
    return keras_hub.models.ViTBackbone(
        image_shape=(SIZE_PX, SIZE_PX, 3),
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
    )


@pytest.fixture(scope="module")
def presets(tmp_path_factory) -> Path:
    """A preset of a convolutional backbone, and one of a vision transformer with its pixels."""
    directory = tmp_path_factory.mktemp("presets")
    keras.utils.set_random_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        resnet().save_to_preset(str(directory / "resnet"))
        vit().save_to_preset(str(directory / "vit"))
        converter = keras_hub.layers.ViTImageConverter(
            image_size=(SIZE_PX, SIZE_PX), scale=1 / 127.5, offset=-1.0
        )
        converter.save_to_preset(str(directory / "vit"))
    return directory


def of(preset: object, **more) -> KerasHubBackbone:
    return KerasHubBackbone(kind="keras_hub", preset=str(preset), **more)


def images() -> np.ndarray:
    shape = (2, SIZE_PX, SIZE_PX, 3)
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


def original(presets: Path, name: str) -> keras.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return keras_hub.models.Backbone.from_preset(str(presets / name))


def test_a_vision_transformer_gives_its_class_token(presets: Path):
    backbone = build_backbone(of(presets / "vit"))
    tokens = original(presets, "vit").predict(images() / 127.5 - 1, verbose=0)
    assert backbone.model.output_shape == (None, 16)
    np.testing.assert_allclose(
        backbone.model.predict(images(), verbose=0), tokens[:, 0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.slow
def test_or_the_mean_of_its_image_tokens(presets: Path):
    backbone = build_backbone(of(presets / "vit", features="token_mean"))
    tokens = original(presets, "vit").predict(images() / 127.5 - 1, verbose=0)
    np.testing.assert_allclose(
        backbone.model.predict(images(), verbose=0).mean(axis=(1, 2)),
        tokens[:, 1:].mean(axis=1),
        rtol=1e-4,
        atol=1e-5,
    )


def test_each_layer_of_its_encoder_is_a_block(presets: Path):
    backbone = build_backbone(of(presets / "vit"))
    names = [block.name for block in backbone.blocks]
    assert names == ["vit_patching_and_embedding", "transformer_block_1", "transformer_block_2"]
    prefix, suffix = split(backbone, 2)
    np.testing.assert_allclose(
        suffix.predict(prefix.predict(images(), verbose=0), verbose=0),
        backbone.model.predict(images(), verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.slow
def test_levels_of_a_pyramid_are_averaged_one_by_one(presets: Path):
    config = of(presets / "resnet", features=("P2", "P3"), input_range=(0.0, 255.0))
    backbone = build_backbone(config, SIZE_PX)
    source = original(presets, "resnet")
    levels = keras.Model(source.inputs, source.pyramid_outputs).predict(images(), verbose=0)
    expected = np.concatenate([levels[n].mean(axis=(1, 2)) for n in ("P2", "P3")], axis=1)
    np.testing.assert_allclose(
        backbone.model.predict(images(), verbose=0), expected, rtol=1e-4, atol=1e-4
    )
    with pytest.raises(BackboneError, match=r"no level P9 in its feature pyramid\. Levels: P2, P3"):
        build_backbone(of(presets / "resnet", features=("P9",), input_range=(0.0, 1.0)), SIZE_PX)


def test_a_preset_that_does_not_say_its_pixels_is_asked_for_them(presets: Path):
    with pytest.raises(BackboneError, match=r"no image converter.*Set backbone.input_range"):
        build_backbone(of(presets / "resnet"))
    backbone = build_backbone(of(presets / "resnet", input_range=(-1.0, 1.0)))
    assert (backbone.spec.preprocessing, backbone.spec.default_size_px) == ("tf", 224)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (in_another_file, "is not read: its values lie in other files"),
        (link_to_another_file, "is a link, which may lead to another file"),
        (not_a_number, "has values that are not finite"),
    ],
)
def test_weights_of_a_preset_are_looked_through(presets: Path, tmp_path: Path, fault, message):
    preset = shutil.copytree(presets / "vit", tmp_path / "vit")
    spoil(preset / "model.weights.h5", weights_in(preset / "model.weights.h5")[0], fault)
    with pytest.raises(ModelFileError, match=message):
        build_backbone(of(preset))


def test_code_in_a_preset_is_refused(presets: Path, tmp_path: Path):
    preset = shutil.copytree(presets / "vit", tmp_path / "vit")
    config = json.loads((preset / "config.json").read_text())
    config["config"]["inner"] = {"class_name": "Lambda", "config": {"name": "evil"}}
    (preset / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelFileError, match=r"has Lambda layers.* not loaded: evil"):
        build_backbone(of(preset))


def test_what_is_no_preset_or_not_to_be_had_is_one_message(presets: Path, tmp_path: Path):
    with pytest.raises(BackboneError, match=r"it has no config\.json"):
        build_backbone(of(tmp_path))
    with pytest.raises(BackboneError, match=r"has activations .* not tokens"):
        build_backbone(of(presets / "resnet", features="class_token", input_range=(0.0, 1.0)))
    with pytest.raises(BackboneError, match="cannot load the KerasHub preset no_such_preset"):
        build_backbone(of("no_such_preset"))


@pytest.mark.parametrize("handle", ["hf://tfft/none", "kaggle://tfft/none/keras/none/1"])
def test_a_handle_without_a_network_fails_at_once(handle: str, monkeypatch):
    import socket

    def no_network(*address: object, **options: object):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    with pytest.raises(BackboneError, match="A handle needs the network the first time"):
        build_backbone(of(handle))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "unfreeze"),
    [
        *_SAMPLE,
        *(pytest.param(*cell, marks=pytest.mark.full) for cell in _CELLS if cell not in _SAMPLE),
    ],
)
def test_every_way_of_training_keeps_what_it_should(
    name: str, unfreeze: str, presets: Path, pictures: Path, tmp_path: Path, request
):
    backbone = {"kind": "keras_hub", "preset": str(presets / name), "input_range": [-1, 1]}
    cell = train_cell(backbone, unfreeze, pictures, tmp_path / "run")
    assert_only_the_unfrozen_changed(cell, unfreeze, "frozen")
    exported = exported_in_this_suite(unfreeze, request)
    assert_saved_forms_agree(cell, tmp_path, exported=exported, saved_again=name != "vit")
