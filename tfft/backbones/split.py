"""Cutting a backbone between its frozen and its trainable part."""

from tfft.system.tensorflow import keras

from tfft.backbones.backbone import Backbone
from tfft.backbones.graph import graph_nodes


def split(backbone: Backbone, frozen_blocks: int) -> tuple[keras.Model | None, keras.Model | None]:
    """Returns the models before and after the cut, which share the backbone's layers.

    Args:
        backbone: What is cut.
        frozen_blocks: How many blocks, counted from the input, lie before the cut.

    Returns:
        The prefix takes the backbone's input and gives what the suffix takes: one tensor, or a
        list of them where several cross the cut. Without frozen blocks there is no prefix (None,
        and the suffix is the whole model); with all blocks frozen there is no suffix (None, and
        the prefix is the whole model). `suffix(prefix(x))` computes what the model computes.

    Raises:
        ValueError: The backbone has not as many blocks, or runs whole.
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
    """Returns the outputs of frozen operations that others take, in the order they are made."""
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
