"""Building backbones: what the catalog says is what one gets, with the weights asked for."""

import random
from pathlib import Path

from tfft.system.tensorflow import keras

import numpy as np
import pytest

from tfft.backbones.backbone import Backbone, weights_digest
from tfft.backbones.build import build_backbone
from tfft.backbones.graph import graph_nodes
from tfft.backbones.split import split
from tfft.config.model import ApplicationBackbone, BackboneConfig, LiteBackbone
from tfft.errors import BackboneError

LITE = LiteBackbone(kind="lite", weights="random")
QUARTER_MOBILENET = ApplicationBackbone(
    kind="application", name="MobileNet", weights="random", arguments={"alpha": 0.25}
)
NASNET = ApplicationBackbone(kind="application", name="NASNetMobile", weights="random")
RESNET = ApplicationBackbone(kind="application", name="ResNet50", weights="random")


@pytest.fixture(
    scope="module",
    params=[
        LITE,
        QUARTER_MOBILENET,
        pytest.param(RESNET, marks=pytest.mark.slow),
        pytest.param(NASNET, marks=pytest.mark.slow),
    ],
    ids=lambda c: c.name,
)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return build_backbone(request.param, 48, seed=3)


def application(name: str, weights: str = "random", **arguments: object) -> ApplicationBackbone:
    return ApplicationBackbone(kind="application", name=name, weights=weights, arguments=arguments)


def images(size_px: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, size_px, size_px, 3)).astype("float32")


def test_parameters_and_features_are_those_of_the_catalog(backbone: Backbone):
    if backbone.spec.name == "MobileNet":  # a quarter of the width
        assert backbone.model.count_params() == 218_544
        assert backbone.model.output.shape[1:] == (1, 1, 256)
    else:
        assert backbone.model.count_params() == backbone.spec.parameters
        assert backbone.model.output.shape[-1] == backbone.spec.feature_size


def test_blocks_are_those_of_the_catalog_and_hold_everything_once(backbone: Backbone):
    assert [block.name for block in backbone.blocks] == [b.name for b in backbone.spec.blocks]
    operations = [op for block in backbone.blocks for op in block.operations]
    assert len({id(op) for op in operations}) == len(operations)
    assert len(operations) == len(graph_nodes(backbone.model))
    weights = [w for block in backbone.blocks for layer in block.layers for w in layer.weights]
    assert {id(w) for w in weights} == {id(w) for w in backbone.model.weights}
    assert len(weights) == len(backbone.model.weights)


def test_prefix_and_suffix_together_compute_what_the_whole_does(backbone: Backbone):
    x = images(48)
    whole = backbone.model(x).numpy()
    for frozen_blocks in (1, len(backbone.blocks) // 2, len(backbone.blocks) - 1):
        prefix, suffix = split(backbone, frozen_blocks)
        assert prefix is not None
        assert suffix is not None
        np.testing.assert_allclose(suffix(prefix(x)).numpy(), whole, rtol=1e-5, atol=1e-7)


def test_prefix_and_suffix_share_their_weights_with_the_whole(backbone: Backbone):
    prefix, suffix = split(backbone, 2)
    assert prefix is not None
    assert suffix is not None
    shared = {id(w) for w in (*prefix.weights, *suffix.weights)}
    assert shared == {id(w) for w in backbone.model.weights}
    assert len(prefix.weights) + len(suffix.weights) == len(backbone.model.weights)


@pytest.mark.slow
def test_after_cuts_the_whole_can_still_be_saved(backbone: Backbone, tmp_path: Path):
    for frozen_blocks in (1, 3):
        split(backbone, frozen_blocks)
    backbone.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images(48)), backbone.model(images(48)))


def test_cut_at_an_end_leaves_one_part(backbone: Backbone):
    assert split(backbone, 0) == (None, backbone.model)
    assert split(backbone, len(backbone.blocks)) == (backbone.model, None)
    with pytest.raises(ValueError, match="frozen_blocks must be"):
        split(backbone, len(backbone.blocks) + 1)


@pytest.mark.slow
def test_every_tensor_that_crosses_the_cut_is_handed_over():
    backbone = build_backbone(NASNET, 48)
    names = [block.name for block in backbone.blocks]
    prefix, suffix = split(backbone, names.index("cell_2"))
    assert prefix is not None
    assert suffix is not None
    # A NASNet cell takes the outputs of the two cells before it.
    assert [tensor._keras_history.operation.name for tensor in prefix.outputs] == [
        "normal_concat_0",
        "normal_concat_1",
    ]
    assert len(suffix.inputs) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [LITE, QUARTER_MOBILENET, pytest.param(NASNET, marks=pytest.mark.full)],
    ids=lambda c: c.name,
)
def test_the_same_seed_gives_the_same_weights(config: BackboneConfig):
    first, again, other = (build_backbone(config, 32, seed=seed) for seed in (7, 7, 8))
    assert first.weights_digest == again.weights_digest
    assert first.weights_digest != other.weights_digest


@pytest.mark.parametrize(
    ("config", "numbered_by_keras"),
    [
        pytest.param(application("MobileNetV3Small"), "activation_17", id="MobileNetV3Small"),
        pytest.param(
            *(NASNET, "activation_187"),
            marks=[pytest.mark.slow, pytest.mark.full],
            id="NASNetMobile",
        ),
    ],
)
def test_layers_have_the_same_names_however_often_they_are_built(config, numbered_by_keras):
    first, again = (build_backbone(config, 32) for _ in range(2))
    names = [layer.name for layer in first.model.layers]
    assert numbered_by_keras in names
    assert names == [layer.name for layer in again.model.layers]


def test_building_leaves_the_state_of_the_process_alone():
    keras.utils.set_random_seed(5)
    expected_name = keras.layers.Dense(1).name.split("_")
    state = random.getstate()
    draw = np.random.get_state()[1].tolist()
    build_backbone(QUARTER_MOBILENET, 32)
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == draw
    number = int(expected_name[1]) if len(expected_name) > 1 else 0
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"


def test_the_digest_follows_the_weights():
    backbone = build_backbone(QUARTER_MOBILENET, 32)
    assert weights_digest(backbone.model) == backbone.weights_digest
    variable = backbone.model.weights[-1]
    variable.assign(variable + 1e-6)
    assert weights_digest(backbone.model) != backbone.weights_digest


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.1, 0.35, 1.3])
@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small"])
def test_any_width_can_be_divided_into_blocks(name: str, alpha: float):
    backbone = build_backbone(application(name, alpha=alpha), 32)
    weights = [w for block in backbone.blocks for layer in block.layers for w in layer.weights]
    assert len(weights) == len(backbone.model.weights)


def test_the_minimalistic_variant_can_be_divided_into_blocks():
    backbone = build_backbone(application("MobileNetV3Small", minimalistic=True), 32)
    assert backbone.blocks[0].operations[-1].name == "re_lu"
    assert backbone.blocks[-1].operations[-1].name == backbone.spec.blocks[-1].otherwise


def test_pixel_normalisation_of_the_builder_is_left_to_the_model():
    backbone = build_backbone(application("EfficientNetB0"), 32)
    assert backbone.spec.preprocessing == "torch"
    kinds = {type(layer).__name__ for layer in backbone.model.layers}
    assert not kinds & {"Rescaling", "Normalization"}


def test_images_that_are_too_small_are_refused():
    with pytest.raises(BackboneError, match=r"InceptionV3 needs images of at least 75 px.*64"):
        build_backbone(application("InceptionV3"), 64)


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(BackboneError, match="imagenet, random or the path of a file"):
        build_backbone(application("MobileNet", "imagnet"), 64)


def test_arguments_without_imagenet_weights_are_refused_with_those_that_have():
    with pytest.raises(BackboneError, match=r"alpha: 0.25, depth_multiplier: 1;.*'alpha': 0.3"):
        build_backbone(application("MobileNet", "imagenet", alpha=0.3), 64)
