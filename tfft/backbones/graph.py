"""The graph of a Functional model: which operations take the outputs of which others.

Only the nodes of the model itself are read: its layers may have been called again elsewhere.
"""

from dataclasses import dataclass
from typing import Any

from tfft.system.tensorflow import keras


@dataclass(frozen=True, eq=False)
class GraphNode:
    """One call of one operation.

    Attributes:
        operation: A layer, or an operation without weights such as `keras.ops.Add`.
        inputs: The tensors that it takes; empty for an input layer.
        outputs: The tensors that it returns.
        arguments: All arguments of the call, as Keras keeps them; their method `fill_in` replaces
            the tensors among them.
    """

    operation: keras.Operation
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    arguments: Any = None


def graph_nodes(model: keras.Model) -> tuple[GraphNode, ...]:
    """Returns the calls that lead from the model's inputs to its outputs, inputs first."""
    ordered: list[GraphNode] = []
    seen: set[tuple[int, int]] = set()
    pending = [(tensor, False) for tensor in reversed(model.outputs)]
    while pending:
        tensor, inputs_done = pending.pop()
        operation, node_index, _ = tensor._keras_history
        key = (id(operation), node_index)
        node = operation._inbound_nodes[node_index]
        if inputs_done:
            inputs, outputs = tuple(node.input_tensors), tuple(node.output_tensors)
            ordered.append(GraphNode(operation, inputs, outputs, node.arguments))
        elif key not in seen:
            seen.add(key)
            pending.append((tensor, True))
            pending.extend((source, False) for source in reversed(node.input_tensors))
    return tuple(ordered)


def ancestors(
    nodes: tuple[GraphNode, ...], operation: keras.Operation
) -> frozenset[keras.Operation]:
    """Returns all operations that the outputs of `operation` depend on, including itself."""
    maker = {id(tensor): node for node in nodes for tensor in node.outputs}
    found: dict[int, keras.Operation] = {}
    pending = [node for node in nodes if node.operation is operation]
    while pending:
        node = pending.pop()
        if id(node.operation) not in found:
            found[id(node.operation)] = node.operation
            pending.extend(maker[id(tensor)] for tensor in node.inputs)
    return frozenset(found.values())


def is_composite(operation: Any) -> bool:
    """Returns whether an operation is a layer with weights that itself consists of layers."""
    if not isinstance(operation, keras.Layer) or not operation.weights:
        return False
    return any(operation._flatten_layers(include_self=False))
