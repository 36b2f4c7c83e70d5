"""Puts EfficientNet-Lite0's ImageNet weights into the model."""

from collections.abc import Mapping

from tfft.system.tensorflow import keras

import numpy as np

from tfft.backbones.lite.efficientnet_lite import block_names
from tfft.backbones.lite.package import read_lite0_arrays
from tfft.errors import BackboneError

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def load_lite0_imagenet(model: keras.Model) -> None:
    """Sets every weight of an EfficientNet-Lite0 from the package of the extra `offline`.

    Raises:
        BackboneError: The package is not installed or not the known one, or does not fit.
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
    """Returns torch's name of every layer with weights."""
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
    """Returns the layer's weights in Keras's layout and order, and marks them as used."""
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
