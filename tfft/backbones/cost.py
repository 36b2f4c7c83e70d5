"""What the frozen part of a backbone costs to compute, and what it hands on."""

import math

from tfft.system.tensorflow import keras

from tfft.backbones.backbone import Backbone
from tfft.backbones.graph import graph_nodes


def multiply_adds(backbone: Backbone, blocks: int) -> int:
    """Returns the multiply-adds on one image of the first `blocks` blocks.

    Counted are kernels and matrices, at every place of their layer's output.
    """
    inside = {id(layer) for block in backbone.blocks[:blocks] for layer in block.layers}
    return sum(
        math.prod(node.outputs[0].shape[1:-1]) * _matrix_sizes(node.operation)
        for node in graph_nodes(backbone.model)
        if id(node.operation) in inside
    )


def _matrix_sizes(layer: keras.Operation) -> int:
    weights = layer.weights if isinstance(layer, keras.Layer) else []
    return sum(math.prod(w.shape) for w in weights if len(w.shape) > 1)
