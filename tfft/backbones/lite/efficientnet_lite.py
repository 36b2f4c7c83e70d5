"""EfficientNet-Lite0: EfficientNet-B0 for integer hardware.

Against EfficientNet-B0 it has ReLU6 instead of swish, no squeeze-and-excitation, and a stem and
head of fixed width.

Source: Tan, Le 2019 (EfficientNet); the Lite variants of the TensorFlow TPU repository,
`models/official/efficientnet/lite`.
"""

from dataclasses import dataclass
from typing import Any

from tfft.system.tensorflow import keras

from keras import layers

BATCH_NORM_EPSILON = 1e-3
# Keras declares the results of layer calls and the types of initialisers too loosely or too
# tightly to be checked: they are Any here.


@dataclass(frozen=True)
class _Stage:
    kernel: int
    repeats: int
    filters: int
    expansion: int
    stride: int


_STAGES = (
    _Stage(kernel=3, repeats=1, filters=16, expansion=1, stride=1),
    _Stage(kernel=3, repeats=2, filters=24, expansion=6, stride=2),
    _Stage(kernel=5, repeats=2, filters=40, expansion=6, stride=2),
    _Stage(kernel=3, repeats=3, filters=80, expansion=6, stride=2),
    _Stage(kernel=5, repeats=3, filters=112, expansion=6, stride=1),
    _Stage(kernel=5, repeats=4, filters=192, expansion=6, stride=2),
    _Stage(kernel=3, repeats=1, filters=320, expansion=6, stride=1),
)


def block_names() -> tuple[str, ...]:
    """Returns the names of the inverted residual blocks, such as `block2a`, inputs first."""
    return tuple(
        f"block{stage}{'abcd'[i]}"
        for stage, spec in enumerate(_STAGES, start=1)
        for i in range(spec.repeats)
    )


def efficientnet_lite0(input_shape: tuple[int, int, int]) -> keras.Model:
    """Builds EfficientNet-Lite0 without classifier, with random weights.

    Args:
        input_shape: Height, width and 3.

    Returns:
        A model from float32 [batch, height, width, 3], (pixels - 127) / 128, to float32
        [batch, height / 32, width / 32, 1280] (rounded up), in 0..6.
    """
    images = keras.Input(input_shape, name="images")
    x = _convolution(images, 32, 3, "stem", stride=2)
    x = layers.ReLU(6.0, name="stem_relu6")(x)
    names = iter(block_names())
    for stage in _STAGES:
        for i in range(stage.repeats):
            x = _block(x, stage, stage.stride if i == 0 else 1, next(names))
    x = _convolution(x, 1280, 1, "head")
    x = layers.ReLU(6.0, name="head_relu6")(x)
    return keras.Model(images, x, name="efficientnet_lite0")


def _block(inputs: Any, stage: _Stage, stride: int, name: str) -> Any:
    """An inverted residual block (MBConv) without squeeze-and-excitation."""
    x = inputs
    if stage.expansion != 1:
        x = _convolution(x, inputs.shape[-1] * stage.expansion, 1, f"{name}_expand")
        x = layers.ReLU(6.0, name=f"{name}_expand_relu6")(x)
    x = layers.DepthwiseConv2D(
        stage.kernel,
        stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_depthwise_conv",
    )(x)
    x = layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_depthwise_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu6")(x)
    x = _convolution(x, stage.filters, 1, f"{name}_project")
    if stride == 1 and inputs.shape[-1] == stage.filters:
        x = layers.Add(name=f"{name}_add")([x, inputs])
    return x


def _convolution(x: Any, filters: int, kernel: int, name: str, stride: int = 1) -> Any:
    """A convolution with batch normalisation, without activation."""
    x = layers.Conv2D(
        filters,
        kernel,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_bn")(x)


def _initializer() -> Any:
    """A new one for each layer: one object would give layers of one shape the same weights."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="truncated_normal")
