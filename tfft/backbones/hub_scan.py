"""Looks through a SavedModel for operations that do more than compute, before it is loaded.

A SavedModel is a program: its graph may read and write files, open connections and call Python.
What is allowed here: every operation without side effects that reads nothing from outside, and
the few with side effects that networks are made of (variables, calls, random numbers). Everything
else is refused by name.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from tfft.errors import BackboneError
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
from google.protobuf.message import DecodeError  # noqa: E402
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: E402

# The registry of all operations in this process, with what they declare of themselves.
from tensorflow.python.framework import op_def_registry  # noqa: E402

_MAX_GRAPH_BYTES = 1 << 30

# Operations that TensorFlow calls stateful and that touch nothing but the model's own memory.
_HARMLESS_STATEFUL = frozenset(
    {
        "VarHandleOp",
        "ReadVariableOp",
        "AssignVariableOp",
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "VarIsInitializedOp",
        "DestroyResourceOp",
        "DisableCopyOnRead",
        "ResourceGather",
        "ResourceGatherNd",
        "ResourceScatterUpdate",
        "VariableShape",
        "PartitionedCall",
        "StatefulPartitionedCall",
        "If",
        "While",
        "Case",
        "Assert",
        "RandomUniform",
        "RandomUniformInt",
        "RandomStandardNormal",
        "TruncatedNormal",
        "Multinomial",
        "RandomShuffle",
        "StatefulUniform",
        "StatefulStandardNormalV2",
        "StatefulTruncatedNormal",
        "StatefulUniformInt",
        "StatefulUniformFullInt",
        "RngReadAndSkip",
        "RngSkip",
        "TensorListReserve",
        "EmptyTensorList",
        "StackV2",
        "TensorArrayV3",
        "TensorArrayGradV3",
        "CheckNumerics",
        "CheckNumericsV2",
    }
)
# Operations that declare no side effect, but reach outside.
_REACHING_OUT = frozenset(
    {
        "ReadFile",
        "MatchingFiles",
        "PyFuncStateless",
        "Restore",
        "RestoreSlice",
        "LookupTableImport",
    }
)


def scan_saved_model(directory: Path, what: str, allow: Collection[str] = ()) -> None:
    """Looks through the graph and all functions of a SavedModel; nothing of it is run.

    The functions that save and restore a checkpoint, which every SavedModel has and which nothing
    calls on loading, are left out, unless anything else refers to them.

    Args:
        directory: has ``saved_model.pb``.
        what: the module's name in messages.
        allow: operations that are allowed beside the harmless ones.

    Raises:
        BackboneError: It is no SavedModel of TF2, or has other operations; all are named.
    """
    meta_graph = _read(directory / "saved_model.pb", what)
    allowed = {*allow, *os.environ.get("TFFT_ALLOW_OPS", "").split(",")}
    allowed |= {function.signature.name for function in meta_graph.graph_def.library.function}
    refused = defaultdict(set)
    for place, node in _nodes(meta_graph):
        if node.op not in allowed and not _is_harmless(node.op):
            refused[node.op].add(place)
    if refused:
        found = "; ".join(f"{op} in {min(places)}" for op, places in sorted(refused.items()))
        raise BackboneError(
            f"{what} is not loaded: it has operations that do more than compute: {found}. If you "
            f"trust it, allow them: backbone.allow_ops: [{', '.join(sorted(refused))}] in a "
            f"recipe, TFFT_ALLOW_OPS={','.join(sorted(refused))} for a saved model"
        )


def _read(path: Path, what: str) -> Any:
    try:
        if path.stat().st_size > _MAX_GRAPH_BYTES:
            raise BackboneError(f"{what} has a graph of more than {_MAX_GRAPH_BYTES >> 20} MiB")
        saved_model = SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise BackboneError(f"{what} has no readable saved_model.pb: {error}") from error
    if len(saved_model.meta_graphs) != 1 or not saved_model.meta_graphs[0].HasField(
        "object_graph_def"
    ):
        raise BackboneError(
            f"{what} is a SavedModel in the format of TF1, which has no variables that TF2 could "
            "train. Save it with tf.saved_model.save of TF2, or take its successor"
        )
    return saved_model.meta_graphs[0]


def _is_harmless(name: str) -> bool:
    operation = op_def_registry.get(name)
    if operation is None or name in _REACHING_OUT:
        return False
    return not operation.is_stateful or name in _HARMLESS_STATEFUL


def _nodes(meta_graph: Any) -> Iterator[tuple[str, Any]]:
    """Yields every node that could be run, with the name of its function or of the graph."""
    graph = meta_graph.graph_def
    functions = {function.signature.name: function for function in graph.library.function}
    savers = {
        meta_graph.saver_def.save_tensor_name.rpartition(":")[0],
        meta_graph.saver_def.restore_op_name,
    }
    of_saver = [node for node in graph.node if node.name in savers]
    others = [node for node in graph.node if node.name not in savers]
    saving = _reached(_called(of_saver, functions), functions)
    # Whatever anything but the saver refers to is not the saver's alone.
    roots = {name for name in functions if name not in saving}
    roots |= set(meta_graph.object_graph_def.concrete_functions) & functions.keys()
    roots |= _called(others, functions)
    for name in sorted(_reached(roots, functions)):
        for node in functions[name].node_def:
            yield name, node
    for node in others:
        yield "its graph", node


def _reached(roots: Iterable[str], functions: dict[str, Any]) -> set[str]:
    reached: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending.extend(_called(functions[name].node_def, functions))
    return reached


def _called(nodes: Iterable[Any], functions: dict[str, Any]) -> set[str]:
    """The functions that nodes refer to: by an attribute, or as their operation."""
    called = set()
    for node in nodes:
        called.add(node.op)
        for value in node.attr.values():
            called.add(value.func.name)
            called.update(function.name for function in value.list.func)
            # Gradients and calls on other devices name functions in plain text.
            called.add(value.s.decode("utf-8", "replace"))
    return called & functions.keys()
