"""What a server lets in, by its own rules: warm-up requests, and requests of any size.

The rules are those of TensorFlow Serving's configuration (`GetQueueOptions` in
``tensorflow_serving/servables/tensorflow/bundle_factory_util.h``, fields of `BatchingParameters` in
``session_bundle_config.proto``) and of TensorFlow's scheduler behind it (`AddQueue` and
`ValidateBatchTaskQueueCapacity` in
``tensorflow/core/kernels/batching_util/shared_batch_scheduler.h``). A warm-up request goes the way
of any other, and one that fails keeps the version from loading.
"""

import re

import pytest

from tfft.cli.main import run
from tfft.config.recipe import MAX_REQUEST_IMAGES, WarmUpConfig

FIELDS = {
    *("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"),
    *("enable_large_batch_splitting", "max_execution_batch_size"),
}


def _parameters(text: str) -> dict[str, int]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    fields: list[tuple[str, str]] = re.findall(r"^(\w+) \{ value: (\w+) \}$", text, re.M)
    assert len(fields) == len(lines)
    return {name: 1 if value == "true" else int(value) for name, value in fields}


def _refusal(parameters: dict[str, int], images: int, waiting: int = 0) -> str | None:
    """Says why a request is refused when `waiting` batches are in the queue; None: it is not."""
    limit = parameters["max_batch_size"]
    splits = parameters.get("enable_large_batch_splitting", 0)
    at_once = parameters.get("max_execution_batch_size", limit) if splits else limit
    if limit < 1 or parameters["max_enqueued_batches"] < 1 or parameters["num_batch_threads"] < 1:
        return "the queue cannot be made: nothing fits into it"
    if splits and limit < at_once:
        return "the queue cannot be made: input_batch_size_limit < max_execution_batch_size"
    if images > limit:
        return "task size is larger than maximum input batch size"
    if splits and images > (parameters["max_enqueued_batches"] - waiting) * at_once:
        return "the queue is full"
    return None


@pytest.fixture
def parameters(exported) -> dict[str, int]:
    path = exported.savedmodel.parent / "serving" / "batching_parameters.txt"
    return _parameters(path.read_text())


def test_all_lines_are_fields_with_values(parameters):
    assert set(parameters) == FIELDS


@pytest.mark.parametrize("images", [1, 32, 33, 64, 1000, MAX_REQUEST_IMAGES])
def test_requests_of_any_size_are_let_in(parameters, images):
    assert _refusal(parameters, images) is None


def test_every_warm_up_that_a_recipe_may_ask_for_loads(parameters):
    largest = WarmUpConfig(batch_sizes=(1, MAX_REQUEST_IMAGES))
    assert [_refusal(parameters, size) for size in largest.batch_sizes] == [None, None]


def test_more_than_that_is_refused_before_anything_is_written(small_run, tmp_path, capsys):
    too_many = f"export.warm_up.batch_sizes=[{MAX_REQUEST_IMAGES + 1}]"
    command = ["export", str(small_run), "--output", str(tmp_path / "models"), "--set", too_many]
    assert run(command) == 2
    assert f"less than or equal to {MAX_REQUEST_IMAGES}" in capsys.readouterr().err
    assert not (tmp_path / "models" / "colours").exists()


def test_no_more_is_computed_at_once_than_32(parameters):
    assert parameters["max_execution_batch_size"] == 32


def test_the_configuration_of_older_exports_would_have_refused():
    """It split nothing: a request of 33 failed, and a warm-up of 64 kept a version from loading."""
    old = {"max_batch_size": 32, "max_enqueued_batches": 100, "num_batch_threads": 4}
    assert (
        _refusal(old, 33)
        == _refusal(old, 64)
        == ("task size is larger than maximum input batch size")
    )
    assert _refusal(old | {"enable_large_batch_splitting": 1}, 33) is not None
    wrong = old | {"enable_large_batch_splitting": 1, "max_execution_batch_size": 64}
    assert "cannot be made" in str(_refusal(wrong, 1))


def test_a_large_request_waits_for_room_in_the_queue(parameters):
    assert _refusal(parameters, MAX_REQUEST_IMAGES, waiting=99) == "the queue is full"
