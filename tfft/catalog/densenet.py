"""DenseNet of keras.applications."""

from tfft.catalog.spec import BackboneSpec, BlockSpec, WeightsFile

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/densenet/"


def _blocks(depths: tuple[int, ...]) -> tuple[BlockSpec, ...]:
    """One block for each dense layer and each transition."""
    blocks = [BlockSpec("stem", "pool1")]
    for stage, depth in enumerate(depths, start=2):
        names = [f"conv{stage}_block{i}" for i in range(1, depth + 1)]
        blocks += [BlockSpec(name, f"{name}_concat") for name in names]
        if stage - 1 < len(depths):
            blocks.append(BlockSpec(f"transition{stage}", f"pool{stage}_pool"))
    return (*blocks, BlockSpec("post", "relu"))


def _densenet(
    depths: tuple[int, ...], parameters: int, feature_size: int, top1: float, digest: str
) -> BackboneSpec:
    # A dense layer has two convolutions; stem, transitions and classifier have one each.
    number = 2 * sum(depths) + len(depths) + 1
    file = f"densenet{number}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return BackboneSpec(
        name=f"DenseNet{number}",
        kind="application",
        builder=f"keras.applications.densenet:DenseNet{number}",
        default_size_px=224,
        min_size_px=32,
        preprocessing="torch",
        blocks=_blocks(depths),
        parameters=parameters,
        feature_size=feature_size,
        licence="BSD-3-Clause",
        source="https://keras.io/api/applications/densenet/",
        imagenet_top1=top1,
        weights=(WeightsFile(file, f"{_URL}{file}", digest),),
    )


SPECS = (
    _densenet((6, 12, 24, 16), 7_037_504, 1024, 0.750, "30ee3e1110167f948a6b9946edeeb738"),
    _densenet((6, 12, 32, 32), 12_642_880, 1664, 0.762, "b8c4d4c20dd625c148057b9ff1c1176b"),
    _densenet((6, 12, 48, 32), 18_321_984, 1920, 0.773, "c13680b51ded0fb44dff2d8f86ac8bb1"),
)
