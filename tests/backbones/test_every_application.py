"""Every application: it builds as its catalog entry says, and can be cut at its blocks.

The smallest of each family is for the slow suite; the others are for the full one.
"""

import gc
from collections.abc import Iterator
from typing import NamedTuple

from tfft.system.tensorflow import keras, tf

import numpy as np
import pytest
from backbones.families import full_unless_smallest

from tfft.backbones.backbone import Backbone
from tfft.backbones.build import build_backbone
from tfft.backbones.graph import graph_nodes
from tfft.backbones.split import split
from tfft.catalog.backbones import backbone_specs
from tfft.config.model import ApplicationBackbone

APPLICATIONS = [
    pytest.param(spec, marks=full_unless_smallest(spec), id=spec.name)
    for spec in backbone_specs()
    if spec.kind == "application"
]
pytestmark = pytest.mark.slow


class Divided(NamedTuple):
    """A backbone, and what is below and above each end of a block inside it."""

    backbone: Backbone
    parts: list[tuple[keras.Model, keras.Model]]


@pytest.fixture(params=APPLICATIONS, scope="module")
def divided(request: pytest.FixtureRequest) -> Iterator[Divided]:
    spec = request.param
    config = ApplicationBackbone(kind="application", name=spec.name, weights="random")
    backbone = build_backbone(config, spec.min_size_px, seed=1)
    yield Divided(backbone, [split(backbone, end) for end in range(1, len(backbone.blocks))])
    keras.backend.clear_session()
    gc.collect()


@pytest.fixture(scope="module")
def backbone(divided: Divided) -> Backbone:
    return divided.backbone


def test_it_is_what_the_catalog_says(backbone: Backbone):
    spec, model = backbone.spec, backbone.model
    assert model.count_params() == spec.parameters
    assert model.output.shape[-1] == spec.feature_size
    last = model.output._keras_history.operation.name
    assert last in (spec.blocks[-1].end, spec.blocks[-1].otherwise)


def test_every_layer_and_parameter_lies_in_exactly_one_block(backbone: Backbone):
    operations = [op for block in backbone.blocks for op in block.operations]
    assert len({id(op) for op in operations}) == len(operations)
    assert {id(op) for op in operations} == {
        id(node.operation) for node in graph_nodes(backbone.model)
    }
    variables = [w for block in backbone.blocks for layer in block.layers for w in layer.weights]
    assert len(variables) == len(backbone.model.weights)
    assert {id(w) for w in variables} == {id(w) for w in backbone.model.weights}


def test_cut_in_two_at_any_block_end_it_computes_the_same(divided: Divided):
    """One pass gives the tensors at every cut; what is above each is run on them."""
    backbone, parts = divided
    size_px = backbone.model.input.shape[1]
    images = np.random.default_rng(0).uniform(-2, 2, (2, size_px, size_px, 3)).astype("float32")
    cuts = [prefix.outputs for prefix, _ in parts]
    everywhere = keras.Model(backbone.model.input, [*cuts, backbone.model.output])
    *below, whole = everywhere(images)
    assert np.ptp(whole) > 0
    allowed = 1e-6 * np.abs(whole).max()
    assert len(below) == len(parts) > 1
    for (_, suffix), tensors in zip(parts, below, strict=True):
        above = suffix(tensors if len(tensors) > 1 else tensors[0])
        np.testing.assert_allclose(above, whole, rtol=1e-5, atol=allowed, err_msg=suffix.name)


def test_every_block_end_divides_the_layers_in_two(divided: Divided):
    backbone = divided.backbone
    for frozen_blocks, parts in enumerate(divided.parts, start=1):
        of_blocks = (backbone.blocks[:frozen_blocks], backbone.blocks[frozen_blocks:])
        for part, blocks in zip(parts, of_blocks, strict=True):
            expected = {id(layer) for block in blocks for layer in block.layers if layer.variables}
            assert {id(layer) for layer in part.layers if layer.variables} == expected


def test_a_training_step_changes_the_first_and_the_last_block(backbone: Backbone):
    """Between them stochastic depth may leave a block out of a step."""
    size_px = backbone.model.input.shape[1]
    images = np.random.default_rng(0).uniform(-1, 1, (2, size_px, size_px, 3)).astype("float32")
    trained = [block.weights for block in backbone.blocks if block.weights]
    variables = [variable for weights in trained for variable in weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(backbone.model(images, training=True) ** 2)
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    assert all(gradient is not None for gradient in gradients)
    ends = [variable for weights in (trained[0], trained[-1]) for variable in weights]
    before = [variable.numpy() for variable in ends]
    keras.optimizers.SGD(1.0).apply(gradients, variables)
    changed = {
        id(variable)
        for variable, value in zip(ends, before, strict=True)
        if not np.array_equal(variable, value)
    }
    assert all(np.isfinite(variable.numpy()).all() for variable in ends)
    for weights in (trained[0], trained[-1]):
        assert changed & {id(variable) for variable in weights}
