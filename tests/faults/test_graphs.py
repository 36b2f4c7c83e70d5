"""Operations of a SavedModel that do more than compute: refused anywhere, and never run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tfft.system.tensorflow import tf

import pytest
from tally import tally
from untrusted.hostile_graphs import PLACES, registered_operations, save_graph, save_with

from tfft.backbones.build import build_backbone
from tfft.config.model import HubBackbone
from tfft.errors import ModelFileError, TfftError
from tfft.exports.serving.publish import publish
from tfft.runtime.info import DIGEST_KEY, FILE_NAME
from tfft.runtime.load import load_predictor
from tfft.system.formats import CHECKSUM_KEY
from tfft.untrusted.operations import ALLOWED_OPERATIONS
from tfft.untrusted.saved_model import scan_saved_model

pytestmark = pytest.mark.slow
_SAMPLE = 7


@pytest.mark.parametrize("every", [_SAMPLE, pytest.param(1, marks=pytest.mark.full)])
def test_an_operation_is_judged_by_its_name_wherever_it_is(tmp_path, every):
    tried = held = 0
    for operation in sorted(registered_operations())[::every]:
        for place in PLACES:
            tried += 1
            path = save_graph(tmp_path, place(operation))
            try:
                scan_saved_model(path, "module")
                passed = True
            except ModelFileError as error:
                passed = False
                assert f"needs: {operation} in" in str(error)
            held += passed == (operation in ALLOWED_OPERATIONS)
    tally(
        "models",
        "An operation that is not on the list of those that only compute is refused by name, in "
        "whichever part of a SavedModel it is",
        tried=tried,
        held=held,
    )
    assert held == tried


def _number(value) -> tf.Tensor:
    return tf.cast(tf.size(value), tf.float32)


def writes_a_file(mark: Path):
    with tf.control_dependencies([tf.io.write_file(str(mark), "x")]):
        return tf.constant(0.0)


def writes_a_checkpoint(mark: Path):
    saved = tf.raw_ops.SaveV2(
        prefix=str(mark), tensor_names=["x"], shape_and_slices=[""], tensors=[tf.zeros([2])]
    )
    with tf.control_dependencies([saved]):
        return tf.constant(0.0)


def prints_to_a_file(mark: Path):
    with tf.control_dependencies([tf.print("x", output_stream=f"file://{mark}")]):
        return tf.constant(0.0)


def writes_while_debugging(mark: Path):
    return _number(
        tf.raw_ops.DebugIdentityV2(
            input=tf.zeros([2]),
            tfdbg_context_id="c",
            op_name="x",
            tensor_debug_mode=8,
            debug_urls=[f"file://{mark}"],
            circular_buffer_size=-1,
        )
    )


def writes_while_debugging_as_of_old(mark: Path):
    return _number(
        tf.raw_ops.DebugIdentity(
            input=tf.zeros([2]), tensor_name="x:0", debug_urls=[f"file://{mark}"]
        )
    )


def writes_an_event(mark: Path):
    writer = tf.raw_ops.SummaryWriter(shared_name="w", container="")
    made = tf.raw_ops.CreateSummaryFileWriter(
        writer=writer, logdir=str(mark), max_queue=1, flush_millis=1, filename_suffix="x"
    )
    with tf.control_dependencies([made]):
        return tf.constant(0.0)


def caches_a_data_set(mark: Path):
    data = tf.data.Dataset.range(2).cache(str(mark))
    return tf.cast(data.reduce(tf.constant(0, tf.int64), lambda a, b: a + b), tf.float32)


def reads_a_file(mark: Path):
    return _number(tf.io.read_file("/etc/hostname"))


def lists_files(mark: Path):
    return _number(tf.io.matching_files("/etc/*"))


def reads_memory_of_a_file(mark: Path):
    return _number(
        tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[4], memory_region_name="/etc/hostname")
    )


def reads_lines(mark: Path):
    data = tf.data.TextLineDataset("/etc/hostname")
    return tf.cast(data.reduce(tf.constant(0, tf.int64), lambda a, b: a + 1), tf.float32)


def reads_two_vocabularies(mark: Path):
    return _number(
        tf.raw_ops.GenerateVocabRemapping(
            new_vocab_file="/etc/hostname",
            old_vocab_file="/etc/hostname",
            new_vocab_offset=0,
            num_new_vocab=1,
        )[0]
    )


def reads_a_checkpoint(mark: Path):
    return _number(
        tf.raw_ops.RestoreV2(
            prefix="/tmp/c", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0]
    )


def calls_python(mark: Path):
    return tf.ensure_shape(tf.numpy_function(lambda: 0.0, [], tf.float32), [])


def ends_the_process(mark: Path):
    with tf.control_dependencies([tf.raw_ops.Abort(error_msg="x", exit_without_error=True)]):
        return tf.constant(0.0)


EFFECTS = (
    *(writes_a_file, writes_a_checkpoint, prints_to_a_file, writes_while_debugging),
    *(writes_while_debugging_as_of_old, writes_an_event, caches_a_data_set, reads_a_file),
    *(lists_files, reads_memory_of_a_file, reads_lines, reads_two_vocabularies),
    *(reads_a_checkpoint, calls_python, ends_the_process),
)


def test_nothing_hostile_is_run_in_any_use_of_a_saved_model(tmp_path, exported):
    uses = {
        "predict": load_predictor,
        "publish": lambda path: publish(path, tmp_path / "served"),
        "train": lambda path: build_backbone(HubBackbone(kind="hub", handle=str(path))),
    }
    tried = held = 0
    for effect in EFFECTS:
        mark = tmp_path / "marks" / effect.__name__
        path = save_with(tmp_path / effect.__name__, lambda x, e=effect, m=mark: x + e(m))
        shutil.copytree(exported.savedmodel / "assets.extra", path / "assets.extra")
        described = path / "assets.extra" / FILE_NAME
        values = json.loads(described.read_text())  # without what tells damage, as a stranger would
        described.write_text(
            json.dumps({k: v for k, v in values.items() if k not in (DIGEST_KEY, CHECKSUM_KEY)})
        )
        for use in uses.values():
            tried += 1
            with pytest.raises(TfftError, match="do more than compute"):
                use(path)
            held += not mark.parent.exists()
    tally(
        "models",
        "A SavedModel that reads or writes files, calls Python or ends the process is not loaded, "
        "whatever it is used for",
        tried=tried,
        held=held,
    )
    assert held == tried
    assert not (tmp_path / "served").exists()


@pytest.mark.parametrize("effect", [writes_a_file, prints_to_a_file])
def test_the_hostile_models_do_their_worst_where_they_are_loaded_unscanned(tmp_path, effect):
    """Otherwise the tests above would show nothing."""
    mark = tmp_path / "mark"
    path = save_with(tmp_path / "module", lambda x: x + effect(mark))
    code = "import sys, tensorflow as tf; tf.saved_model.load(sys.argv[1])(tf.zeros([1, 8, 8, 3]))"
    subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=False)
    assert mark.exists()
