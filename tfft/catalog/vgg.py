"""VGG of keras.applications."""

from tfft.catalog.spec import BackboneSpec, BlockSpec, WeightsFile

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


def _vgg(name: str, parameters: int, digest: str) -> BackboneSpec:
    folder = name.lower()
    file = f"{folder}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return BackboneSpec(
        name=name,
        kind="application",
        builder=f"keras.applications.{folder}:{name}",
        default_size_px=224,
        min_size_px=32,
        preprocessing="caffe",
        blocks=tuple(BlockSpec(f"block{i}", f"block{i}_pool") for i in range(1, 6)),
        parameters=parameters,
        feature_size=512,
        licence="CC-BY-4.0 (ported from the authors' release)",
        source="https://keras.io/api/applications/vgg/",
        imagenet_top1=0.713,
        weights=(WeightsFile(file, f"{_URL}{folder}/{file}", digest),),
    )


SPECS = (
    _vgg("VGG16", 14_714_688, "6d6bbae143d832006294945121d1f1fc"),
    _vgg("VGG19", 20_024_384, "253f8cb515780f3b799900260a226db6"),
)
