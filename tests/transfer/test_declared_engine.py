"""An engine that a recipe names for what is frozen: an approximation that every run measures."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hub_modules import save_module, small_network
from progresses import Interrupting
from shapes import HEADS, LINEAR, shapes_recipe, weights_of, write_backbone, write_photos
from small_classifier import small_batch, small_classifier

from tfft.backbones.build import build_backbone
from tfft.cache.converted import Conversion
from tfft.cli.plan_table import plan_notes
from tfft.config.loading.load import recipe_from_dict
from tfft.config.model import ApplicationBackbone, BackboneConfig, HubBackbone, LiteBackbone
from tfft.config.recipe import Recipe
from tfft.config.train import CacheConfig
from tfft.errors import BackboneError, RecipeError, UsageError
from tfft.runtime.tflite import openvino
from tfft.runtime.tflite.runner import TfliteWorkers
from tfft.system.progress import SILENT
from tfft.transfer.description import load_of_recipe
from tfft.transfer.frozen import engine, function
from tfft.transfer.frozen.build import cut_contents
from tfft.transfer.frozen.engine import difference
from tfft.transfer.frozen.function import function_of, keras_outputs
from tfft.transfer.plan import engine_rule
from tfft.transfer.plan.plan import make_plan
from tfft.transfer.resume import resume
from tfft.transfer.train import train

_CACHE = CacheConfig(engine="openvino")
_AUGMENTED = {**HEADS, "augment": "flip"}
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed: openvino"
)


def _recipe(*phases: dict, **section: object) -> Recipe:
    values = {
        "name": "small",
        "data": {"kind": "digits"},
        "backbone": {"kind": "lite"},
        "train": {"phases": phases, "cache": {"engine": "openvino"}, **section},
    }
    return recipe_from_dict(values)


@pytest.fixture
def computes_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes OpenVINO one that computes in a precision: TFLite, rounded to it where it ends."""

    class Rounded(TfliteWorkers):
        def __init__(self, content: bytes, precision: str) -> None:
            super().__init__(content)
            self._dtype = tf.as_dtype(precision)

        def map(self, batches):
            for outputs in super().map(batches):
                yield tuple(tf.cast(tf.cast(o, self._dtype), tf.float32).numpy() for o in outputs)

    def change(precision: str) -> None:
        for module in (engine, engine_rule, function):
            monkeypatch.setattr(module, "openvino_precision", lambda: precision)
        monkeypatch.setattr(engine, "openvino_version", lambda: "1")
        monkeypatch.setattr(function, "OpenVinoWorkers", Rounded)

    return change


def test_the_plan_says_where_the_named_engine_computes_and_in_which_precision(computes_in):
    recipe = _recipe(LINEAR, _AUGMENTED, {**_AUGMENTED, "mix": {"kind": "mixup"}})

    def engines() -> list[tuple]:
        plan = make_plan(recipe, small_classifier(), {"train": 40, "validation": 10})
        assert "frozen part: OpenVINO" in plan_notes(plan).plain
        return [(phase.engine, phase.engine_reason) for phase in plan.phases]

    mixed = ("keras", "behind the mixing of images")
    computes_in("bfloat16")
    assert engines() == [("openvino", ""), ("openvino", ""), mixed]
    computes_in("float32")
    without = ("openvino", "in float32: this processor has no bfloat16")
    assert engines() == [without, without, mixed]


def test_it_is_an_engine_for_models_in_float32():
    with pytest.raises(RecipeError, match=r"train\.cache\.engine: .*train\.mixed_precision"):
        _recipe(LINEAR, mixed_precision="mixed_bfloat16")


def test_without_the_package_one_message_says_how_to_install_it_before_images_are_read(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("tfft.transfer.description.load_data", None)
    openvino._core.cache_clear()
    command = r"needs the extra `openvino`: .*pip install.*\[openvino\]"
    with pytest.raises(UsageError, match=command):
        load_of_recipe(_recipe(LINEAR), SILENT)


def test_what_different_engines_computed_is_never_mixed(computes_in):
    classifier, names = small_classifier(), set()
    for precision in ("bfloat16", "float32"):
        computes_in(precision)
        for recipe in (_recipe(LINEAR), _recipe(LINEAR, cache={})):
            (content,) = cut_contents(recipe, classifier, [2])
            names.add(json.dumps(content.identity, sort_keys=True))
    assert len(names) == 3


def test_the_difference_from_keras_is_that_of_the_farthest_tensor():
    expected = [np.array([[3.0, 4.0]]), np.array([[0.0], [2.0]])]
    found = difference([np.array([[3.0, 4.0]]), np.array([[0.0], [2.5]])], expected)
    assert found.rms == pytest.approx(np.sqrt(0.125) / np.sqrt(2))
    assert found.largest == pytest.approx(0.25)
    same = difference(expected, expected)
    assert (same.rms, same.largest) == (0, 0)


def test_a_backbone_that_it_cannot_compute_is_refused_by_name(
    computes_in, monkeypatch: pytest.MonkeyPatch
):
    (images,), _ = small_batch(4)
    prefix = small_classifier().below([2])
    computes_in("float32")
    monkeypatch.setattr(function, "_NOT_ROUNDING", {"float32": -1.0})
    with pytest.raises(BackboneError, match="cannot compute Small: it computes something else"):
        function_of(_CACHE, "Small", prefix, images.numpy())
    failed = Conversion(None, reason="no such operator")
    monkeypatch.setattr(function, "agreeing_conversion", lambda *_, **__: failed)
    with pytest.raises(BackboneError, match="Small: no such operator"):
        function_of(_CACHE, "Small", prefix, images.numpy())


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_photos(tmp_path_factory.mktemp("photos"))
    write_backbone(root)
    return root


def _record(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("phase", [HEADS, _AUGMENTED], ids=["cached", "in each epoch"])
def test_a_run_notes_how_far_its_features_are_from_those_of_keras(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computes_in, phase: dict
):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    computes_in("bfloat16")
    recipe = shapes_recipe(photos, phase, cache={"engine": "openvino"})
    for name in ("first", "from the cache"):
        train(recipe, run=tmp_path / name)
        record = _record(tmp_path / name)
        assert record["engines"] == {"1": "openvino bfloat16"}
        found = record["engine_differences"]["1"]
        assert found["examples"] == 32
        assert 1e-4 < found["rms"] <= 2**-8
        assert 0 < found["largest"] <= 2**-8
    exact = train(shapes_recipe(photos, phase), run=tmp_path / "exact")
    assert "engine_differences" not in _record(exact.path)


@pytest.mark.slow
def test_a_run_goes_on_with_the_engine_that_it_names_and_ends_with_the_same_bits(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computes_in
):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    computes_in("bfloat16")
    recipe = shapes_recipe(
        photos, _AUGMENTED, checkpoint_seconds=1e-9, cache={"engine": "openvino"}
    )
    whole = weights_of(train(recipe, run=tmp_path / "whole").path)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run=tmp_path / "cut", progress=Interrupting(3))
    again = weights_of(resume(tmp_path / "cut").path)
    for name, expected in whole.items():
        np.testing.assert_array_equal(again[name], expected, err_msg=name)


_BACKBONES: dict[str, BackboneConfig] = {
    "lite": LiteBackbone(kind="lite", weights="random"),
    **{
        name: ApplicationBackbone(kind="application", name=name, weights="random")
        for name in ("MobileNetV2", "ResNet50", "ConvNeXtTiny")
    },
}


@pytest.mark.slow
@needs_openvino
@pytest.mark.parametrize(
    "name",
    [
        *("lite", "MobileNetV2", "a module of TF Hub"),
        # Their files are large: one of them takes 4.6 GB with all that is converted on the way.
        *(pytest.param(name, marks=pytest.mark.full) for name in ("ResNet50", "ConvNeXtTiny")),
    ],
)
def test_openvino_computes_what_keras_does(name: str, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    size_px = 24 if name not in _BACKBONES else 64
    config = _BACKBONES.get(name)
    if config is None:
        module = save_module(small_network(), tmp_path / "module", "training_argument")
        config = HubBackbone(kind="hub", handle=str(module))
    prefix = build_backbone(config, size_px, seed=0).model
    images = np.random.default_rng(0).uniform(-1, 1, (7, size_px, size_px, 3)).astype(np.float32)
    computed = function_of(_CACHE, name, prefix, images)
    assert computed.engine == f"openvino {openvino.openvino_precision()}"
    batches = list(computed([images[:3], images[3:]]))
    actual = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    found = difference(actual, keras_outputs(prefix, images))
    rounding = {"float32": 1e-4, "bfloat16": 0.03}[openvino.openvino_precision()]
    assert 0 < found.rms < rounding


@pytest.mark.slow
@needs_openvino
def test_openvino_is_imported_without_its_telemetry(tmp_path: Path):
    program = (
        "import sys; from tfft.runtime.tflite.openvino import openvino_precision; "
        "openvino_precision(); "
        "print(*(name in sys.modules for name in ('openvino_telemetry', 'tensorflow')))"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "CI": "", "TF_BUILD": ""}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False False"
    assert not list(tmp_path.iterdir())
