"""Looks through a SavedModel before it is loaded: a graph is a program, and may do anything.

What `tfft.untrusted.operations` does not allow is refused by name. TensorFlow is started only for a
graph that calls a function as if it were an operation.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from tfft.errors import ModelFileError
from tfft.system.listing import special_file
from tfft.untrusted.graph_messages import SavedModel
from tfft.untrusted.operations import (
    ALLOWED_OPERATIONS,
    CHECKPOINT_OPERATIONS,
    operations_of_user,
)

_MAX_GRAPH_BYTES = 1 << 30
_SHOWN = 10
# Other names under which TensorFlow and its servers look for a graph.
_OTHER_GRAPHS = ("saved_model.pbtxt", "saved_model.cpb")


def scan_saved_model(directory: Path, what: str, allow: Collection[str] = ()) -> None:
    """Checks the graph and all functions of a SavedModel, without running any of it.

    Operations of checkpoints are allowed in the functions of its saver, which loading does not
    call, provided that nothing else in the file mentions these functions, and that what is
    restored is the file that the saver is given.

    Args:
        directory: Directory with ``saved_model.pb``.
        what: Name of the module or model in messages.
        allow: Names of operations that are allowed besides those of `ALLOWED_OPERATIONS` and those
            that the user allows.

    Raises:
        ModelFileError: It is not a SavedModel of TF2, has other operations (all are
            named), or calls functions that are not in it.
    """
    meta_graph = _read(directory, what)
    allowed = ALLOWED_OPERATIONS | operations_of_user() | frozenset(allow)
    functions = {f.signature.name for f in meta_graph.graph_def.library.function}
    saving = _functions_of_saver(meta_graph)
    refused, missing = defaultdict(set), defaultdict(set)
    for place, node in _nodes(meta_graph):
        of_saver = place in saving and node.op in CHECKPOINT_OPERATIONS
        if not of_saver and node.op not in allowed and not _is_call(node.op, functions):
            refused[node.op].add(place)
        for name in _called(node):
            if name not in functions:
                missing[name].add(place)
    if refused:
        raise ModelFileError(_refusal(what, refused))
    if missing:
        raise ModelFileError(
            f"{what} is not loaded: it calls functions that it does not have: {_shown(missing)}"
        )


def link_outside(directory: Path) -> str:
    """Returns the name of a link below a directory that leads outside of it, "" if there is none.

    Where the files are copied, a file of this machine that nobody meant to give away would be, too.
    """
    root = directory.resolve()
    for path in directory.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            return path.relative_to(directory).as_posix()
    return ""


def _refusal(what: str, refused: dict[str, set[str]]) -> str:
    names = sorted(refused)[:_SHOWN]
    return (
        f"{what} is not loaded: it has operations that do more than compute, or that no image "
        f"model needs: {_shown(refused)}. If you trust it, allow each: --allow-op "
        f"{' --allow-op '.join(names)} of a command that takes a MODEL or a RUN; "
        f"backbone.allow_ops: [{', '.join(names)}] in a recipe; TFFT_ALLOW_OPS={','.join(names)} "
        "in the environment of any command"
    )


def _shown(places: dict[str, set[str]]) -> str:
    shown = [f"{name} in {min(found)}" for name, found in sorted(places.items())[:_SHOWN]]
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return "; ".join(shown) + more


def _read(directory: Path, what: str) -> Any:
    path = directory / "saved_model.pb"
    others = [name for name in _OTHER_GRAPHS if (directory / name).exists()]
    if others:
        raise ModelFileError(
            f"{what} has a second graph, {others[0]}, beside its saved_model.pb, and is not "
            "loaded: other programs would load that one. Remove it"
        )
    if special := special_file(path):
        raise ModelFileError(f"{what} has no readable saved_model.pb: {special}")
    try:
        if path.stat().st_size > _MAX_GRAPH_BYTES:
            raise ModelFileError(f"{what} has a graph of more than {_MAX_GRAPH_BYTES >> 20} MiB")
        saved_model = SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelFileError(f"{what} has no readable saved_model.pb: {error}") from error
    if len(saved_model.meta_graphs) != 1 or not saved_model.meta_graphs[0].HasField(
        "object_graph_def"
    ):
        raise ModelFileError(
            f"{what} is a SavedModel in the format of TF1, which has no variables that TF2 could "
            "train. Save it with tf.saved_model.save of TF2, or use its successor"
        )
    return saved_model.meta_graphs[0]


def _nodes(meta_graph: Any) -> Iterator[tuple[str, Any]]:
    """Yields every node, with the name of the function that it is in."""
    for node in meta_graph.graph_def.node:
        yield "its graph", node
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def _is_call(operation: str, functions: Collection[str]) -> bool:
    """Returns whether a node calls a function of the graph as if that were an operation.

    The function's own nodes are looked through too; an operation of TensorFlow that has the same
    name would be run in its place.
    """
    if operation not in functions:
        return False
    import tfft.system.tensorflow  # noqa: F401 - starts it, before its internals are imported

    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(operation) is None


def _called(node: Any) -> Iterator[str]:
    """Yields the functions that the attributes of a node name: what it calls, or branches to."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _functions_of_saver(meta_graph: Any) -> frozenset[str]:
    """Returns the functions that save and restore variables.

    None are returned if anything but the saver mentions one of them or uses what it returns, or if
    one would restore another file than the saver is given.
    """
    saver, graph = meta_graph.saver_def, meta_graph.graph_def
    nodes = {_node_of(saver.save_tensor_name), saver.restore_op_name}
    calls = [node for node in graph.node if node.name in nodes]
    found = frozenset(name for node in calls for name in _called(node))
    used = {_node_of(name) for node in graph.node for name in node.input}
    used |= {
        _node_of(tensor.name)
        for signature in meta_graph.signature_def.values()
        for tensor in signature.outputs.values()
    }
    file = _node_of(saver.filename_tensor_name)
    is_bound = all(node.input and _node_of(node.input[0]) == file for node in calls) and all(
        _restores_first_argument(function)
        for function in graph.library.function
        if function.signature.name in found
    )
    if not is_bound or used & nodes or _mentions(meta_graph, nodes, found):
        return frozenset()
    return found


def _restores_first_argument(function: Any) -> bool:
    """Returns whether a function reads no other file than its first argument names."""
    arguments = [argument.name for argument in function.signature.input_arg]
    return all(
        node.input[:1] == arguments[:1] for node in function.node_def if node.op == "RestoreV2"
    )


def _node_of(tensor: str) -> str:
    """Returns the node of a tensor (``name:0``) or of a control input (``^name``)."""
    return tensor.removeprefix("^").partition(":")[0]


def _mentions(meta_graph: Any, nodes: Collection[str], functions: Collection[str]) -> bool:
    """Returns whether the file without these nodes and functions has the functions' names."""
    rest = type(meta_graph)()
    rest.CopyFrom(meta_graph)
    library = rest.graph_def.library
    kept_nodes = [node for node in rest.graph_def.node if node.name not in nodes]
    kept_functions = [f for f in library.function if f.signature.name not in functions]
    del rest.graph_def.node[:]
    del library.function[:]
    rest.graph_def.node.extend(kept_nodes)
    library.function.extend(kept_functions)
    content = rest.SerializeToString()
    return any(name.encode() in content for name in functions)
