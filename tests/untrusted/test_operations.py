"""Which operations a stranger's graph may have: a list, and nothing else."""

import re

import pytest
from untrusted.hostile_graphs import in_the_graph, registered_operations, save_graph

from tfft.errors import ModelFileError
from tfft.untrusted import saved_model
from tfft.untrusted.operations import (
    ALLOWED_OPERATIONS,
    CHECKPOINT_OPERATIONS,
    also_allowing,
    environment_of_user,
    operations_of_user,
)

# Allowed, though TensorFlow declares them stateful: variables and tables of the model itself, its
# lists, calls, messages of errors, generators of random numbers, and the data set of one image.
STATEFUL = re.compile(
    r"(Assign(Add|Sub)?|Read)VariableOp|VarHandleOp|VarIsInitializedOp|VariableShape|"
    r"ResourceGather(Nd)?|DestroyResourceOp|DisableCopyOnRead|HashTableV2|LookupTable(Find|Import|"
    r"Size)V2|TensorArray\w+V3|TensorArrayV3|StatefulPartitionedCall|If|While|Case|Assert|"
    r"CheckNumerics(V2)?|Multinomial|RandomShuffle|RandomStandardNormal|RandomUniform(Int)?|"
    r"TruncatedNormal|RngReadAndSkip|RngSkip|Stateful(StandardNormalV2|TruncatedNormal|Uniform|"
    r"UniformFullInt|UniformInt)|StatelessRandomGet\w+|TensorDataset|DatasetToSingleElement"
)
REACHING_OUT = re.compile(
    r"File|Save|Restore|Print|Py|Debug|Summary|Queue|Reader|Server|Rpc|Send|Recv|Dump|Abort|"
    r"Iterator|Session|Remote|Xla|Tpu|Nccl|Collective|Checkpoint|Sleep|Timestamp|Stage|Import(?!V2)"
)


@pytest.fixture(scope="module")
def operations() -> dict[str, bool]:
    return registered_operations()


def test_of_all_operations_of_tensorflow_exactly_those_on_the_list_pass(
    tmp_path, operations, monkeypatch
):
    monkeypatch.setattr(saved_model, "_SHOWN", len(operations))
    graph = save_graph(tmp_path, *map(in_the_graph, operations))
    with pytest.raises(ModelFileError, match="do more than compute") as caught:
        saved_model.scan_saved_model(graph, "module")
    (refused,) = re.findall(r"TFFT_ALLOW_OPS=(\S+)", str(caught.value))
    assert set(operations) - set(refused.split(",")) == ALLOWED_OPERATIONS
    assert len(operations) > 1900 > 5 * len(ALLOWED_OPERATIONS)


def test_a_refusal_is_short_however_many_operations_it_is_about(tmp_path, operations):
    graph = save_graph(tmp_path, *map(in_the_graph, operations))
    with pytest.raises(ModelFileError, match=r"and \d{4} more") as caught:
        saved_model.scan_saved_model(graph, "module")
    assert len(str(caught.value)) < 1500


def test_no_operation_on_the_list_keeps_more_than_the_model_s_own_state(operations):
    stateful = {name for name in ALLOWED_OPERATIONS if operations[name]}
    assert not [name for name in stateful if not STATEFUL.fullmatch(name)]
    assert not [name for name in ALLOWED_OPERATIONS if REACHING_OUT.search(name)]
    assert not ALLOWED_OPERATIONS & CHECKPOINT_OPERATIONS


@pytest.mark.parametrize(
    "operation",
    [
        *("ReadFile", "WriteFile", "MatchingFiles", "ImmutableConst", "LoadAndRemapMatrix"),
        *("GenerateVocabRemapping", "InitializeTableFromTextFileV2", "TextLineDataset", "Abort"),
        *("CacheDatasetV2", "SnapshotDatasetV2", "DebugIdentity", "DebugIdentityV3", "PyFunc"),
        *("EagerPyFunc", "PyFuncStateless", "PrintV2", "CreateSummaryFileWriter", "WriteSummary"),
        *("RestoreV2", "SaveV2", "Restore", "RemoteCall", "XlaCallModule", "SymbolicGradient"),
    ],
)
def test_what_reaches_outside_is_not_on_the_list(operation, operations):
    assert operation in operations
    assert operation not in ALLOWED_OPERATIONS


def test_a_user_can_allow_more_for_a_while(monkeypatch):
    monkeypatch.setenv("TFFT_ALLOW_OPS", "ReadFile, ")
    with also_allowing(("WriteFile",)), also_allowing(["PyFunc"]):
        assert operations_of_user() == {"ReadFile", "WriteFile", "PyFunc"}
        assert environment_of_user() == {"TFFT_ALLOW_OPS": "PyFunc,ReadFile,WriteFile"}
    assert operations_of_user() == {"ReadFile"}
    monkeypatch.delenv("TFFT_ALLOW_OPS")
    assert environment_of_user() == {}
