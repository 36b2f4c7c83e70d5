"""What is found out about a SavedModel, and what is no backbone."""

from tfft.system.tensorflow import tf

import numpy as np
import pytest
from hub_modules import FEATURES, LAYOUTS, save_module, small_network

from tfft.backbones.backbone import Backbone
from tfft.backbones.build import build_backbone
from tfft.backbones.describe import describe
from tfft.backbones.split import split
from tfft.config.model import HubBackbone
from tfft.errors import BackboneError


def built(path, size_px=None, **section) -> Backbone:
    return build_backbone(HubBackbone(kind="hub", handle=str(path), **section), size_px)


def pixels(size_px: int = 24) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(3, size_px, size_px, 3)).astype(np.float32)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_module_computes_what_it_was_saved_from(tmp_path, layout):
    network = small_network()
    backbone = built(save_module(network, tmp_path / "m", layout))
    features = backbone.model(pixels()).numpy()
    assert np.ptp(features, axis=0).max() > 0.1
    np.testing.assert_allclose(features, network(pixels()), rtol=1e-6)
    found = describe(backbone)
    assert (found.size_px, found.output_shape, found.runs_whole) == (24, (FEATURES,), True)
    assert (found.parameters, found.trainable) == (network.count_params(), 1032)
    blocks = {block.name: (block.parameters, block.parts) for block in found.blocks}
    assert blocks == {
        "stem": (116, ("net/stem_conv", "net/stem_bn")),
        "block_1": (266, ("net/block_1_conv", "net/block_1_bn")),
        "block_2": (650, ("net/block_2_conv", "net/block_2_bn")),
    }
    # Only a call with a `training` argument has a mode in which statistics move.
    assert [block.batch_norms for block in found.blocks] == [layout == "training_argument"] * 3


def test_a_module_of_any_size_takes_the_size_of_the_recipe(tmp_path):
    path = save_module(small_network(None, pooled=False), tmp_path / "m", "no_training")
    assert built(path, 40).model.output_shape == (None, 5, 5, FEATURES)
    with pytest.raises(BackboneError, match=r"takes images of any size: set image\.size_px"):
        built(path)


def test_another_size_than_the_modules_is_refused(tmp_path):
    path = save_module(small_network(), tmp_path / "m", "no_training")
    with pytest.raises(BackboneError, match=r"takes images of 24 px\. .* Received: 32"):
        built(path, 32)


def test_an_opaque_backbone_is_cut_before_and_after_only(tmp_path):
    backbone = built(save_module(small_network(), tmp_path / "m", "no_training"))
    assert split(backbone, 0) == (None, backbone.model)
    assert split(backbone, 3) == (backbone.model, None)
    with pytest.raises(ValueError, match="runs whole"):
        split(backbone, 1)


def test_variables_that_the_module_does_not_use_are_left_out(tmp_path):
    """A colleague's model brings the state of its optimizer along."""
    module = tf.Module()
    module.used, module.unused = tf.Variable(tf.ones([3]), name="used"), tf.Variable([1.0, 2.0])
    spec = tf.TensorSpec([None, 8, 8, 3], tf.float32)
    module.__call__ = tf.function(
        lambda images: tf.reduce_mean(images, [1, 2]) * module.used, input_signature=[spec]
    )
    tf.saved_model.save(module, str(tmp_path / "m"))
    backbone = built(tmp_path / "m")
    assert [variable.path for variable in backbone.model.variables] == ["used"]


def save_signature(path, function, *specs) -> None:
    module = tf.Module()
    module.function = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(path), {"serving_default": module.function})


def image_spec(*shape) -> tf.TensorSpec:
    return tf.TensorSpec(shape, tf.float32, "images")


def mean(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, [1, 2])


def test_an_output_of_several_is_chosen_by_name(tmp_path):
    def function(images):
        return {"features": mean(images), "logits": mean(images) * 2.0}

    save_signature(tmp_path / "m", function, image_spec(None, 8, 8, 3))
    with pytest.raises(BackboneError, match=r"outputs features, logits: say which"):
        built(tmp_path / "m")
    backbone = built(tmp_path / "m", output="logits")
    np.testing.assert_allclose(backbone.model(pixels(8)), mean(pixels(8)) * 2.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "specs", "fault"),
    [
        (mean, [image_spec(2, 8, 8, 3)], "must take batches of any size, and takes only 2"),
        (mean, [image_spec(None, 8, None, 3)], "takes only one side as it is: 8 x any width"),
        (
            lambda images: tf.cast(images, tf.float32),
            [tf.TensorSpec([None, 8, 8, 3], tf.uint8, "images")],
            "must take images, float32",
        ),
        (
            lambda images: tf.reduce_mean(images, 1),
            [image_spec(None, 8, 8, 3)],
            "must return features",
        ),
        (
            lambda images, other: mean(images) + mean(other),
            [image_spec(None, 8, 8, 3), tf.TensorSpec([None, 8, 8, 3], tf.float32, "other")],
            "must take one input, images. Received: 2 inputs",
        ),
    ],
)
def test_what_is_no_backbone_is_said(tmp_path, function, specs, fault):
    save_signature(tmp_path / "m", lambda *a: {"out": function(*a)}, *specs)
    with pytest.raises(BackboneError, match=fault):
        built(tmp_path / "m")


def test_a_signature_that_is_not_there_is_named_with_those_that_are(tmp_path):
    save_signature(tmp_path / "m", lambda images: {"f": mean(images)}, image_spec(None, 8, 8, 3))
    with pytest.raises(BackboneError, match="It has: serving_default"):
        built(tmp_path / "m", signature="serve")


@pytest.mark.parametrize("name", ["variables", "trainable_variables", "regularization_losses"])
def test_a_module_whose_lists_are_none_is_refused(tmp_path, name):
    module = tf.train.Checkpoint(**{name: tf.train.Checkpoint()})
    module.__call__ = tf.function(
        lambda inputs: tf.reduce_mean(inputs, [1, 2]),
        input_signature=[tf.TensorSpec([None, 24, 24, 3], tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path / "module"))
    config = HubBackbone(kind="hub", handle=str(tmp_path / "module"))
    with pytest.raises(BackboneError, match=f"is no reusable SavedModel: {name} is no list"):
        build_backbone(config, 24, 0)
