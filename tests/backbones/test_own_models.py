"""Runs and `.keras` files as backbones: cut before the classifier, in blocks, with weights."""

import json
import shutil
from pathlib import Path

from tfft.system.tensorflow import keras

import numpy as np
import pytest
from backbones.transfer_matrix import (
    SIZE_PX,
    WAYS,
    assert_only_the_unfrozen_changed,
    assert_saved_forms_agree,
    exported_in_this_suite,
    recipe_of,
    train_cell,
)
from keras import layers

from tfft.backbones.build import build_backbone
from tfft.backbones.split import split
from tfft.config.model import KerasBackbone
from tfft.errors import BackboneError, ModelFileError
from tfft.evaluation.evaluate import evaluate
from tfft.transfer.train import train

_LINEAR = {"solver": "linear", "inverse_regularization": [1.0]}
_SAMPLE = (
    ("file", "partly", "adapt"),
    ("file", "whole", "frozen"),
    ("run", "frozen", "frozen"),
    ("run", "whole", "adapt"),
)
_CELLS = [(source, *way) for source in ("file", "run") for way in WAYS]


def body(images, name: str = "stage"):
    """Three stages, of which the last is residual."""
    x = images
    for number, width in enumerate((4, 6, 8)):
        x = layers.Conv2D(width, 3, 2, padding="same", name=f"{name}{number}_conv")(x)
        x = layers.BatchNormalization(name=f"{name}{number}_norm")(x)
        x = layers.ReLU(name=f"{name}{number}_relu")(x)
    y = layers.Conv2D(8, 3, padding="same", name=f"{name}3_conv")(x)
    return layers.ReLU(name=f"{name}3_relu")(layers.Add(name=f"{name}3_add")([x, y]))


def classified(features, classes: int = 5):
    pooled = layers.GlobalAveragePooling2D()(features)
    return layers.Dense(classes, activation="softmax")(layers.Dropout(0.2)(pooled))


def flat_model() -> keras.Model:
    keras.utils.set_random_seed(3)
    images = keras.Input((SIZE_PX, SIZE_PX, 3))
    return keras.Model(images, classified(body(images)))


def nested_model() -> keras.Model:
    """As the guides of Keras make them: augmentation and a base within the model."""
    keras.utils.set_random_seed(3)
    inner = keras.Input((SIZE_PX, SIZE_PX, 3))
    base = keras.Model(inner, body(inner), name="base")
    base.trainable = False
    images = keras.Input((SIZE_PX, SIZE_PX, 3))
    x = layers.RandomFlip()(images)
    x = layers.Rescaling(1 / 255.0)(x)
    return keras.Model(images, classified(base(x, training=False)))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("own")
    flat_model().save(directory / "flat.keras")
    nested_model().save(directory / "nested.keras")
    return directory


def of(path: Path, **more) -> KerasBackbone:
    return KerasBackbone(kind="keras", path=str(path), **{"input_range": (0.0, 1.0), **more})


def pixels(seed: int = 0) -> np.ndarray:
    shape = (2, SIZE_PX, SIZE_PX, 3)
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


def test_a_file_is_cut_before_its_pooling_and_keeps_its_weights(files: Path):
    backbone = build_backbone(of(files / "flat.keras"))
    original = keras.saving.load_model(files / "flat.keras")
    features = keras.Model(original.inputs, original.get_layer("stage3_relu").output)
    assert backbone.model.output_shape == (None, 4, 4, 8)
    np.testing.assert_array_equal(
        backbone.model.predict(pixels(), verbose=0), features.predict(pixels(), verbose=0)
    )
    assert backbone.spec.preprocessing == "unit"
    assert backbone.spec.default_size_px == SIZE_PX


def test_its_blocks_end_where_the_resolution_changes_and_behind_residual_sums(files: Path):
    backbone = build_backbone(of(files / "flat.keras"))
    names = [block.name for block in backbone.blocks]
    assert names == ["stage0_relu", "stage1_relu", "stage3_add"]
    held = [id(w) for block in backbone.blocks for x in block.layers for w in x.weights]
    assert sorted(held) == sorted(id(w) for w in backbone.model.weights)
    prefix, suffix = split(backbone, 2)
    np.testing.assert_allclose(
        suffix.predict(prefix.predict(pixels(), verbose=0), verbose=0),
        backbone.model.predict(pixels(), verbose=0),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_model_within_the_model_is_opened_and_augmentation_left_out(files: Path):
    backbone = build_backbone(of(files / "nested.keras", input_range=(0.0, 255.0)))
    kinds = {type(layer).__name__ for layer in backbone.model.layers}
    assert not kinds & {"Functional", "RandomFlip"}
    assert [block.name for block in backbone.blocks][-1] == "stage3_add"
    assert all(weights for weights in (x.trainable_weights for x in backbone.model.layers[-3:-2]))
    base = keras.saving.load_model(files / "nested.keras").get_layer("base")
    np.testing.assert_allclose(
        backbone.model.predict(pixels() * 255, verbose=0),
        base.predict(pixels(), verbose=0),
        atol=1e-6,
    )


def test_another_size_and_random_weights_can_be_asked_for(files: Path):
    larger = build_backbone(of(files / "flat.keras"), 64)
    assert larger.model.output_shape == (None, 8, 8, 8)
    first, again, other = (
        build_backbone(of(files / "flat.keras", weights="random"), seed=s) for s in (1, 1, 2)
    )
    assert first.weights_digest == again.weights_digest != other.weights_digest
    assert first.weights_digest != larger.weights_digest


def test_tokens_and_pooled_features_are_cut_too(tmp_path: Path):
    images = keras.Input((SIZE_PX, SIZE_PX, 3))
    tokens = layers.Reshape((16, 16))(layers.Conv2D(16, 8, 8, name="patches")(images))
    tokens = layers.LayerNormalization(name="norm")(layers.Dense(16)(tokens))
    model = keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens)))
    model.save(tmp_path / "tokens.keras")
    assert build_backbone(of(tmp_path / "tokens.keras")).model.output_shape == (None, 16, 1, 16)
    model = keras.Model(images, layers.Dense(3)(tokens[:, 0]))
    model.save(tmp_path / "first.keras")
    assert build_backbone(of(tmp_path / "first.keras")).model.output_shape == (None, 16)


def test_the_place_of_the_cut_can_be_said(files: Path):
    backbone = build_backbone(of(files / "flat.keras", cut="stage1_relu"))
    assert backbone.model.output_shape == (None, 8, 8, 6)
    with pytest.raises(BackboneError, match=r"Did you mean 'stage1_relu'\? Received: 'stage1_rel'"):
        build_backbone(of(files / "flat.keras", cut="stage1_rel"))


def test_what_a_file_does_not_say_has_to_be_said(files: Path):
    with pytest.raises(BackboneError, match=r"input_range is missing: .* \[0, 1\], \[-1, 1\]"):
        build_backbone(of(files / "flat.keras", input_range=None))


def test_a_file_that_is_not_the_expected_one_is_not_loaded(files: Path):
    with pytest.raises(BackboneError, match="has the SHA-256"):
        build_backbone(of(files / "flat.keras", sha256="0" * 64))


def test_code_in_a_file_is_refused_by_its_layer(tmp_path: Path):
    images = keras.Input((SIZE_PX, SIZE_PX, 3))
    halved = layers.Lambda(lambda x: x / 2, name="halved")(images)
    keras.Model(images, classified(body(halved))).save(tmp_path / "lambda.keras")
    with pytest.raises(ModelFileError, match=r"Lambda layers.* is not loaded: halved"):
        build_backbone(of(tmp_path / "lambda.keras"))


def test_what_is_no_model_of_colour_images_is_refused(tmp_path: Path):
    numbers = keras.Input((7,))
    keras.Model(numbers, layers.Dense(2)(numbers)).save(tmp_path / "numbers.keras")
    with pytest.raises(BackboneError, match=r"one batch of colour images.*\(None, 7\)"):
        build_backbone(of(tmp_path / "numbers.keras"))
    with pytest.raises(BackboneError, match="must be a run directory"):
        build_backbone(of(tmp_path / "nothing.keras"))
    (tmp_path / "broken.keras").write_bytes(b"PK, but no archive")
    with pytest.raises(ModelFileError, match=r"is not a \.keras file"):
        build_backbone(of(tmp_path / "broken.keras"))


@pytest.fixture(scope="module")
def dogs(files: Path, pictures: Path, tmp_path_factory) -> Path:
    """A run that was trained from a file."""
    file = {"kind": "keras", "path": str(files / "flat.keras"), "input_range": [0, 1]}
    run = tmp_path_factory.mktemp("dogs") / "run"
    phases = ({"unfreeze": "all", "epochs": 2, "learning_rate": 0.01, "batch_norm": "adapt"},)
    return train(recipe_of(file, pictures, *phases), run=run).path


@pytest.mark.slow
def test_a_run_gives_exactly_its_backbone(dogs: Path, files: Path):
    before = build_backbone(of(files / "flat.keras"))
    after = build_backbone(KerasBackbone(kind="keras", path=str(dogs)))
    assert after.spec.preprocessing == before.spec.preprocessing
    assert [b.name for b in after.blocks] == [b.name for b in before.blocks]
    assert after.weights_digest != before.weights_digest
    inner = keras.saving.load_model(dogs / "model.keras").get_layer(after.model.name)
    np.testing.assert_array_equal(
        after.model.predict(pixels(), verbose=0), inner.predict(pixels(), verbose=0)
    )
    assert after.origin is not None
    assert after.origin.class_names == {"label": ("blue", "green", "red")}


def test_a_run_knows_its_pixels_and_its_cut(small_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    (run / "backbone.json").write_text("{}")
    with pytest.raises(BackboneError, match=r"input_range is for \.keras files from elsewhere"):
        build_backbone(of(run))


@pytest.mark.slow
def test_transfer_goes_on_from_run_to_run(dogs: Path, pictures: Path, tmp_path: Path):
    """Dogs to cats: the second run stands alone, names its source, and can be a source itself."""
    copy = shutil.copytree(dogs, tmp_path / "dogs")
    cats = train(
        recipe_of({"kind": "keras", "path": str(copy)}, pictures, _LINEAR), run=tmp_path / "cats"
    )
    origin = json.loads((cats.path / "backbone.json").read_text())["origin"]
    assert origin["path"] == str(copy)
    assert origin["class_names"] == {"label": ["blue", "green", "red"]}
    shutil.rmtree(copy)
    assert evaluate(cats.path, split="validation").examples > 0
    again = build_backbone(KerasBackbone(kind="keras", path=str(cats.path)))
    source = build_backbone(KerasBackbone(kind="keras", path=str(dogs)))
    assert again.weights_digest == source.weights_digest


@pytest.mark.slow
def test_a_head_can_start_as_the_classifier_of_the_run(dogs: Path, pictures: Path, tmp_path: Path):
    recipe = recipe_of(
        {"kind": "keras", "path": str(dogs)},
        pictures,
        {"unfreeze": "none", "epochs": 1, "learning_rate": 1e-12},
    )
    head = recipe.heads["label"].model_copy(update={"init": "source_classes"})
    run = train(recipe.model_copy(update={"heads": {"label": head}}), run=tmp_path / "run").path
    before, after = (keras.saving.load_model(r / "model.keras") for r in (dogs, run))
    for old, new in zip(before.get_weights(), after.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "unfreeze", "batch_norm"),
    [
        *_SAMPLE,
        *(pytest.param(*cell, marks=pytest.mark.full) for cell in _CELLS if cell not in _SAMPLE),
    ],
)
def test_every_way_of_training_keeps_what_it_should(
    source: str, unfreeze: str, batch_norm: str, files, dogs: Path, pictures, tmp_path, request
):
    file = {"kind": "keras", "path": str(files / "flat.keras"), "input_range": [0, 1]}
    backbone = file if source == "file" else {"kind": "keras", "path": str(dogs)}
    cell = train_cell(backbone, unfreeze, pictures, tmp_path / "run", batch_norm)
    assert_only_the_unfrozen_changed(cell, unfreeze, batch_norm)
    exported = exported_in_this_suite(unfreeze, request)
    assert_saved_forms_agree(cell, tmp_path, exported=exported)
