"""EfficientNet-Lite0, EfficientNet-B0 for integer hardware, and its ImageNet weights.

It differs from EfficientNet-B0 by ReLU6 instead of swish, no squeeze-and-excitation, and a stem
and head of fixed width.

Source: Tan, Le 2019 (EfficientNet); the Lite variants of the TensorFlow TPU repository,
`models/official/efficientnet/lite`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfft.system.tensorflow import keras

import numpy as np
from keras import layers

from tfft.backbones.lite.package import read_lite0_arrays
from tfft.errors import BackboneError

BATCH_NORM_EPSILON = 1e-3
# The weights of a batch normalisation as torch names them, in Keras's order.
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
# Keras's type hints of layer calls and initialisers do not fit their use here: hence Any.


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
    """Returns the names of the inverted residual blocks (such as `block2a`), inputs first."""
    return tuple(
        f"block{stage}{'abcd'[i]}"
        for stage, spec in enumerate(_STAGES, start=1)
        for i in range(spec.repeats)
    )


def efficientnet_lite0(input_shape: tuple[int, int, int]) -> keras.Model:
    """Builds EfficientNet-Lite0 without its classifier, with random weights.

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
    """Applies an inverted residual block (MBConv) without squeeze-and-excitation."""
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
    """Applies a convolution with batch normalisation and no activation."""
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
    """Returns a new initialiser: one for all layers would give equal shapes equal weights."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="truncated_normal")


def load_lite0_imagenet(model: keras.Model) -> None:
    """Sets every weight of an EfficientNet-Lite0 from the package of the extra `offline`.

    Raises:
        BackboneError: The package is not installed, its file is not the known one, or the weights
            do not fit the model.
    """
    arrays = read_lite0_arrays()
    used = {"_fc.weight", "_fc.bias"}
    for layer_name, torch_name in _torch_names().items():
        layer = model.get_layer(layer_name)
        values = _values(layer, torch_name, arrays, used)
        if [value.shape for value in values] != [tuple(weight.shape) for weight in layer.weights]:
            raise BackboneError(f"{torch_name} of the weights file does not fit {layer_name}")
        layer.set_weights(values)
    left_over = {name for name in arrays if not name.endswith("num_batches_tracked")} - used
    if left_over:
        raise BackboneError(f"the weights file has more than the model: {sorted(left_over)}")


def _torch_names() -> dict[str, str]:
    """Returns torch's name of every layer with weights, by Keras's name."""
    names = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "head_conv": "_conv_head",
        "head_bn": "_bn1",
    }
    for i, block in enumerate(block_names()):
        parts = (("expand", 0), ("depthwise", 1), ("project", 2))[0 if i else 1 :]
        for part, number in parts:
            names[f"{block}_{part}_conv"] = f"_blocks.{i}._{part}_conv"
            names[f"{block}_{part}_bn"] = f"_blocks.{i}._bn{number}"
    return names


def _values(
    layer: keras.Layer, torch_name: str, arrays: Mapping[str, np.ndarray], used: set[str]
) -> list[np.ndarray]:
    """Returns a layer's weights in Keras's layout and order, and adds their names to `used`."""
    parts = _BATCH_NORM if isinstance(layer, keras.layers.BatchNormalization) else ("weight",)
    names = [f"{torch_name}.{part}" for part in parts]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise BackboneError(f"the weights file lacks {', '.join(missing)}")
    used.update(names)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [arrays[names[0]].transpose(2, 3, 0, 1)]
    if isinstance(layer, keras.layers.Conv2D):
        return [arrays[names[0]].transpose(2, 3, 1, 0)]
    return [arrays[name] for name in names]
