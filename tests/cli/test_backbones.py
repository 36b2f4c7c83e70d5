"""`tfft backbones`."""

import json


def test_the_table_has_a_line_a_backbone_and_its_licence(tfft):
    done = tfft("backbones", "resnet50")
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if "ResNet50 " in line]
    assert "23.6" in line
    assert "2,048" in line
    assert "MIT" in line


def test_a_filter_without_a_match_names_the_nearest_and_exits_2(tfft):
    done = tfft("backbones", "ResNte50")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "tfft: no backbone has this in its name. Did you mean 'ResNet50'? Received: ResNte50\n"
    )


def test_json_has_what_a_recipe_and_a_reader_need(fresh_tfft, tmp_path):
    done = fresh_tfft("backbones", "MobileNetV2", "--json", KERAS_HOME=str(tmp_path))
    (backbone,) = json.loads(done.stdout)
    assert backbone["kind"] == "application"
    assert backbone["default_size_px"] == 224
    assert backbone["available"] is False
    assert backbone["obtain"].startswith("https://")
    assert backbone["blocks"][0] != backbone["blocks"][-1]


def test_only_those_on_this_machine_are_listed_when_asked_for(fresh_tfft, tmp_path):
    """The weights files of Keras's cache decide, read from $KERAS_HOME."""
    listed = json.loads(fresh_tfft("backbones", "VGG16", "--json", KERAS_HOME=str(tmp_path)).stdout)
    file = tmp_path / "models" / listed[0]["obtain"].rpartition("/")[2]
    arguments = ("backbones", "VGG", "--on-this-machine")
    assert "none" in fresh_tfft(*arguments, KERAS_HOME=str(tmp_path)).stderr
    file.parent.mkdir()
    file.touch()
    done = fresh_tfft(*arguments, "--json", KERAS_HOME=str(tmp_path))
    assert [backbone["name"] for backbone in json.loads(done.stdout)] == ["VGG16"]
