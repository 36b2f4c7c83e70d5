"""Cutting a backbone between its frozen and its trainable part, and what the frozen part costs."""

import math

from tfft.system.tensorflow import keras

from tfft.backbones.backbone import Backbone
from tfft.backbones.graph import graph_nodes


def split(backbone: Backbone, frozen_blocks: int) -> tuple[keras.Model | None, keras.Model | None]:
    """Returns the models before and after a cut, which share the backbone's layers.

    Args:
        backbone: The backbone to cut.
        frozen_blocks: Number of blocks before the cut, counted from the input.

    Returns:
        Prefix and suffix. The prefix takes the backbone's input and returns what the suffix
        takes: one tensor, or a list where several cross the cut. Without frozen blocks the prefix
        is None and the suffix is the whole model; with all blocks frozen the suffix is None and
        the prefix is the whole model. `suffix(prefix(x))` equals `backbone.model(x)`.

    Raises:
        ValueError: The backbone has fewer blocks, or is one function that cannot be cut.
    """
    if not 0 <= frozen_blocks <= len(backbone.blocks):
        raise ValueError(
            f"frozen_blocks must be 0..{len(backbone.blocks)} for {backbone.spec.name}. "
            f"Received: {frozen_blocks}"
        )
    model = backbone.model
    if frozen_blocks == 0:
        return None, model
    if frozen_blocks == len(backbone.blocks):
        return model, None
    if backbone.opaque:
        raise ValueError(f"{backbone.spec.name} runs whole and cannot be cut between its blocks")
    cut = crossing_tensors(backbone, frozen_blocks)
    tensors = cut[0] if len(cut) == 1 else cut
    prefix = keras.Model(model.input, tensors, name=f"{model.name}_prefix_{frozen_blocks}")
    suffix = keras.Model(tensors, model.output, name=f"{model.name}_suffix_{frozen_blocks}")
    return prefix, suffix


def crossing_tensors(backbone: Backbone, frozen_blocks: int) -> list[keras.KerasTensor]:
    """Returns the outputs of frozen operations that trainable ones take, in the graph's order."""
    frozen = {
        id(operation) for block in backbone.blocks[:frozen_blocks] for operation in block.operations
    }
    nodes = graph_nodes(backbone.model)
    taken = {
        id(tensor) for node in nodes if id(node.operation) not in frozen for tensor in node.inputs
    }
    return [
        tensor
        for node in nodes
        if id(node.operation) in frozen
        for tensor in node.outputs
        if id(tensor) in taken
    ]


def multiply_adds(backbone: Backbone, blocks: int) -> int:
    """Returns the multiply-adds that the first `blocks` blocks take for one image.

    Kernels and matrices are counted, once for each position of their layer's output.
    """
    inside = {id(layer) for block in backbone.blocks[:blocks] for layer in block.layers}
    total = 0
    for node in graph_nodes(backbone.model):
        layer = node.operation
        if id(layer) in inside and isinstance(layer, keras.Layer):
            sizes = sum(math.prod(w.shape) for w in layer.weights if len(w.shape) > 1)
            total += math.prod(node.outputs[0].shape[1:-1]) * sizes
    return total
