"""ConvNeXt of keras.applications."""

from tfft.catalog.spec import BackboneSpec, BlockSpec, WeightsFile

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/convnext/"


def _blocks(prefix: str, depths: tuple[int, ...]) -> tuple[BlockSpec, ...]:
    """Returns a block for each residual block and for each downsampling between the stages.

    The builder does not name the residual sums: they are `add`, `add_1`, … through all stages.
    """
    blocks = []
    sums = 0
    for stage, depth in enumerate(depths):
        if stage == 0:
            blocks.append(BlockSpec("stem", f"{prefix}_stem"))
        else:
            name = f"downsampling_block_{stage - 1}"
            blocks.append(BlockSpec(name, f"{prefix}_{name}"))
        for i in range(depth):
            blocks.append(BlockSpec(f"stage_{stage}_block_{i}", f"add_{sums}" if sums else "add"))
            sums += 1
    return (*blocks, BlockSpec("norm", "layer_normalization"))


def _convnext(
    variant: str,
    depths: tuple[int, ...],
    parameters: int,
    feature_size: int,
    top1: float,
    digest: str,
) -> BackboneSpec:
    prefix = f"convnext_{variant.lower()}"
    file = f"{prefix}_notop.h5"
    return BackboneSpec(
        name=f"ConvNeXt{variant}",
        kind="application",
        builder=f"keras.applications.convnext:ConvNeXt{variant}",
        default_size_px=224,
        min_size_px=32,
        preprocessing="none",
        blocks=_blocks(prefix, depths),
        parameters=parameters,
        feature_size=feature_size,
        licence="MIT (the original repository's; Keras states none)",
        source="https://keras.io/api/applications/convnext/",
        imagenet_top1=top1,
        weights=(WeightsFile(file, f"{_URL}{file}", digest),),
    )


# fmt: off
SPECS = (
    _convnext("Tiny", (3, 3, 9, 3), 27_820_128, 768, 0.813,
              "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    _convnext("Small", (3, 3, 27, 3), 49_454_688, 768, 0.823,
              "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    _convnext("Base", (3, 3, 27, 3), 87_566_464, 1024, 0.853,
              "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    _convnext("Large", (3, 3, 27, 3), 196_230_336, 1536, 0.863,
              "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    _convnext("XLarge", (3, 3, 27, 3), 348_147_968, 2048, 0.867,
              "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
)
# fmt: on
