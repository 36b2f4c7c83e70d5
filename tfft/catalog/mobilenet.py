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


def _v3(
    name: str,
    *,
    blocks: int,
    outputs: tuple[str, str],
    parameters: int,
    feature_size: int,
    top1: float,
    digests: dict[tuple[bool, float], str],
) -> BackboneSpec:
    """Returns the spec of a MobileNet v3.

    `outputs` names the layer of the last activation: hard swish, and ReLU if minimalistic.
    """
    stages = ["expanded_conv", *(f"expanded_conv_{i}" for i in range(1, blocks))]
    return BackboneSpec(
        name=name,
        kind="application",
        builder=f"keras.applications:{name}",
        default_size_px=224,
        min_size_px=32,
        preprocessing="none",
        blocks=(
            BlockSpec("stem", "activation", "re_lu"),
            *(
                BlockSpec(f"block_{i}", f"{stage}_add", f"{stage}_project_bn")
                for i, stage in enumerate(stages)
            ),
            BlockSpec("conv_1", *outputs),
        ),
        parameters=parameters,
        feature_size=feature_size,
        licence="Apache-2.0 (the original repository's; Keras states none)",
        source="https://keras.io/api/applications/mobilenet/",
        imagenet_top1=top1,
        arguments={
            "alpha": _ALPHA,
            "minimalistic": ArgumentSpec(
                bool, False, description="3x3 convolutions, ReLU, no squeeze-and-excitation"
            ),
        },
        weights=_v3_weights(name.removeprefix("MobileNetV3").lower(), digests),
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
    _v3(
        "MobileNetV3Small",
        blocks=11,
        outputs=("activation_17", "re_lu_22"),
        parameters=939_120,
        feature_size=576,
        top1=0.681,
        digests={
            (False, 0.75): "ebdb5cc8e0b497cd13a7c275d475c819",
            (False, 1.0): "d3e8ec802a04aa4fc771ee12a9a9b836",
            (True, 1.0): "cde8136e733e811080d9fcd8a252f7e4",
        },
    ),
    _v3(
        "MobileNetV3Large",
        blocks=15,
        outputs=("activation_19", "re_lu_30"),
        parameters=2_996_352,
        feature_size=960,
        top1=0.756,
        digests={
            (False, 0.75): "40af19a13ebea4e2ee0c676887f69a2e",
            (False, 1.0): "07fb09a5933dd0c8eaafa16978110389",
            (True, 1.0): "ec5221f64a2f6d1ef965a614bdae7973",
        },
    ),
)
