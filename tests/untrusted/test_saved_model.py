"""A SavedModel is looked through before it is loaded, wherever it is loaded."""

import hashlib
import json
import shutil
from pathlib import Path

from tfft.system.tensorflow import tf

import numpy as np
import pytest
from hub_modules import LAYOUTS, save_module, small_network
from tensorflow.core.protobuf import saved_model_pb2
from untrusted.hostile_graphs import (
    PLACES,
    changed,
    export_that_writes,
    save_with,
    writing,
)

import tfft
from tfft.backbones.build import build_backbone
from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.cli.main import run
from tfft.config.model import HubBackbone
from tfft.errors import ModelFileError
from tfft.system.formats import MODEL
from tfft.untrusted.graph_messages import SavedModel
from tfft.untrusted.saved_model import scan_saved_model


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("modules") / "module"
    return save_module(small_network(), path, "signature")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """The file that the hostile export writes if it is ever run."""
    return tmp_path_factory.mktemp("hostile") / "written"


@pytest.fixture(scope="module")
def hostile(exported, written) -> Path:
    export = export_that_writes(exported.savedmodel, written.parent / "export", written)
    described = export / "assets.extra" / "tfft.json"
    values = json.loads(described.read_text())
    graph = hashlib.sha256((export / "saved_model.pb").read_bytes()).hexdigest()
    MODEL.write(described, {**values, "model_sha256": graph})
    return export


@pytest.fixture
def photo(pictures) -> str:
    return str(next(pictures.glob("*/*.png")))


def reading(features: tf.Tensor) -> tf.Tensor:
    return features + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


def calling_python(features: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.numpy_function(lambda x: x, [features], tf.float32), [None, 3])


def printing_to_a_file(features: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([tf.print("x", output_stream="file:///tmp/printed")]):
        return tf.identity(features)


def restoring(features: tf.Tensor) -> tf.Tensor:
    return (
        features
        + tf.raw_ops.RestoreV2(
            prefix="/tmp/checkpoint", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0]
    )


@pytest.mark.parametrize(
    ("effect", "operation"),
    [
        (reading, "ReadFile"),
        (calling_python, "PyFunc"),
        (printing_to_a_file, "PrintV2"),
        (restoring, "RestoreV2"),
    ],
)
def test_an_operation_that_reaches_outside_is_refused_by_name(tmp_path, effect, operation):
    path = save_with(tmp_path / "module", effect)
    with pytest.raises(ModelFileError, match=rf"needs: {operation} in __inference"):
        scan_saved_model(path, "module")
    scan_saved_model(path, "module", allow=[operation, "StringFormat"])


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_it_is_found_wherever_it_hides(tmp_path, module, place):
    path = changed(module, tmp_path / "module", place("DebugIdentityV2"))
    with pytest.raises(ModelFileError, match=r"needs: DebugIdentityV2 in (its graph|hidden|Ident)"):
        scan_saved_model(path, "module")


def test_functions_that_the_file_does_not_have_are_not_called(tmp_path, module):
    """Another model in this process may have functions of these names."""

    def change(meta_graph):
        node = meta_graph.graph_def.node.add(name="call", op="PartitionedCall")
        node.attr["f"].func.name = "of_another_model"

    path = changed(module, tmp_path / "module", change)
    with pytest.raises(ModelFileError, match="functions that it does not have: of_another_model"):
        scan_saved_model(path, "module")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layouts_of_published_modules_pass(tmp_path, layout):
    """With SaveV2 and RestoreV2 in the functions of their savers, which nothing calls."""
    path = save_module(small_network(), tmp_path / "module", layout, regularization=0.1)
    scan_saved_model(path, "module")


def table_of_constants(path: Path):
    return tf.lookup.KeyValueTensorInitializer(tf.constant(["a"]), tf.constant([1], tf.int64))


def table_of_a_file(path: Path):
    path.write_text("a\n")
    return tf.lookup.TextFileInitializer(
        str(path),
        *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
        *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
    )


def save_table(path: Path, initializer) -> Path:
    module = tf.Module()
    module.table = tf.lookup.StaticVocabularyTable(initializer, 3)
    spec = tf.TensorSpec([None], tf.string)
    module.look_up = tf.function(module.table.lookup, input_signature=[spec])
    tf.saved_model.save(module, str(path))
    return path


def test_tables_may_be_made_of_constants_and_not_of_files(tmp_path):
    scan_saved_model(save_table(tmp_path / "a", table_of_constants(tmp_path)), "module")
    of_file = save_table(tmp_path / "b", table_of_a_file(tmp_path / "words.txt"))
    with pytest.raises(ModelFileError, match="InitializeTableFromTextFileV2"):
        scan_saved_model(of_file, "module")


class TestTheSaverIsNoWayAround:
    """Its functions may read and write checkpoints as long as nothing else has to do with them."""

    def refused(self, module: Path, path: Path, change) -> None:
        with pytest.raises(ModelFileError, match=r"RestoreV2 in __inference__traced_restore"):
            scan_saved_model(changed(module, path, change), "module")

    def restoring_function(self, meta_graph):
        functions = meta_graph.graph_def.library.function
        return next(f for f in functions if "traced_restore" in f.signature.name)

    def test_a_call_from_the_graph(self, tmp_path, module):
        def change(meta_graph):
            node = meta_graph.graph_def.node.add(name="call", op="StatefulPartitionedCall")
            node.attr["f"].func.name = self.restoring_function(meta_graph).signature.name

        self.refused(module, tmp_path / "module", change)

    def test_a_node_that_waits_for_it(self, tmp_path, module):
        def change(meta_graph):
            restore = meta_graph.saver_def.restore_op_name
            meta_graph.graph_def.node.add(name="after", op="NoOp", input=[f"^{restore}"])

        self.refused(module, tmp_path / "module", change)

    def test_a_signature_that_returns_it(self, tmp_path, module):
        def change(meta_graph):
            outputs = meta_graph.signature_def["serving_default"].outputs
            outputs["features"].name = f"{meta_graph.saver_def.restore_op_name}:0"

        self.refused(module, tmp_path / "module", change)

    def test_another_file_within_the_function(self, tmp_path, module):
        def change(meta_graph):
            function = self.restoring_function(meta_graph)
            restore = next(node for node in function.node_def if node.op == "RestoreV2")
            function.node_def.add(name="path", op="Const")
            restore.input[0] = "path:output:0"

        self.refused(module, tmp_path / "module", change)

    def test_another_file_given_to_the_function(self, tmp_path, module):
        def change(meta_graph):
            name = meta_graph.saver_def.restore_op_name
            call = next(node for node in meta_graph.graph_def.node if node.name == name)
            meta_graph.graph_def.node.add(name="path", op="Const")
            call.input[0] = "path"

        self.refused(module, tmp_path / "module", change)


def test_the_messages_that_are_looked_at_are_those_of_tensorflow():
    pending = [(SavedModel.DESCRIPTOR, saved_model_pb2.SavedModel.DESCRIPTOR)]
    seen = set()
    while pending:
        own, theirs = pending.pop()
        seen.add(own.name)
        for name, field in own.fields_by_name.items():
            its = theirs.fields_by_name[name]
            kind = its.TYPE_INT32 if its.type == its.TYPE_ENUM else its.type
            assert (field.number, field.type, field.is_repeated) == (
                its.number,
                kind,
                its.is_repeated,
            )
            if field.message_type and field.message_type.name not in seen:
                pending.append((field.message_type, its.message_type))
        if own.oneofs:  # a field that is unknown here would not take the place of one that is known
            assert set(own.fields_by_name) == set(theirs.fields_by_name)
    assert {"NodeDef", "FunctionDef", "AttrEntry", "OutputsEntry", "NameAttrList"} <= seen


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_a_second_graph_beside_the_first_is_refused(tmp_path, module, name):
    shutil.copytree(module, tmp_path / "module")
    (tmp_path / "module" / name).touch()
    with pytest.raises(ModelFileError, match=f"has a second graph, {name}"):
        scan_saved_model(tmp_path / "module", "module")


def test_a_saved_model_of_tf1_is_recognised(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3])
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "m"), {"images": images}, {"features": images * 2.0}
        )
    with pytest.raises(ModelFileError, match="a SavedModel in the format of TF1"):
        scan_saved_model(tmp_path / "m", "m")


def test_a_module_that_writes_files_is_not_run(tmp_path):
    target = tmp_path / "written"
    path = save_with(tmp_path / "module", writing(target))
    with pytest.raises(ModelFileError, match="WriteFile") as caught:
        build_backbone(HubBackbone(kind="hub", handle=str(path)))
    assert "allow_ops: [WriteFile]" in str(caught.value)
    assert not target.exists()
    build_backbone(HubBackbone(kind="hub", handle=str(path), allow_ops=("WriteFile",)))
    assert target.exists()


def test_a_module_in_a_keras_file_is_looked_through_too(tmp_path, monkeypatch):
    """What the recipe allowed stands in the recipe; a .keras file cannot allow itself anything."""
    target = tmp_path / "written"
    path = save_with(tmp_path / "module", writing(target))
    backbone = build_backbone(HubBackbone(kind="hub", handle=str(path), allow_ops=("WriteFile",)))
    backbone.model.save(tmp_path / "model.keras")
    target.unlink()
    with pytest.raises(ModelFileError, match="WriteFile in __inference"):
        load_keras_file(tmp_path / "model.keras")
    assert not target.exists()
    monkeypatch.setenv("TFFT_ALLOW_OPS", "WriteFile")
    load_keras_file(tmp_path / "model.keras")


class TestAsAModel:
    """An export whose answers write a file, given to what takes a MODEL."""

    @pytest.mark.parametrize(
        "use",
        [
            tfft.load_predictor,
            tfft.evaluate,
            pytest.param(
                lambda model: tfft.benchmark([model], threads=[1], seconds=0.01),
                marks=pytest.mark.slow,
            ),
            lambda model: tfft.publish(model, model.parent / "served"),
            lambda model: tfft.serve_check("http://127.0.0.1:9/v1/models/m", model),
        ],
        ids=["load_predictor", "evaluate", "benchmark", "publish", "serve_check"],
    )
    def test_it_is_refused_before_it_is_loaded(self, hostile, written, use):
        with pytest.raises(tfft.errors.UsageError, match=r"not loaded.* WriteFile in __inference"):
            use(hostile)
        assert not written.exists()
        assert not (hostile.parent / "served").exists()

    def test_through_a_link_and_in_a_directory_of_versions(self, hostile, written, tmp_path):
        (tmp_path / "versions").mkdir()
        (tmp_path / "versions" / "1").symlink_to(hostile)
        linked = shutil.copytree(hostile, tmp_path / "linked")
        (linked / "saved_model.pb").unlink()
        (linked / "saved_model.pb").symlink_to(hostile / "saved_model.pb")
        for model in (tmp_path / "versions", linked):
            with pytest.raises(ModelFileError, match="WriteFile in __inference"):
                tfft.load_predictor(model)
        assert not written.exists()

    def test_who_knows_what_is_loaded_can_allow_it(self, hostile, written, photo):
        predictor = tfft.load_predictor(hostile, allow_ops=["WriteFile"])
        assert not written.exists()
        answers = predictor.answers_from_bytes([Path(photo).read_bytes()])
        assert np.isfinite(answers["label"]).all()
        written.unlink()

    @pytest.mark.parametrize(
        "command",
        ["predict", "evaluate", "publish", pytest.param("benchmark", marks=pytest.mark.slow)],
    )
    def test_so_can_the_command_line(self, hostile, written, photo, tmp_path, command, capsys):
        rest = {
            "predict": [photo],
            "evaluate": ["--data", str(Path(photo).parents[1])],
            "publish": [str(tmp_path / "served")],
            "benchmark": ["--threads", "1", "--seconds", "0.01"],
        }[command]
        assert run([command, str(hostile), *rest]) == 2
        said = capsys.readouterr().err
        assert "TFFT_ALLOW_OPS=WriteFile in the environment of any command" in said
        assert "--allow-op WriteFile of a command that takes a MODEL or a RUN" in said
        assert not written.exists()
        assert run([command, str(hostile), *rest, "--allow-op", "WriteFile"]) == 0
        assert written.exists() == (command != "publish")
        written.unlink(missing_ok=True)
