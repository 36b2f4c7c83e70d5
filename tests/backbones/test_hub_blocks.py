"""Blocks of a module, from the names of its variables as published modules have them."""

import pytest

from tfft.backbones.hub.blocks import blocks_of_names, blocks_of_patterns
from tfft.errors import BackboneError


def grouped(homes: dict[str, str]) -> dict[str, list[str]]:
    blocks: dict[str, list[str]] = {}
    for name, block in homes.items():
        blocks.setdefault(block, []).append(name)
    return blocks


@pytest.mark.parametrize(
    ("names", "blocks"),
    [
        (  # MobileNetV2 of TF-Slim, in the order in which TF1 lists: by name
            [
                "MobilenetV2/Conv/weights",
                "MobilenetV2/expanded_conv_1/expand/weights",
                "MobilenetV2/expanded_conv_10/expand/weights",
                "MobilenetV2/expanded_conv_2/expand/weights",
                "MobilenetV2/Conv_1/weights",
            ],
            ["stem", "expanded_conv_1", "expanded_conv_2", "expanded_conv_10", "top"],
        ),
        (  # MobileNetV2 of Keras
            ["Conv1/kernel", "block_1_expand/kernel", "block_1_expand_BN/gamma", "Conv_1/kernel"],
            ["stem", "block_1", "top"],
        ),
        (  # ResNet of TF-Slim
            [
                "resnet_v2_50/conv1/weights",
                "resnet_v2_50/block1/unit_1/bottleneck_v2/conv1/weights",
                "resnet_v2_50/block1/unit_2/bottleneck_v2/conv1/weights",
                "resnet_v2_50/postnorm/gamma",
            ],
            ["stem", "block1/unit_1", "block1/unit_2", "top"],
        ),
        (  # ResNet of Keras
            ["conv1_conv/kernel", "conv2_block1_1_conv/kernel", "conv5_block3_3_bn/gamma"],
            ["stem", "conv2_block1", "conv5_block3"],
        ),
        (  # EfficientNet
            ["stem_conv/kernel", "block1a_dwconv/kernel", "block2b_se_reduce/bias", "top_bn/gamma"],
            ["stem", "block1a", "block2b", "top"],
        ),
        (["encoder/layer_0/mlp/kernel", "encoder/layer_1/mlp/kernel"], ["layer_0", "layer_1"]),
        (["conv2d/kernel", "conv2d_1/kernel"], ["module"]),
        (["kernel", "kernel_1"], ["module"]),
    ],
)
def test_blocks_are_the_numbered_units_of_the_names(names, blocks):
    found = blocks_of_names(names)
    assert list(grouped(found)) == blocks
    assert sorted(found) == sorted(names)


def test_statistics_belong_to_the_scope_of_their_weights_wherever_they_are_listed():
    names = ["bn/gamma", "block_1_bn/gamma", "block_2_bn/gamma", "post_bn/gamma"]
    statistics = [name.replace("gamma", "moving_mean") for name in names]
    found = grouped(blocks_of_names([*names, *statistics]))
    assert found["stem"] == ["bn/gamma", "bn/moving_mean"]
    assert found["block_1"] == ["block_1_bn/gamma", "block_1_bn/moving_mean"]
    assert found["top"] == ["post_bn/gamma", "post_bn/moving_mean"]


def test_patterns_of_a_recipe_make_blocks_in_its_order():
    names = ["b/kernel", "a/kernel", "a/bias"]
    found = blocks_of_patterns(names, {"first": ["a/*"], "second": ["*"]})
    assert grouped(found) == {"first": ["a/kernel", "a/bias"], "second": ["b/kernel"]}


def test_patterns_must_hold_every_variable_and_match_something():
    with pytest.raises(BackboneError) as caught:
        blocks_of_patterns(["a/kernel", "b/kernel"], {"first": ["a/*", "c/kernel"]})
    assert str(caught.value).splitlines() == [
        "backbone.blocks:",
        "'c/kernel' of block first matches no variable. Did you mean 'b/kernel'?",
        "no block has b/kernel",
    ]
