"""What becomes a directory has a name by one rule, whoever gives it."""

import pytest

import tfft
from tfft.errors import ModelFileError, UsageError
from tfft.exports.serving.publish import publish
from tfft.runtime.info import ModelInfo
from tfft.system.files import read_json
from tfft.system.names import is_name

_NO_NAMES = ("../../x", "/tmp/x", "a/b", "..", "", "1", "-x", "a b", "a\nb", "a\n", "x" * 65, "é")


@pytest.mark.parametrize("text", _NO_NAMES)
def test_a_text_that_leads_elsewhere_or_that_no_server_takes_is_no_name(text):
    assert not is_name(text)


@pytest.mark.parametrize("text", ["a", "dogs_v2", "Own-Photos", "x" * 64])
def test_letters_digits_and_two_marks_are_a_name(text):
    assert is_name(text)


def _export(name, small_run):
    tfft.export(small_run, name=name)


def _compare(name, small_run):
    tfft.compare("head_only", "scratch", recipe="quickstart", name=name)


def _tune(name, small_run):
    tfft.tune("quickstart", name=name)


@pytest.mark.parametrize("command", [_export, _compare, _tune])
@pytest.mark.parametrize("name", ["../../x", "", "two words"])
def test_a_name_option_is_refused_before_anything_is_written(
    command, name, small_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"becomes a directory. Received: --name "):
        command(name, small_run)
    assert list(tmp_path.iterdir()) == []


def test_the_heads_of_a_model_from_others_have_names_too(small_run):
    said = read_json(small_run / "model.json")
    said["heads"] = {"../../x": said["heads"]["label"]}
    with pytest.raises(ModelFileError, match=r"model.json .* no head can have the name '../../x'"):
        ModelInfo.from_json(said, "model.json")


def test_a_published_version_is_a_number_from_1_on(exported, tmp_path):
    with pytest.raises(UsageError, match=r"number from 1 on\. Received: 0"):
        publish(exported.savedmodel, tmp_path / "models", version=0)
