"""MobileNet v1, v2 and v3 of keras.applications."""

from tfft.catalog.spec import ArgumentSpec, BackboneSpec, BlockSpec, WeightsFile

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_LICENCE = "Apache-2.0"
_ALPHA = ArgumentSpec(float, 1.0, 0.0, "width multiplier of every layer")

_V1_WEIGHTS = tuple(
    WeightsFile(
        name=(name := f"mobilenet_{text}_{size_px}_tf_no_top.h5"),
        url=f"{_URL}mobilenet/{name}",
        arguments={"alpha": alpha, "depth_multiplier": 1},
        size_px=size_px,
    )
    for alpha, text in ((0.25, "2_5"), (0.5, "5_0"), (0.75, "7_5"), (1.0, "1_0"))
    for size_px in (128, 160, 192, 224)
)

_V2_WEIGHTS = tuple(
    WeightsFile(
        name=(
            name := f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{size_px}_no_top.h5"
        ),
        url=f"{_URL}mobilenet_v2/{name}",
        arguments={"alpha": alpha},
        size_px=size_px,
    )
    for alpha in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    for size_px in (96, 128, 160, 192, 224)
)


def _v3_weights(variant: str, digests: dict[tuple[bool, float], str]) -> tuple[WeightsFile, ...]:
    files = []
    for (minimalistic, alpha), digest in digests.items():
        middle = "_minimalistic" if minimalistic else ""
        name = f"weights_mobilenet_v3_{variant}{middle}_224_{alpha}_float_no_top_v2.h5"
        arguments = {"minimalistic": minimalistic, "alpha": alpha}
        files.append(WeightsFile(name, f"{_URL}mobilenet_v3/{name}", digest, arguments))
    return tuple(files)


def _v3_blocks(count: int) -> tuple[BlockSpec, ...]:
    names = ["expanded_conv", *(f"expanded_conv_{i}" for i in range(1, count))]
    return (
        BlockSpec("stem", "activation", "re_lu"),
        *(BlockSpec(name, f"{name}_add", f"{name}_project_bn") for name in names),
        BlockSpec("conv_1", "activation", "re_lu"),
    )


SPECS = (
    BackboneSpec(
        name="MobileNet",
        kind="application",
        builder="keras.applications.mobilenet:MobileNet",
        default_size_px=224,
        min_size_px=32,
        preprocessing="tf",
        blocks=(
            BlockSpec("stem", "conv1_relu"),
            *(BlockSpec(f"block_{i}", f"conv_pw_{i}_relu") for i in range(1, 14)),
        ),
        parameters=3_228_864,
        feature_size=1024,
        licence=_LICENCE,
        source="https://keras.io/api/applications/mobilenet/",
        imagenet_top1=0.704,
        arguments={
            "alpha": _ALPHA,
            "depth_multiplier": ArgumentSpec(
                int, 1, 1, "outputs of each depthwise convolution for each input channel"
            ),
        },
        weights=_V1_WEIGHTS,
    ),
    BackboneSpec(
        name="MobileNetV2",
        kind="application",
        builder="keras.applications.mobilenet_v2:MobileNetV2",
        default_size_px=224,
        min_size_px=32,
        preprocessing="tf",
        blocks=(
            BlockSpec("stem", "Conv1_relu"),
            BlockSpec("block_0", "expanded_conv_add", "expanded_conv_project_BN"),
            *(
                BlockSpec(f"block_{i}", f"block_{i}_add", f"block_{i}_project_BN")
                for i in range(1, 17)
            ),
            BlockSpec("conv_1", "out_relu"),
        ),
        parameters=2_257_984,
        feature_size=1280,
        licence=_LICENCE,
        source="https://keras.io/api/applications/mobilenet/",
        imagenet_top1=0.713,
        arguments={"alpha": _ALPHA},
        weights=_V2_WEIGHTS,
    ),
)
