"""`tfft export`: precisions, and what a refused file means."""

import json

import pytest

from tfft.cli.main import run
from tfft.exports.tflite import family as tflite_family
from tfft.exports.tflite.build import read_labels


@pytest.mark.slow
def test_precisions_and_batch_come_from_the_command_line(tfft, small_run):
    done = tfft(
        *("export", small_run, "--format", "tflite", "--tflite", "float32,int8"),
        *("--batch", "2", "--json", "--max-accuracy-drop", "0.5"),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout)
    assert set(written["tflite"]) == {"float32", "int8"}
    assert written["refused"] == {}


def test_a_precision_that_is_none_is_named(tfft, small_run):
    done = tfft("export", small_run, "--tflite", "float32,int4")
    assert done.returncode == 2
    assert "Did you mean" in done.stderr or "there are float32" in done.stderr


@pytest.mark.slow
def test_a_refused_file_is_exit_3_beside_the_table_of_the_others(
    small_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(tflite_family, "read_labels", _wrong_labels_of_float16)
    precisions = ["--format", "tflite", "--tflite", "float32,float16"]
    assert run(["export", str(small_run), "--output", str(tmp_path), *precisions]) == 3
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert ["TFLite", "float16", "refused"] in lines
    assert "colours_float32.tflite" in said.out
    assert "TFLite float16: its label file" in said.err
    assert [path.name for path in tmp_path.rglob("*.tflite")] == ["colours_float32.tflite"]


def _wrong_labels_of_float16(path, head):
    return () if "float16" in path.name else read_labels(path, head)
