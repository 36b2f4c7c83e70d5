"""Inception v3, Inception-ResNet v2 and Xception of keras.applications."""

from tfft.catalog.spec import BackboneSpec, BlockSpec, WeightsFile

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


def _weights(folder: str, digest: str) -> tuple[WeightsFile, ...]:
    name = f"{folder}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return (WeightsFile(name, f"{_URL}{folder}/{name}", digest),)


_INCEPTION_RESNET_BLOCKS = (
    BlockSpec("stem", "max_pooling2d_1"),
    BlockSpec("mixed_5b", "mixed_5b"),
    *(BlockSpec(f"block35_{i}", f"block35_{i}_ac") for i in range(1, 11)),
    BlockSpec("mixed_6a", "mixed_6a"),
    *(BlockSpec(f"block17_{i}", f"block17_{i}_ac") for i in range(1, 21)),
    BlockSpec("mixed_7a", "mixed_7a"),
    *(BlockSpec(f"block8_{i}", f"block8_{i}_ac") for i in range(1, 10)),
    BlockSpec("block8_10", "custom_scale_layer_39"),  # the last of its kind has no activation
    BlockSpec("conv_7b", "conv_7b_ac"),
)

# The builder does not name the residual sums: block 2 ends at `add`, block 3 at `add_1`, …
_XCEPTION_BLOCKS = (
    BlockSpec("block1", "block1_conv2_act"),
    BlockSpec("block2", "add"),
    *(BlockSpec(f"block{i}", f"add_{i - 2}") for i in range(3, 14)),
    BlockSpec("block14", "block14_sepconv2_act"),
)

SPECS = (
    BackboneSpec(
        name="InceptionV3",
        kind="application",
        builder="keras.applications.inception_v3:InceptionV3",
        default_size_px=299,
        min_size_px=75,
        preprocessing="tf",
        blocks=(
            BlockSpec("stem", "max_pooling2d_1"),
            *(BlockSpec(f"mixed{i}", f"mixed{i}") for i in range(11)),
        ),
        parameters=21_802_784,
        feature_size=2048,
        licence="Apache-2.0",
        source="https://keras.io/api/applications/inceptionv3/",
        imagenet_top1=0.779,
        weights=_weights("inception_v3", "bcbd6486424b2319ff4ef7d526e38f63"),
    ),
    BackboneSpec(
        name="InceptionResNetV2",
        kind="application",
        builder="keras.applications.inception_resnet_v2:InceptionResNetV2",
        default_size_px=299,
        min_size_px=75,
        preprocessing="tf",
        blocks=_INCEPTION_RESNET_BLOCKS,
        parameters=54_336_736,
        feature_size=1536,
        licence="Apache-2.0",
        source="https://keras.io/api/applications/inceptionresnetv2/",
        imagenet_top1=0.803,
        weights=_weights("inception_resnet_v2", "d19885ff4a710c122648d3b5c3b684e4"),
    ),
    BackboneSpec(
        name="Xception",
        kind="application",
        builder="keras.applications.xception:Xception",
        default_size_px=299,
        min_size_px=71,
        preprocessing="tf",
        blocks=_XCEPTION_BLOCKS,
        parameters=20_861_480,
        feature_size=2048,
        licence="MIT",
        source="https://keras.io/api/applications/xception/",
        imagenet_top1=0.790,
        weights=_weights("xception", "b0042744bf5b25fce3cb969f33bebb97"),
    ),
)
