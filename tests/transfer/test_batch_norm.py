"""How fast the statistics of BatchNormalization follow a training from scratch."""

import keras
import numpy as np
import pytest

from tfft.config.loading.load import recipe_from_dict
from tfft.runs.run import create_run
from tfft.transfer.phases.session import prepare_session
from tfft.transfer.train import train

_ALL = {"unfreeze": "all", "learning_rate": 0.01, "batch_norm": "adapt"}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> dict:
    """A small backbone whose BatchNormalization has the momentum that Keras gives it."""
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, 4)(images)
    for _ in range(2):
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        x = keras.layers.Conv2D(4, 3, 2)(x)
    path = tmp_path_factory.mktemp("scratch") / "small.keras"
    keras.Model(images, x).save(path)
    return {"kind": "keras", "path": str(path), "input_range": (-1, 1), "weights": "random"}


def recipe_of(pictures, backbone: dict, *phases: dict):
    return recipe_from_dict(
        {
            "name": "norms",
            "data": {"kind": "image_folder", "path": str(pictures)},
            "image": {"size_px": 32},
            "backbone": backbone,
            "train": {"phases": list(phases), "batch_size": 4},
        }
    )


def norms_of(pictures, run, backbone: dict, *phases: dict) -> list[keras.layers.Layer]:
    """The BatchNormalization layers as the phases would find them."""
    recipe = recipe_of(pictures, backbone, *phases)
    training = prepare_session(recipe, create_run(recipe, run))
    training.history.close()
    blocks = range(len(training.classifier.backbone.blocks))
    return [norm for block in blocks for norm in training.classifier.batch_norms(block)]


def momenta(norms) -> set[float]:
    return {norm.momentum for norm in norms}


def test_from_scratch_they_average_over_a_tenth_of_the_steps(pictures, scratch, tmp_path):
    frozen = {**_ALL, "batch_norm": "frozen", "steps": 700}
    phases = ({**_ALL, "steps": 150}, frozen, {**_ALL, "steps": 50})
    assert momenta(norms_of(pictures, tmp_path / "run", scratch, *phases)) == {0.95}


def test_so_nothing_is_left_of_where_they_began(pictures, scratch, tmp_path):
    norm = norms_of(pictures, tmp_path / "run", scratch, {**_ALL, "steps": 100})[0]
    norm.trainable = True
    images = np.full((4, 2, 2, norm.moving_mean.shape[0]), 7.0, np.float32)
    for _ in range(100):
        norm(images, training=True)
    np.testing.assert_allclose(norm.moving_mean, 7.0, rtol=1e-3)
    np.testing.assert_allclose(norm.moving_variance, 0.0, atol=1e-3)


def test_they_average_over_two_steps_or_more(pictures, scratch, tmp_path):
    assert momenta(norms_of(pictures, tmp_path / "run", scratch, {**_ALL, "steps": 3})) == {0.5}


@pytest.mark.slow
def test_what_was_trained_has_the_momentum_of_its_backbone_again(pictures, scratch, tmp_path):
    recipe = recipe_of(pictures, scratch, {**_ALL, "steps": 1})
    run = train(recipe, run=tmp_path / "run")
    layers = keras.saving.load_model(run.path / "model.keras", compile=False)._flatten_layers()
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert momenta(norms) == {0.99}


@pytest.mark.parametrize(
    ("pretrained", "phase"),
    [
        pytest.param(False, {**_ALL, "steps": 5000}, id="long enough"),
        pytest.param(False, {**_ALL, "steps": 50, "batch_norm": "frozen"}, id="frozen"),
        pytest.param(True, {**_ALL, "steps": 50}, id="pretrained"),
    ],
)
def test_otherwise_they_keep_their_momentum(pictures, scratch, tmp_path, pretrained, phase):
    backbone = {**scratch, "weights": "pretrained"} if pretrained else scratch
    assert momenta(norms_of(pictures, tmp_path / "run", backbone, phase)) == {0.99}
