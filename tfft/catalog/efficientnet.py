"""EfficientNet B0 to B7 and EfficientNetV2 of keras.applications."""

import string

from tfft.catalog.spec import BackboneSpec, BlockSpec, WeightsFile

_LICENCE = "Apache-2.0 (the original repository's; Keras states none)"
_V1_URL = "https://storage.googleapis.com/keras-applications/"
_V2_URL = "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/"

# The builder normalises pixels in layers of its own, and in one more if it loads ImageNet weights
# itself: with other weights, pixels would be normalised differently. So the backbone begins after
# these layers, and the `torch` preprocessing does what they do together:
# (x / 255 - mean) / sqrt(v) / sqrt(std), where v, which the file calls a variance, holds std.
_FIRST_LAYER = "stem_conv_pad"
_NORMALIZATION_IN_FILE = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _blocks(depths: tuple[int, ...], first_stage_end: str) -> tuple[BlockSpec, ...]:
    """Returns the blocks, each of which ends at its residual sum, or else at its projection."""
    blocks = [BlockSpec("stem", "stem_activation")]
    for stage, depth in enumerate(depths, start=1):
        end = first_stage_end if stage == 1 else "project_bn"
        names = [f"block{stage}{letter}" for letter in string.ascii_lowercase[:depth]]
        blocks += [BlockSpec(name, f"{name}_add", f"{name}_{end}") for name in names]
    return (*blocks, BlockSpec("top", "top_activation"))


def _v1(
    variant: str,
    size_px: int,
    depths: tuple[int, ...],
    parameters: int,
    feature_size: int,
    top1: float,
    digest: str,
) -> BackboneSpec:
    file = f"efficientnet{variant.lower()}_notop.h5"
    return BackboneSpec(
        name=f"EfficientNet{variant}",
        kind="application",
        builder=f"keras.applications.efficientnet:EfficientNet{variant}",
        default_size_px=size_px,
        min_size_px=32,
        preprocessing="torch",
        blocks=_blocks(depths, "project_bn"),
        parameters=parameters,
        feature_size=feature_size,
        licence=_LICENCE,
        source="https://keras.io/api/applications/efficientnet/",
        imagenet_top1=top1,
        first_layer=_FIRST_LAYER,
        weights=(WeightsFile(file, f"{_V1_URL}{file}", digest),),
        normalization_in_file=_NORMALIZATION_IN_FILE,
    )


def _v2(
    variant: str,
    size_px: int,
    depths: tuple[int, ...],
    parameters: int,
    feature_size: int,
    top1: float,
    digest: str,
) -> BackboneSpec:
    file = f"efficientnetv2-{variant.lower()}_notop.h5"
    return BackboneSpec(
        name=f"EfficientNetV2{variant}",
        kind="application",
        builder=f"keras.applications.efficientnet_v2:EfficientNetV2{variant}",
        default_size_px=size_px,
        min_size_px=32,
        preprocessing="none",
        blocks=_blocks(depths, "project_activation"),
        parameters=parameters,
        feature_size=feature_size,
        licence=_LICENCE,
        source="https://keras.io/api/applications/efficientnet_v2/",
        imagenet_top1=top1,
        weights=(WeightsFile(file, f"{_V2_URL}{file}", digest),),
    )


# fmt: off
SPECS = (
    _v1("B0", 224, (1, 2, 2, 3, 3, 4, 1), 4_049_564, 1280, 0.771,
        "50bc09e76180e00e4465e1a485ddc09d"),
    _v1("B1", 240, (2, 3, 3, 4, 4, 5, 2), 6_575_232, 1280, 0.791,
        "74c4e6b3e1f6a1eea24c589628592432"),
    _v1("B2", 260, (2, 3, 3, 4, 4, 5, 2), 7_768_562, 1408, 0.801,
        "111f8e2ac8aa800a7a99e3239f7bfb39"),
    _v1("B3", 300, (2, 3, 3, 5, 5, 6, 2), 10_783_528, 1536, 0.816,
        "af6d107764bb5b1abb91932881670226"),
    _v1("B4", 380, (2, 4, 4, 6, 6, 8, 2), 17_673_816, 1792, 0.829,
        "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    _v1("B5", 456, (3, 5, 5, 7, 7, 9, 3), 28_513_520, 2048, 0.836,
        "38879255a25d3c92d5e44e04ae6cec6f"),
    _v1("B6", 528, (3, 6, 6, 8, 8, 11, 3), 40_960_136, 2304, 0.840,
        "9ecce42647a20130c1f39a5d4cb75743"),
    _v1("B7", 600, (4, 7, 7, 10, 10, 13, 4), 64_097_680, 2560, 0.843,
        "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    _v2("B0", 224, (1, 2, 2, 3, 5, 8), 5_919_312, 1280, 0.787,
        "893217f2bb855e2983157299931e43ff"),
    _v2("B1", 240, (2, 3, 3, 4, 6, 9), 6_931_124, 1280, 0.798,
        "0e80663031ca32d657f9caa404b6ec37"),
    _v2("B2", 260, (2, 3, 3, 4, 6, 10), 8_769_374, 1408, 0.805,
        "1dfe2e7a5d45b6632553a8961ea609eb"),
    _v2("B3", 300, (2, 3, 3, 5, 7, 12), 12_930_622, 1536, 0.820,
        "f6abf7b5849ac99a89b50dd3fd532856"),
    _v2("S", 384, (2, 4, 4, 6, 9, 15), 20_331_360, 1280, 0.839,
        "af0682fb74e8c54910f2d4393339c070"),
    _v2("M", 480, (3, 5, 5, 7, 14, 18, 5), 53_150_388, 1280, 0.853,
        "1b8dc055df72dde80d614482840fe342"),
    _v2("L", 480, (4, 7, 7, 10, 19, 25, 7), 117_746_848, 1280, 0.857,
        "b0b66b5c863aef5b46e8608fe1711615"),
)
# fmt: on
