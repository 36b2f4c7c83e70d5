"""Mends biases of an int8 file that the quantiser gets wrong.

A bias is an int32 whose scale is the product of the scales of input and weights. In a channel whose
weights are almost zero, as pretrained models have some, that scale is so small that the bias does
not fit. TensorFlow's converter then enlarges the scale of the channel's weights;
ai-edge-quantizer 0.10.0 clips the bias, and flips the sign of positive ones.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfft.exports.tflite.file import replace_data

# Half of what int32 holds, which leaves room for the sum that the bias is added to.
_LARGEST_BIAS = 2.0**30


def mend_biases(model: Any, original: Any) -> int:
    """Enlarges the scales of weights until each bias fits.

    Args:
        model: Model of the int8 file, which is changed.
        original: Model of the float32 file that it was made from.

    Returns:
        Number of channels that were changed.
    """
    floats = {tensor.name: tensor for tensor in original.subgraphs[0].tensors}
    graph = model.subgraphs[0]
    mended = 0
    for operator in graph.operators:
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        weights, bias = (graph.tensors[number] for number in operator.inputs[1:3])
        integers = bias.type == schema.TensorType.INT32 and weights.type == schema.TensorType.INT8
        # The exact value of a bias that the quantiser made itself is not known.
        if integers and bias.name in floats:
            exact = _data(original, floats[bias.name], np.float32)
            mended += _mend(model, weights, bias, exact)
    return mended


def _mend(model: Any, weights: Any, bias: Any, exact: np.ndarray) -> int:
    scales = np.asarray(bias.quantization.scale, np.float64)
    needed = np.abs(exact.astype(np.float64)) / _LARGEST_BIAS
    factors = np.maximum(needed / scales, 1.0)
    if (factors == 1.0).all():
        return 0
    axis = weights.quantization.quantizedDimension
    shape = [-1 if number == axis else 1 for number in range(len(weights.shape))]
    values = _data(model, weights, np.int8).reshape(weights.shape)
    smaller = np.rint(values / factors.reshape(shape)).astype(np.int8)
    replace_data(model, weights, smaller.tobytes())
    weights.quantization.scale = (weights.quantization.scale * factors).astype(np.float32)
    bias.quantization.scale = (scales * factors).astype(np.float32)
    whole = np.rint(exact / (scales * factors)).astype(np.int32)
    replace_data(model, bias, whole.tobytes())
    return int((factors > 1.0).sum())


def _data(model: Any, tensor: Any, kind: type[np.generic]) -> np.ndarray:
    return np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(kind)
