"""Solved heads trained again in the model that an earlier run kept: the run of TensorFlow."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from drawn_scenes import scenes_recipe, write_scenes
from PIL import Image
from shapes import LINEAR, shapes_recipe, small_backbone, write_backbone, write_photos

from tfft.cache.templates import template_directory
from tfft.config.loading.load import dump_recipe
from tfft.config.recipe import Recipe
from tfft.errors import UsageError
from tfft.runtime.load import load_predictor
from tfft.system.formats import TEMPLATE
from tfft.system.names import UNLIKENESS
from tfft.system.progress import SILENT
from tfft.transfer.description import load_of_recipe
from tfft.transfer.resume import resume
from tfft.transfer.start import train
from tfft.transfer.template import template_for, template_key
from tfft.transfer.train import train as train_with_tensorflow

_SAME = ("plan.json", "recipe.yaml", "backbone.json", "splits.csv", "validation_before_refit.npz")
_PROGRAM = """
import sys
from pathlib import Path
from tfft.config.loading.load import load_recipe
from tfft.transfer.start import train
train(load_recipe(Path(sys.argv[1])), run=Path(sys.argv[2]))
print("tensorflow" in sys.modules)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and a run on them, and the cache that it leaves."""
    root = tmp_path_factory.mktemp("again")
    (root / "photos").mkdir()
    write_backbone(write_photos(root / "photos"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFFT_CACHE_DIR", str(root / "cache"))
        patch.setenv("TFFT_ENGINE", "auto")
        train(_recipe(root), run=root / "first")
    return root


@pytest.fixture
def copy(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TFFT_ENGINE", "auto")
    return tmp_path


def _recipe(root: Path, **changes: object) -> Recipe:
    recipe = shapes_recipe(root / "photos", {**LINEAR, "refit": True})
    backbone = recipe.backbone.model_copy(update={"path": str(root / "small.keras")})
    # Enough validation images for a threshold on what is unlike all images.
    data = {**recipe.data.model_dump(), "validation_fraction": 0.4}
    changed = {"backbone": backbone.model_dump(), "data": data, "heads": {"label": {}}, **changes}
    return Recipe.model_validate({**recipe.model_dump(), **changed})


def _require_equal_weights(one: Path, other: Path) -> None:
    models = [keras.saving.load_model(run / "model.keras", compile=False) for run in (one, other)]
    for variable, expected in zip(*(model.variables for model in models), strict=True):
        np.testing.assert_array_equal(variable, expected, err_msg=variable.path)


def _refused(*_: object, **__: object) -> None:
    raise AssertionError("TensorFlow was not needed")


def _without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfft.transfer.train.train", _refused)
    monkeypatch.setattr("tfft.transfer.train.train_in", _refused)


def test_a_run_that_is_trained_again_is_the_run_that_tensorflow_makes(
    place: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    # The backbone lies where it did: its path is a part of the recipe.
    _without_tensorflow(monkeypatch)
    recipe = _recipe(place)
    again, first = train(recipe, run=copy / "again"), place / "first"
    for name in _SAME:
        assert (again.path / name).read_bytes() == (first / name).read_bytes(), name
    _require_equal_weights(again.path, first)
    record = json.loads((again.path / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["engines"] == {"1": "xnnpack"}
    assert record.keys() == json.loads((first / "run.json").read_text()).keys()
    assert (
        json.loads((again.path / "model.json").read_text())["heads"]
        == (json.loads((first / "model.json").read_text())["heads"])
    )
    unsure = [json.loads((run / "model.json").read_text())["unsure"] for run in (again.path, first)]
    assert unsure[0] == unsure[1] and unsure[0]["threshold"] > 0
    metrics = json.loads((again.path / "metrics.json").read_text())
    assert metrics["validation"] == json.loads((first / "metrics.json").read_text())["validation"]
    assert resume(again.path).metrics == again.metrics


def test_what_it_answers_is_converted_and_agrees_with_keras(
    place: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    _relabel(place, copy)
    _without_tensorflow(monkeypatch)
    run = train(_relabelled(place, copy), run=copy / "again")
    photos = [file.read_bytes() for file in sorted((copy / "photos").glob("*/*.png"))[:20]]
    converted = load_predictor(run.path)
    assert converted.kind == "converted"
    of_keras = load_predictor(run.path, engine="keras").answers_from_bytes(photos)
    expected = of_keras["label"]
    first = load_predictor(place / "first", engine="keras").answers_from_bytes(photos)["label"]
    actual = converted.answers_from_bytes(photos)
    np.testing.assert_allclose(actual["label"], expected, atol=1e-4)
    np.testing.assert_allclose(actual[UNLIKENESS], of_keras[UNLIKENESS], rtol=1e-3)
    assert np.abs(first - expected).max() > 0.01


def _relabel(place: Path, copy: Path) -> None:
    for file in sorted((copy / "photos" / "disc").iterdir())[:5]:
        file.rename(copy / "photos" / "cross" / file.name)


def _relabelled(place: Path, copy: Path) -> Recipe:
    """The recipe with the photos of the copy, and the backbone where it was."""
    data = {**_recipe(place).data.model_dump(), "path": str(copy / "photos")}
    return _recipe(place, data=data)


def test_a_model_is_kept_for_heads_of_one_shape_on_one_backbone(place: Path, copy: Path):
    recipe = _recipe(place)
    data = load_of_recipe(recipe, SILENT)
    assert template_for(recipe, data) is not None

    def key(**changes: object) -> str | None:
        return template_key(_recipe(place, **changes), data)

    same = key()
    solved = {**LINEAR, "inverse_regularization": [0.1]}
    assert key(seed=7, train={"phases": [solved]}) == same
    assert key(image={"size_px": 40}) not in (None, same)
    assert key(unsure={"keep": None}) not in (None, same)
    assert key(unsure={"keep": 0.9}) == same
    assert key(heads={"label": {"pooling": "max"}}) not in (None, same)
    gradient = {"unfreeze": "none", "epochs": 2, "learning_rate": 0.01}
    for changes in (
        {"train": {"phases": [gradient]}},
        {"train": {"phases": [LINEAR, gradient]}},
        {"heads": {"label": {"dropout": 0.2}}},
        {"train": {"phases": [LINEAR], "mixed_precision": "mixed_bfloat16"}},
        {"train": {"phases": [LINEAR], "cache": {"engine": "openvino"}}},
        {"backbone": {"kind": "lite", "weights": "random"}},
    ):
        assert key(**changes) is None
    fewer = {name: names[:2] for name, names in data.class_names.items()}
    assert template_key(recipe, replace(data, class_names=fewer)) not in (None, same)
    nothing = {name: index for name, index in data.splits.items() if name != "validation"}
    assert template_key(recipe, replace(data, splits=nothing)) is None


def test_heads_that_are_too_large_to_be_solved_are_not_filled_in(
    place: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = _recipe(place)
    data = load_of_recipe(recipe, SILENT)
    monkeypatch.setattr("tfft.transfer.plan.too_large.memory_bytes", lambda: 1000)
    assert template_for(recipe, data) is None
    at_any_size = _recipe(place, train={"phases": [{**LINEAR, "when_too_large": "solve"}]})
    assert template_for(at_any_size, data) is not None


def test_a_wrong_engine_is_said_before_a_run_is_made(
    place: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TFFT_ENGINE", "kears")
    with pytest.raises(UsageError, match="Did you mean 'keras'"):
        train(_recipe(place), run=copy / "again")
    assert not (copy / "again").exists()


def _cut_off(entry: Path) -> None:
    content = (entry / "model.keras").read_bytes()
    (entry / "model.keras").write_bytes(content[:-1])


def _flip(entry: Path) -> None:
    content = bytearray((entry / "model.tflite").read_bytes())
    content[1000] ^= 1
    (entry / "model.tflite").write_bytes(content)


def _lead_out(entry: Path) -> None:
    record = json.loads((entry / "entry.json").read_text())
    record["files"] = {"../secret": {"size": 0, "sha256": ""}}
    (entry / "entry.json").write_text(json.dumps(record))


def test_a_model_that_says_other_things_than_are_asked_for_is_not_filled_in(
    place: Path, copy: Path
):
    (entry,) = template_directory().iterdir()
    record = entry / "entry.json"
    TEMPLATE.write(record, {**TEMPLATE.read(record), "values": {}})
    recipe = _recipe(place)
    assert template_for(recipe, load_of_recipe(recipe, SILENT)) is None


@pytest.mark.parametrize("damage", [_cut_off, _flip, _lead_out])
def test_a_damaged_model_counts_as_absent(place: Path, copy: Path, damage: Callable[[Path], None]):
    (entry,) = template_directory().iterdir()
    damage(entry)
    recipe = _recipe(place)
    assert template_for(recipe, load_of_recipe(recipe, SILENT)) is None
    assert not entry.exists()


class _Interrupting:
    """Progress that presses Ctrl-C when the head is solved."""

    def start(self, description: str, *_: object) -> "_Interrupting":
        if description.startswith("solving"):
            raise KeyboardInterrupt
        return self

    def advance(self, *_: object, **__: object) -> None: ...
    def close(self) -> None: ...
    def message(self, text: str) -> None: ...


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_from_its_beginning(place: Path, copy: Path):
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(_recipe(place), run=copy / "again", progress=_Interrupting())
    assert any("train --resume" in note for note in stopped.value.__notes__)
    record = json.loads((copy / "again" / "run.json").read_text())
    assert record["status"] == "interrupted"
    assert resume(copy / "again").status == "finished"
    _require_equal_weights(copy / "again", place / "first")


@pytest.mark.slow
def test_neither_tensorflow_nor_keras_is_imported_after_photos_are_relabelled(
    place: Path, copy: Path
):
    _relabel(place, copy)
    file = copy / "recipe.yaml"
    file.write_text(dump_recipe(_relabelled(place, copy)))
    command = [sys.executable, "-c", _PROGRAM, str(file), str(copy / "again")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


@pytest.mark.slow
def test_new_photos_get_the_features_of_a_run_without_a_cache(
    place: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    _add(copy)
    recipe = _relabelled(place, copy)
    with monkeypatch.context() as patch:
        _without_tensorflow(patch)
        again = train(recipe, run=copy / "again")
    monkeypatch.setenv("TFFT_CACHE_DIR", str(copy / "new cache"))
    _require_equal_weights(again.path, train_with_tensorflow(recipe, run=copy / "fresh").path)


def _add(copy: Path) -> None:
    for number, file in enumerate(sorted((copy / "photos" / "disc").iterdir())[:5]):
        turned = Image.open(file).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        turned.save(copy / "photos" / "disc" / f"new-{number}.png")


@pytest.mark.slow
def test_without_the_converted_backbone_new_photos_are_trained_on_all_the_same(
    place: Path, copy: Path
):
    _add(copy)
    shutil.rmtree(copy / "cache" / "converted")
    run = train(_relabelled(place, copy), run=copy / "again")
    assert run.status == "finished"
    assert (run.path / "checkpoints").is_dir()


@pytest.mark.slow
def test_heads_for_classes_labels_and_numbers_are_filled_in_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TFFT_ENGINE", "auto")
    (tmp_path / "scenes" / "pictures").mkdir(parents=True)
    manifest = write_scenes(tmp_path / "scenes" / "pictures")
    backbone = small_backbone(write_backbone(tmp_path / "scenes"))
    recipe = scenes_recipe(manifest, backbone, LINEAR)
    heads = {name: h for name, h in recipe.model_dump()["heads"].items() if h["kind"] != "box"}
    for head in heads.values():
        head["dropout"] = 0.0
    recipe = Recipe.model_validate({**recipe.model_dump(), "heads": heads})
    first = train(recipe, run=tmp_path / "first")
    _without_tensorflow(monkeypatch)
    again = train(recipe, run=tmp_path / "again")
    _require_equal_weights(again.path, first.path)
    assert again.metrics == first.metrics
    photos = [file.read_bytes() for file in sorted(manifest.parent.rglob("*.png"))[:8]]
    expected = load_predictor(again.path, engine="keras").answers_from_bytes(photos)
    answers = load_predictor(again.path).answers_from_bytes(photos)
    for name in heads:
        np.testing.assert_allclose(answers[name], expected[name], rtol=1e-3, atol=1e-4)
