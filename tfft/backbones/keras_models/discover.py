"""Finds where the classifier of a model from elsewhere begins, and the model's blocks."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tfft.system.tensorflow import keras

from keras import layers

from tfft.backbones.graph import GraphNode, graph_nodes, is_composite
from tfft.catalog.spec import BlockSpec
from tfft.errors import BackboneError, nearest

_GLOBAL_POOLINGS = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
)
# The layers of classifiers. A convolution is one only on a single position, as a dense layer is.
_CLASSIFIER_LAYERS = (
    *_GLOBAL_POOLINGS,
    layers.Activation,
    layers.BatchNormalization,
    layers.Dense,
    layers.Dropout,
    layers.Flatten,
    layers.LayerNormalization,
    layers.ReLU,
    layers.Reshape,
    layers.Softmax,
)


def find_cut(model: keras.Model, name: str | None = None) -> keras.KerasTensor:
    """Returns the tensor where a model's classifier begins.

    It is found from the output back through the layers of classifiers: the input of the global
    pooling nearest to the output, or else the last activations with positions, or else the
    features that the first other layer returns.

    Args:
        model: Flat Functional model.
        name: Name of the layer whose output is the tensor; None: it is searched for.

    Raises:
        BackboneError: There is no such layer, or the classifiers of several outputs begin at
            different layers.
    """
    nodes = graph_nodes(model)
    if name is not None:
        return _output_of(nodes, name)
    found = {id(cut): cut for output in model.outputs for cut in [_before(nodes, output)]}
    if len(found) > 1:
        begins = [n.operation.name for n in nodes if any(id(t) in found for t in n.outputs)]
        raise BackboneError(
            f"the classifiers of the outputs of {model.name} begin at different layers: "
            f"{', '.join(begins)}. Name the backbone's last layer as `cut`."
        )
    return next(iter(found.values()))


def image_features(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Returns features in the form that heads pool.

    Tokens [batch, n, channels] become activations of n x 1 positions, [batch, n, 1, channels];
    activations [batch, height, width, channels] and features [batch, channels] are unchanged.
    """
    if len(tensor.shape) != 3:
        return tensor
    positions = (tensor.shape[1], 1, tensor.shape[2])
    reshape: Any = layers.Reshape(positions, name="tokens_as_positions")
    return reshape(tensor)


def find_block_specs(model: keras.Model) -> tuple[BlockSpec, ...]:
    """Divides a flat Functional model into blocks, each named after the layer that ends it.

    A block can end where all that follows depends on one tensor: after a residual sum, a merge of
    branches or a layer that itself consists of layers, and before the resolution changes. Layers
    without weights after it that keep the shape belong to it, and each block has a kernel.
    """
    nodes = graph_nodes(model)
    waists = list(_waists(nodes))
    ends: list[tuple[int, str]] = []
    first = 0
    for number in range(len(waists) - 1):
        waist, following = nodes[waists[number]], nodes[waists[number + 1]]
        is_end = _place(waist) != _place(following) or _is_end(nodes, waists, number)
        if number < first or not is_end:
            continue
        last = number
        while last + 1 < len(waists) and _goes_on(nodes, waists[last], waists[last + 1]):
            last += 1
        if _has_kernel(nodes[_after(ends) : waists[last] + 1]):
            ends.append((waists[last], waist.operation.name))
            first = last + 1
    while ends and not _has_kernel(nodes[_after(ends) :]):
        ends.pop()
    in_last = [n for n, at in enumerate(waists) if at >= _after(ends) and _is_end(nodes, waists, n)]
    name_of_last = nodes[waists[in_last[-1]] if in_last else -1].operation.name
    return (
        *(BlockSpec(name, nodes[at].operation.name) for at, name in ends),
        BlockSpec(name_of_last, nodes[-1].operation.name),
    )


def _after(ends: Sequence[tuple[int, str]]) -> int:
    """Returns the position after the last end."""
    return ends[-1][0] + 1 if ends else 0


def _before(nodes: Sequence[GraphNode], output: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the tensor where the classifier of one output begins; see `find_cut`."""
    maker = {id(tensor): node for node in nodes for tensor in node.outputs}
    with_positions, tensor = None, output
    while True:
        if with_positions is None and len(tensor.shape) > 2:
            with_positions = tensor
        node = maker[id(tensor)]
        if not _is_of_classifier(node):
            return tensor if with_positions is None else with_positions
        (tensor,) = node.inputs
        if isinstance(node.operation, _GLOBAL_POOLINGS):
            return tensor


def _is_of_classifier(node: GraphNode) -> bool:
    if len(node.inputs) != 1:
        return False
    if isinstance(node.operation, layers.Conv2D):
        return math.prod(node.inputs[0].shape[1:-1]) == 1
    return isinstance(node.operation, _CLASSIFIER_LAYERS)


def _output_of(nodes: Sequence[GraphNode], name: str) -> keras.KerasTensor:
    by_name = {node.operation.name: node for node in nodes}
    if name not in by_name:
        raise BackboneError(
            f"the model has no layer with the name in `cut`.{nearest(name, by_name)} "
            f"Received: {name!r}"
        )
    tensor = by_name[name].outputs[0]
    if len(tensor.shape) not in (2, 3, 4):
        raise BackboneError(
            f"the output of {name} must be activations [batch, height, width, channels], tokens "
            f"[batch, n, channels] or features [batch, channels]. Received: {tensor.shape}"
        )
    return tensor


def _waists(nodes: Sequence[GraphNode]) -> Iterator[int]:
    """Yields the positions after which all nodes depend on the outputs of that node alone."""
    last_use = {id(tensor): at for at, node in enumerate(nodes) for tensor in node.inputs}
    alive: set[int] = set()
    for at, node in enumerate(nodes):
        alive.update(id(tensor) for tensor in node.outputs)
        alive = {tensor for tensor in alive if last_use.get(tensor, len(nodes)) > at}
        if alive == {id(tensor) for tensor in node.outputs}:
            yield at


def _goes_on(nodes: Sequence[GraphNode], waist: int, following: int) -> bool:
    """Returns whether one layer follows that has no weights and keeps the shape (an activation)."""
    operation = nodes[following].operation
    same_shape = nodes[waist].outputs[0].shape == nodes[following].outputs[0].shape
    return following == waist + 1 and same_shape and not getattr(operation, "weights", ())


def _has_kernel(nodes: Sequence[GraphNode]) -> bool:
    return any(
        len(weight.shape) > 1 for node in nodes for weight in getattr(node.operation, "weights", ())
    )


def _is_end(nodes: Sequence[GraphNode], waists: Sequence[int], number: int) -> bool:
    node: Any = nodes[waists[number]]
    if len({id(tensor) for tensor in node.inputs}) > 1:
        # A gate multiplies, and a dense block appends to its input: neither ends a block.
        before = nodes[waists[number - 1]].outputs[0] if number else None
        grows = "Concatenate" in type(node.operation).__name__
        gates = "Multiply" in type(node.operation).__name__
        return not gates and not (grows and any(tensor is before for tensor in node.inputs))
    return is_composite(node.operation)


def _place(node: GraphNode) -> tuple[int | None, ...]:
    """Returns the resolution of a node's output: [height, width], or the number of tokens."""
    return tuple(node.outputs[0].shape[1:-1])
