"""The catalog of backbones: consistent, and readable without TensorFlow."""

import subprocess
import sys

import pytest

from tfft.catalog.backbones import (
    backbone_spec,
    backbone_specs,
    resolve_arguments,
    weights_file,
)
from tfft.catalog.spec import BackboneSpec
from tfft.errors import BackboneError

SPECS = {spec.name: spec for spec in backbone_specs()}
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def test_names_are_unique():
    assert len(SPECS) == len(backbone_specs()) == 41


@each_spec
def test_block_names_and_ends_are_unique(spec: BackboneSpec):
    names = [block.name for block in spec.blocks]
    ends = [block.end for block in spec.blocks]
    assert len(set(names)) == len(names)
    assert len(set(ends)) == len(ends)


@each_spec
def test_sizes_are_possible(spec: BackboneSpec):
    assert 32 <= spec.min_size_px <= spec.default_size_px <= 600
    assert 0.6 < (spec.imagenet_top1 or 0) < 0.9
    assert spec.feature_size < spec.parameters


@each_spec
def test_default_arguments_have_imagenet_weights_with_a_url(spec: BackboneSpec):
    if spec.kind == "lite":
        assert not spec.weights
        return
    file = weights_file(spec, resolve_arguments(spec, {}), spec.default_size_px)
    assert file is not None
    assert file.url.startswith("https://")
    assert file.digest is None or len(file.digest) in (32, 64)


def test_weights_files_have_the_names_that_keras_gives_them():
    mobilenet = SPECS["MobileNet"]
    quarter = resolve_arguments(mobilenet, {"alpha": 0.25})
    found = weights_file(mobilenet, quarter, 224)
    assert found is not None
    assert found.name == "mobilenet_2_5_224_tf_no_top.h5"

    v2 = weights_file(SPECS["MobileNetV2"], {"alpha": 1.0}, 160)
    assert v2 is not None
    assert v2.name == "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160_no_top.h5"

    v3 = weights_file(SPECS["MobileNetV3Large"], {"alpha": 1.0, "minimalistic": True}, 100)
    assert v3 is not None
    assert v3.name == "weights_mobilenet_v3_large_minimalistic_224_1.0_float_no_top_v2.h5"


def test_another_image_size_takes_the_weights_of_the_default_size():
    file = weights_file(SPECS["MobileNetV2"], {"alpha": 0.5}, 200)
    assert file is not None
    assert file.name.endswith("_0.5_224_no_top.h5")


def test_weights_are_published_for_some_arguments_only():
    assert weights_file(SPECS["MobileNet"], {"alpha": 0.3, "depth_multiplier": 1}, 224) is None


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(BackboneError, match=r"Did you mean 'ResNet50'\?.*Received: 'resnet-50'"):
        backbone_spec("application", "resnet-50")


def test_name_of_another_kind_is_refused_with_its_kind():
    with pytest.raises(BackboneError, match="EfficientNetLite0 is of kind 'lite'"):
        backbone_spec("application", "EfficientNetLite0")


def test_defaults_are_filled_in_and_whole_numbers_become_floats():
    assert resolve_arguments(SPECS["MobileNet"], {"alpha": 1}) == {
        "alpha": 1.0,
        "depth_multiplier": 1,
    }


def test_every_wrong_argument_is_named_at_once():
    with pytest.raises(BackboneError) as raised:
        resolve_arguments(SPECS["MobileNet"], {"alfa": 0.5, "alpha": 0, "depth_multiplier": "2"})
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert "Did you mean 'alpha'?" in lines[0]
    assert "above 0.0" in lines[1]
    assert "must be int" in lines[2]


def test_a_number_is_no_truth_value():
    with pytest.raises(BackboneError, match="must be bool"):
        resolve_arguments(SPECS["MobileNetV3Small"], {"minimalistic": 1})
    with pytest.raises(BackboneError, match="must be float"):
        resolve_arguments(SPECS["MobileNetV3Small"], {"alpha": True})


def test_the_catalog_needs_no_tensorflow():
    code = (
        "import sys, tfft.catalog.backbones, tfft.backbones.availability; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
