"""What lies beside a SavedModel for its server: parsed and run as it is written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tfft.exports.serving.bundle import FILES, write_bundle
from tfft.runtime.info import HeadInfo, OperatingPoint
from tfft.runtime.load import read_saved_model_info


@pytest.fixture
def bundle(exported) -> Path:
    return exported.savedmodel.parent / "serving"


def _model_config(path: Path):
    parsed = text_format.Parse(path.read_text(), ModelServerConfig())
    (config,) = parsed.model_config_list.config
    return config


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)


def test_an_export_has_the_files(bundle):
    assert sorted(path.name for path in bundle.iterdir()) == list(FILES)
    for file in FILES:
        assert "$name" not in (bundle / file).read_text()


def test_the_newest_version_is_served(bundle):
    config = _model_config(bundle / "models.config")
    assert (config.name, config.base_path) == ("colours", "/models/colours")
    assert config.model_version_policy.latest.num_versions == 1


def test_the_two_newest_versions_have_labels(exported, tmp_path):
    info = read_saved_model_info(exported.savedmodel)
    for versions, stable, canary in (([3], 3, 3), ([2, 10, 9], 9, 10)):
        write_bundle(tmp_path, info, versions)
        config = _model_config(tmp_path / "models-labels.config")
        assert dict(config.version_labels) == {"stable": stable, "canary": canary}
        served = config.model_version_policy.specific.versions
        assert sorted(served) == sorted({stable, canary})


def test_the_container_has_no_tag_that_nobody_looked_up(bundle):
    (service,) = yaml.safe_load((bundle / "docker-compose.yaml").read_text())["services"].values()
    assert service["image"] == "tensorflow/serving"


def test_the_container_serves_this_model_on_this_machine_only(bundle):
    (service,) = yaml.safe_load((bundle / "docker-compose.yaml").read_text())["services"].values()
    assert service["volumes"] == ["..:/models/colours:ro"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    named = [word.partition("=")[2] for word in service["command"] if "/models/" in word]
    for path in named:
        assert (bundle.parent / path.removeprefix("/models/colours/")).is_file()


@pytest.mark.slow
def test_the_calls_of_the_page_work_as_they_are_pasted(bundle, server, pictures, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(next(pictures.glob("red/*.jpg")).read_bytes())
    page = bundle / "README.md"
    rest, grpc = server.rest_url, server.grpc_url

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def at_test(place: re.Match) -> str:
        return (rest if place[0].endswith("8501") else grpc).split("/")[2]

    scripts = {language: _blocks(page, language) for language in ("sh", "python")}
    assert [len(found) for found in scripts.values()] == [1, 2]
    for language, blocks in scripts.items():
        for script in blocks:
            shell = ["sh", "-c"] if language == "sh" else [sys.executable, "-W", "ignore", "-c"]
            assert "probabilities" in run(*shell, re.sub(r"localhost:850\d", at_test, script))


def test_every_head_has_its_outputs_on_the_page(exported, tmp_path):
    from dataclasses import replace

    info = read_saved_model_info(exported.savedmodel)
    point = OperatingPoint("corgi", 0.25, "recall", 0.9)
    heads = {
        "breed": HeadInfo("classification", ("pug", "corgi"), "label", operating_points=(point,)),
        "place": HeadInfo("box", (), "box"),
        "age": HeadInfo("regression", (), "age"),
    }
    write_bundle(tmp_path, replace(info, heads=heads), [1])
    page = (tmp_path / "README.md").read_text()
    for output in ("breed_probabilities", "breed_logits", "place", "age", "unlikeness"):
        assert f"| `{output}` |" in page
    assert 'outputs["breed_probabilities"]' in page
    assert "class 1 applies above 0.25, which was chosen for a recall of at least 0.9" in page
    write_bundle(tmp_path, replace(info, heads={"age": heads["age"]}, unsure=None), [1])
    assert "print(outputs[0])" in (tmp_path / "README.md").read_text()
