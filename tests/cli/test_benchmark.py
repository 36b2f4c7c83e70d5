"""`tfft benchmark` as a user runs it."""

import json

import pytest

import tfft as tfft_of_python
from tfft.errors import ModelFileError
from tfft.runtime import timing


def test_a_table_has_a_row_for_each_batch_and_number_of_threads(tfft, exported):
    path = exported.tflite["float32"]
    done = tfft("benchmark", path, "--batch", "1,4", "--threads", "1", "--seconds", "0.02")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line[-1:].isdigit()]
    assert [len(row) for row in rows] == [9, 5]
    assert [row[-5] for row in rows] == ["1", "4"]


def test_json_has_the_documented_form(tfft, exported):
    path = exported.tflite["float32"]
    done = tfft("benchmark", path, "--threads", "1", "--seconds", "0.02", "--json")
    (timed,) = json.loads(done.stdout)
    assert timed["kind"] == "tflite"
    assert timed["threads"] == 1
    assert {"cold_s", "load_s", "first_answer_s", "memory_mb"} <= set(timed)
    (batch,) = timed["batches"]
    assert set(batch) == {
        *("batch_size", "calls", "p50_ms", "p90_ms", "p99_ms", "images_per_second")
    }


def test_tflite_files_are_timed_without_tensorflow(fresh_tfft, exported, tmp_path):
    """A tensorflow that cannot be imported comes first on the path."""
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('imported')")
    path = exported.tflite["float32"]
    done = fresh_tfft("benchmark", path, "--threads", "1", "--seconds", "0.02")
    assert done.returncode == 0, done.stderr


def test_a_model_that_is_not_there_is_told_before_others_are_timed(exported, monkeypatch):
    def time_model(*_, **__):
        pytest.fail("it was timed")

    monkeypatch.setattr(timing, "time_model", time_model)
    with pytest.raises(ModelFileError, match=r"gone\.tflite"):
        tfft_of_python.benchmark([exported.tflite["float32"], "gone.tflite"])


def test_numbers_that_are_none_are_named(tfft):
    done = tfft("benchmark", "a.tflite", "--batch", "1,x")
    assert done.returncode == 2
    assert "Received: 1,x" in done.stderr
