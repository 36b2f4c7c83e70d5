"""NASNet-A of keras.applications. Each cell takes the outputs of the two before it."""

from tfft.catalog.spec import BackboneSpec, BlockSpec, WeightsFile

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/nasnet/"


def _blocks(cells: int, output: str) -> tuple[BlockSpec, ...]:
    """Returns the blocks: three groups of `cells` normal cells, with reduction cells between them.

    Keras numbers all cells in one sequence, including the reduction cells; the last cell has an
    activation after it, named `output`.
    """
    reductions = (cells, 2 * cells)
    blocks = [
        BlockSpec("stem", "stem_bn1"),
        *(BlockSpec(f"stem_{i}", f"reduction_concat_stem_{i}") for i in (1, 2)),
    ]
    for group in range(3):
        first = group * cells + (group > 0)
        names = range(first, group * cells + cells + (group > 0))
        blocks += [BlockSpec(f"cell_{i}", f"normal_concat_{i}") for i in names]
        if group < 2:
            i = reductions[group]
            blocks.append(BlockSpec(f"reduce_{i}", f"reduction_concat_reduce_{i}"))
    return (*blocks[:-1], BlockSpec(blocks[-1].name, output))


def _nasnet(
    name: str,
    size_px: int,
    blocks: tuple[BlockSpec, ...],
    parameters: int,
    feature_size: int,
    top1: float,
    digest: str,
) -> BackboneSpec:
    variant = name.removeprefix("NASNet").lower()
    url = f"{_URL}NASNet-{variant}-no-top.h5"
    return BackboneSpec(
        name=name,
        kind="application",
        builder=f"keras.applications.nasnet:{name}",
        default_size_px=size_px,
        min_size_px=32,
        preprocessing="tf",
        blocks=blocks,
        parameters=parameters,
        feature_size=feature_size,
        licence="Apache-2.0",
        source="https://keras.io/api/applications/nasnet/",
        imagenet_top1=top1,
        weights=(WeightsFile(f"nasnet_{variant}_no_top.h5", url, digest),),
    )


SPECS = (
    _nasnet(
        "NASNetMobile",
        224,
        _blocks(4, "activation_187"),
        4_269_716,
        1056,
        0.744,
        "1ed92395b5b598bdda52abe5c0dbfd63",
    ),
    _nasnet(
        "NASNetLarge",
        331,
        _blocks(6, "activation_259"),
        84_916_818,
        4032,
        0.825,
        "d81d89dc07e6e56530c4e77faddd61b5",
    ),
)
