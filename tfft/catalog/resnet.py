"""ResNet v1 and v2 of keras.applications."""

from tfft.catalog.spec import BackboneSpec, BlockSpec, WeightsFile

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
_SOURCE = "https://keras.io/api/applications/resnet/"


def _residual_blocks(depths: tuple[int, ...]) -> tuple[BlockSpec, ...]:
    return tuple(
        BlockSpec(f"conv{stage}_block{i}", f"conv{stage}_block{i}_out")
        for stage, depth in enumerate(depths, start=2)
        for i in range(1, depth + 1)
    )


def _weights(file_stem: str, digest: str) -> tuple[WeightsFile, ...]:
    name = f"{file_stem}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return (WeightsFile(name, f"{_URL}{name}", digest),)


def _v1(
    name: str, depths: tuple[int, ...], parameters: int, top1: float, digest: str
) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        kind="application",
        builder=f"keras.applications.resnet:{name}",
        default_size_px=224,
        min_size_px=32,
        preprocessing="caffe",
        blocks=(BlockSpec("stem", "pool1_pool"), *_residual_blocks(depths)),
        parameters=parameters,
        feature_size=2048,
        licence="MIT (ported from the authors' release)",
        source=_SOURCE,
        imagenet_top1=top1,
        weights=_weights(name.lower(), digest),
    )


def _v2(
    name: str, depths: tuple[int, ...], parameters: int, top1: float, digest: str
) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        kind="application",
        builder=f"keras.applications.resnet_v2:{name}",
        default_size_px=224,
        min_size_px=32,
        preprocessing="tf",
        blocks=(
            BlockSpec("stem", "pool1_pool"),
            *_residual_blocks(depths),
            BlockSpec("post", "post_relu"),
        ),
        parameters=parameters,
        feature_size=2048,
        licence="BSD (ported from Facebook's release)",
        source=_SOURCE,
        imagenet_top1=top1,
        weights=_weights(name.lower(), digest),
    )


SPECS = (
    _v1("ResNet50", (3, 4, 6, 3), 23_587_712, 0.749, "4d473c1dd8becc155b73f8504c6f6626"),
    _v1("ResNet101", (3, 4, 23, 3), 42_658_176, 0.764, "88cf7a10940856eca736dc7b7e228a21"),
    _v1("ResNet152", (3, 8, 36, 3), 58_370_944, 0.766, "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    _v2("ResNet50V2", (3, 4, 6, 3), 23_564_800, 0.760, "fac2f116257151a9d068a22e544a4917"),
    _v2("ResNet101V2", (3, 4, 23, 3), 42_626_560, 0.772, "c0ed64b8031c3730f411d2eb4eea35b5"),
    _v2("ResNet152V2", (3, 8, 36, 3), 58_331_648, 0.780, "ed17cf2e0169df9d443503ef94b23b33"),
)
