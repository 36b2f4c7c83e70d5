"""Checks a SavedModel for operations that do more than compute, before it is loaded.

A SavedModel is a program: its graph may read and write files, open connections and call Python.
Allowed are all operations without side effects that read nothing from outside, and the few with
side effects that networks are made of (variables, calls, random numbers). Everything else is
refused, and named.
"""

import os
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import tfft.system.tensorflow  # noqa: F401 - starts it, before its internals are imported

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

# The registry of all operations in this process, which says whether an operation is stateful.
from tensorflow.python.framework import op_def_registry

from tfft.errors import BackboneError

_MAX_GRAPH_BYTES = 1 << 30

# Operations that TensorFlow declares stateful, but that touch only the model's own memory.
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
# Operations that are declared without side effects, but reach outside.
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


# Operations that save and restore checkpoints, in functions that every SavedModel has.
_OF_CHECKPOINTS = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints"})


def scan_saved_model(directory: Path, what: str, allow: Collection[str] = ()) -> None:
    """Checks the graph and all functions of a SavedModel, without running any of it.

    Operations of checkpoints are allowed in the functions of its saver, which loading does not
    call, provided that nothing else in the file mentions these functions.

    Args:
        directory: Directory with ``saved_model.pb``.
        what: Name of the module in messages.
        allow: Names of operations that are allowed besides the harmless ones. The environment
            variable ``TFFT_ALLOW_OPS`` adds more, separated by commas.

    Raises:
        BackboneError: It is not a SavedModel of TF2, or has other operations; all are named.
    """
    meta_graph = _read(directory / "saved_model.pb", what)
    allowed = {*allow, *os.environ.get("TFFT_ALLOW_OPS", "").split(",")}
    library = meta_graph.graph_def.library.function
    functions = {function.signature.name for function in library}
    saving = _functions_of_saver(meta_graph)
    nodes = [("its graph", node) for node in meta_graph.graph_def.node]
    nodes += [(function.signature.name, node) for function in library for node in function.node_def]
    refused = defaultdict(set)
    for place, node in nodes:
        of_saver = place in saving and node.op in _OF_CHECKPOINTS
        if node.op not in allowed and not of_saver and not _is_harmless(node.op, functions):
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
            "train. Save it with tf.saved_model.save of TF2, or use its successor"
        )
    return saved_model.meta_graphs[0]


def _is_harmless(name: str, functions: Collection[str]) -> bool:
    operation = op_def_registry.get(name)
    if operation is None:  # a call of a function, whose own operations are checked too
        return name in functions
    if name in _REACHING_OUT:
        return False
    return not operation.is_stateful or name in _HARMLESS_STATEFUL


def _functions_of_saver(meta_graph: Any) -> frozenset[str]:
    """Returns the functions that save and restore; none if anything but the saver mentions one."""
    saver = meta_graph.saver_def
    nodes = {saver.save_tensor_name.rpartition(":")[0], saver.restore_op_name}
    calls = [node for node in meta_graph.graph_def.node if node.name in nodes]
    found = frozenset(
        value.func.name for node in calls for value in node.attr.values() if value.func.name
    )
    rest = type(meta_graph)()
    rest.CopyFrom(meta_graph)
    library = rest.graph_def.library
    kept_nodes = [node for node in rest.graph_def.node if node.name not in nodes]
    kept_functions = [f for f in library.function if f.signature.name not in found]
    del rest.graph_def.node[:]
    del library.function[:]
    rest.graph_def.node.extend(kept_nodes)
    library.function.extend(kept_functions)
    content = rest.SerializeToString()
    return frozenset() if any(name.encode() in content for name in found) else found
