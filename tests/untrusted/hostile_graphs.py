"""SavedModels as a stranger could write them, made by changing the file of a harmless one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import tf

from tensorflow.core.framework.op_def_pb2 import OpList
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.client.pywrap_tf_session import TF_GetAllOpList, TF_GetBuffer

Change = Callable[[Any], None]


def registered_operations() -> dict[str, bool]:
    """Every operation that is built into TensorFlow, and whether it is stateful."""
    listed: Any = TF_GetBuffer(TF_GetAllOpList())
    operations = OpList.FromString(listed)
    return {operation.name: operation.is_stateful for operation in operations.op}


def changed(source: Path, target: Path, change: Change) -> Path:
    """Copies a SavedModel, with its meta graph changed."""
    shutil.copytree(source, target)
    file = target / "saved_model.pb"
    saved_model = SavedModel.FromString(file.read_bytes())
    change(saved_model.meta_graphs[0])
    file.write_bytes(saved_model.SerializeToString())
    return target


def save_graph(path: Path, *changes: Change) -> Path:
    """Saves a graph of nothing but the changes."""
    saved_model = SavedModel()
    meta_graph = saved_model.meta_graphs.add()
    meta_graph.object_graph_def.SetInParent()
    for change in changes:
        change(meta_graph)
    path.mkdir(parents=True, exist_ok=True)
    (path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    return path


def in_the_graph(operation: str) -> Change:
    return lambda meta_graph: meta_graph.graph_def.node.add(name="hidden", op=operation)


def in_a_function(operation: str) -> Change:
    def change(meta_graph: Any) -> None:
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = "hidden"
        function.node_def.add(name="node", op=operation)

    return change


def in_a_branch(operation: str) -> Change:
    """In a function that another one names in a list of branches."""

    def change(meta_graph: Any) -> None:
        in_a_function(operation)(meta_graph)
        case = meta_graph.graph_def.node.add(name="case", op="Case")
        case.attr["branches"].list.func.add().name = "hidden"

    return change


def under_the_name_of_another(operation: str) -> Change:
    """In a function that is called as if it were an operation that is allowed."""

    def change(meta_graph: Any) -> None:
        in_a_function(operation)(meta_graph)
        meta_graph.graph_def.library.function[-1].signature.name = "Identity"
        meta_graph.graph_def.node.add(name="hidden", op="Identity")

    return change


PLACES = (in_the_graph, in_a_function, in_a_branch, under_the_name_of_another)


def save_with(path: Path, effect: Callable[[tf.Tensor], tf.Tensor]) -> Path:
    """A module whose call does more than compute."""
    module = tf.Module()

    def call(images: tf.Tensor) -> tf.Tensor:
        return effect(tf.reduce_mean(images, [1, 2]))

    spec = tf.TensorSpec([None, 8, 8, 3], tf.float32)
    module.__call__ = tf.function(call, input_signature=[spec])
    tf.saved_model.save(module, str(path))
    return path


def writing(target: Path) -> Callable[[tf.Tensor], tf.Tensor]:
    def effect(features: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.io.write_file(str(target), "x")]):
            return tf.identity(features)

    return effect


def export_that_writes(exported: Path, path: Path, target: Path) -> Path:
    """An export of tfft's form, whose answers write a file."""
    effect = writing(target)
    module = tf.Module()

    def images(images: tf.Tensor) -> dict[str, tf.Tensor]:
        answers = effect(tf.reduce_mean(tf.cast(images, tf.float32), [1, 2]))
        return {
            "probabilities": tf.nn.softmax(answers),
            "logits": answers,
            "unlikeness": tf.zeros([tf.shape(answers)[0], 1]),
        }

    def image_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return images(tf.zeros([tf.size(image_bytes), 8, 8, 3]))

    specs = {
        "serving_default": (images, tf.TensorSpec([None, 32, 32, 3], tf.float32, "images")),
        "serve_uint8": (images, tf.TensorSpec([None, 32, 32, 3], tf.uint8, "images")),
        "serve_bytes": (image_bytes, tf.TensorSpec([None], tf.string, "image_bytes")),
    }
    signatures = {
        name: tf.function(function).get_concrete_function(spec)
        for name, (function, spec) in specs.items()
    }
    tf.saved_model.save(module, str(path), signatures=signatures)
    shutil.copytree(exported / "assets.extra", path / "assets.extra", dirs_exist_ok=True)
    return path
