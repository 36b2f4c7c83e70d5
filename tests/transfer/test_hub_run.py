"""Runs on a hub module: planned, trained over phases, stopped and resumed, usable elsewhere."""

import shutil
from pathlib import Path

from tfft.system.tensorflow import keras, tf

import numpy as np
import pytest
from hub_modules import save_module, small_network
from progresses import Interrupting

import tfft
from tfft.backbones.build import build_backbone
from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.cli.plan_table import plan_notes
from tfft.config.loading.load import load_recipe
from tfft.config.model import HubBackbone, LiteBackbone
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError
from tfft.exports.export import export
from tfft.system.progress import SILENT
from tfft.transfer.estimate import dry_run
from tfft.transfer.prepare import prepare
from tfft.transfer.probes.probe import probe_recipe
from tfft.transfer.resume import resume
from tfft.transfer.train import train

_LINEAR = {"solver": "linear", "inverse_regularization": [0.1]}
_LAST = {
    "unfreeze": {"last_blocks": 1},
    "epochs": 1,
    "learning_rate": 1e-3,
    "l2sp": {"alpha": 0.1},
    "ema_decay": 0.8,
}
_ALL = {"unfreeze": "all", "epochs": 2, "learning_rate": 1e-3, "batch_norm": "adapt"}


def recipe(
    pictures: Path, handle: Path, *phases: dict, heads: dict | None = None, **more
) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "module",
            "data": {"kind": "image_folder", "path": str(pictures), "validation_fraction": 0.25},
            "backbone": {"kind": "hub", "handle": str(handle)},
            "heads": heads or {"label": {}},
            "train": {"phases": phases, "batch_size": 6},
            **more,
        }
    )


def values(run: Path) -> dict[str, np.ndarray]:
    return {v.path: v.numpy() for v in load_keras_file(run / "model.keras").variables}


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_with_the_same_bits_and_exports_without_the_module(
    pictures, tmp_path
):
    handle = save_module(
        small_network(), tmp_path / "module", "training_argument", regularization=1e-3
    )
    wanted = recipe(pictures, handle, _LINEAR, _LAST, _ALL)
    train(wanted, run=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(wanted, run=tmp_path / "stopped", progress=Interrupting(5))
    resume(tmp_path / "stopped")
    whole, stopped = values(tmp_path / "whole"), values(tmp_path / "stopped")
    assert whole.keys() == stopped.keys()
    for path in whole:
        np.testing.assert_array_equal(whole[path], stopped[path], err_msg=path)
    shutil.rmtree(handle)
    written = export(tmp_path / "stopped", output=tmp_path / "exports", tflite={"timed": False})
    assert {check["top1_agreement"] for check in written.checks.values()} == {1.0}


def test_the_plan_freezes_blocks_and_says_that_the_module_runs_whole(pictures, tmp_path):
    handle = save_module(small_network(), tmp_path / "module", "training_argument")
    plan = dry_run(recipe(pictures, handle, _LINEAR, _LAST, _ALL))
    assert plan.runs_whole
    assert str(plan_notes(plan)).splitlines()[-1].startswith(f"{plan.backbone} runs whole")
    assert [(block.name, block.parameters) for block in plan.blocks] == [
        ("stem", 116),
        ("block_1", 266),
        ("block_2", 650),
    ]
    assert [phase.frozen_blocks for phase in plan.phases] == [3, 0, 0]
    assert [phase.trained_by_block for phase in plan.phases] == [
        (0, 0, 0),
        (0, 0, 650),
        (116, 266, 650),
    ]


def test_what_a_module_cannot_do_is_said_before_training(pictures, tmp_path):
    handle = save_module(small_network(), tmp_path / "module", "no_training")
    heads = {"label": {"pooling": "max"}}
    with pytest.raises(RecipeError) as caught:
        dry_run(recipe(pictures, handle, _ALL, heads=heads))
    text = str(caught.value)
    assert "heads.label.pooling: module@" in text
    assert "gives features that are pooled already" in text
    assert "train.phases.0.batch_norm: module@" in text
    assert "has no training mode" in text


def test_a_module_without_variables_trains_heads_only(pictures, tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec([None, 24, 24, 3], tf.float32)
    module.__call__ = tf.function(lambda x: tf.reduce_mean(x, [1, 2]), input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "module"))
    with pytest.raises(RecipeError, match=r"phases\.0\.unfreeze: module@.* no trainable variables"):
        dry_run(recipe(pictures, tmp_path / "module", _ALL))
    plan = dry_run(recipe(pictures, tmp_path / "module", _LINEAR))
    assert plan.phases[0].cached


def _lite0_module(directory: Path, size_px: int) -> Path:
    """EfficientNet-Lite0 with its ImageNet weights as a module of images in [0, 1]."""
    network = build_backbone(LiteBackbone(kind="lite"), size_px).model
    images = keras.Input((size_px, size_px, 3))
    scaled = keras.layers.Rescaling(255.0 / 128.0, -127.0 / 128.0)(images)
    return save_module(keras.Model(images, network(scaled)), directory, "training_argument")


def _dogs(shared_data: Path) -> dict[str, object]:
    """A tenth of the crops of Stanford Dogs."""
    archives = shared_data / "stanford_dogs_crops160"
    return {"data.archives": str(archives), "data.subset": True, "data.fraction": 0.1}


def _flowers(shared_data: Path) -> dict[str, object]:
    """A quarter of the photos of flowers that are for training."""
    flowers = str(shared_data / "flowers160")
    return {"data.path": flowers, "data.fraction": 0.25, "image.resize_px": 112}


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "data", "test_images"),
    [
        ("classifier", _flowers, 786),
        pytest.param("stanford_dogs_crops", _dogs, 8580, marks=pytest.mark.full),
    ],
)
def test_a_real_backbone_is_the_same_as_a_module_and_as_an_application(
    shared_data, tmp_path, name, data, test_images
):
    """A recipe on real photos, with two blocks trained after the head."""
    size_px = 96
    phases = (
        {"solver": "linear", "inverse_regularization": [0.03]},
        {"unfreeze": {"last_blocks": 2}, "epochs": 1, "learning_rate": 1e-4},
    )
    overrides = {**data(shared_data), "image.size_px": size_px, "train.phases": phases}
    application = load_recipe(name, overrides=overrides)
    handle = _lite0_module(tmp_path / "lite0", size_px)
    module = application.model_copy(
        update={"backbone": HubBackbone(kind="hub", handle=str(handle))}
    )
    built = [prepare(each, SILENT) for each in (module, application)]
    names = [[block.name for block in each.classifier.backbone.blocks] for each in built]
    assert names[0][1:-1] == names[1][1:-1]
    (photos,) = built[0].examples("train").exact_batches(16).take(1)
    features = [each.classifier.cut(len(names[0])).below([photos["inputs"]])[0] for each in built]
    np.testing.assert_allclose(features[0], features[1], atol=1e-4)
    runs = [
        train(module, run=tmp_path / "module"),
        train(application, run=tmp_path / "application"),
    ]
    evaluated = [tfft.evaluate(run.path) for run in runs]
    assert [each.examples for each in evaluated] == [test_images] * 2
    (low, high), top1 = (
        evaluated[1].metrics["label"]["top1_interval"],
        evaluated[0].metrics["label"]["top1"],
    )
    assert low <= top1 <= high
    assert low > 0.4


@pytest.mark.slow
def test_a_probe_is_of_the_output_since_a_module_runs_whole(pictures, tmp_path):
    handle = save_module(small_network(), tmp_path / "module", "no_training")
    probe = probe_recipe(recipe(pictures, handle, _LINEAR))
    (output,) = probe.blocks
    assert (probe.sufficient, probe.blocks_above) == (output, 0)
    assert output.share_of_compute == 1
