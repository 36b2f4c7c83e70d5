"""`tfft backbones describe` and `check`, on a SavedModel."""

import json

import pytest
from hub_modules import save_module, small_network


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    path = tmp_path_factory.mktemp("modules") / "module"
    return save_module(small_network(), path, "training_argument")


def test_describe_says_what_a_recipe_needs_to_know(tfft, module):
    found = json.loads(tfft("backbones", "describe", module, "--json", timeout=120).stdout)
    assert (found["kind"], found["size_px"], found["output_shape"]) == ("hub", 24, [10])
    assert [block["name"] for block in found["blocks"]] == ["stem", "block_1", "block_2"]
    assert len(found["sha256"]) == 64


def test_what_is_no_backbone_is_one_line_with_the_nearest_name(tfft):
    done = tfft("backbones", "describe", "MobilNetV2")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("tfft: no backbone. Did you mean 'MobileNetV2'? Give a name that ")
    assert line.endswith(" Received: 'MobilNetV2'")


def test_describe_takes_arguments_of_a_name(tfft):
    done = tfft("backbones", "describe", "MobileNet:alpha=0.25", "--json", timeout=120)
    assert json.loads(done.stdout)["output_shape"][-1] == 256


def test_every_fault_of_what_is_set_is_named(tfft, module):
    done = tfft(
        *("backbones", "describe", module),
        *("--set", "backbone.input_range=[0, 2]"),
        *("--set", "backbone.sha256=abc"),
    )
    assert done.returncode == 2
    assert "backbone.input_range: must be [0, 1], [-1, 1] or [0, 255]. Received: [0" in done.stderr
    assert "backbone.sha256: must be 64 hexadecimal digits" in done.stderr


@pytest.mark.slow
def test_check_tries_everything_and_passes(tfft, module):
    done = tfft("backbones", "check", module, "--json", "-q", timeout=300)
    findings = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert [finding["what"] for finding in findings if finding["passed"]] == [
        "forward",
        "step of the heads",
        "step of everything",
        ".keras saved and loaded",
        "SavedModel",
        "TFLite float32",
        "step with BatchNorm adapt",
    ]


@pytest.mark.slow
def test_a_backbone_that_gives_nothing_fails_the_check_with_exit_3(tfft, tmp_path):
    network = small_network()
    for variable in network.trainable_variables:
        variable.assign(variable * 0.0)
    path = save_module(network, tmp_path / "dead", "no_training")
    done = tfft("backbones", "check", path, "-q", timeout=300)
    assert done.returncode == 3
    assert "features of different images differ by at most 0" in done.stdout
    assert "did not pass: forward" in done.stderr
