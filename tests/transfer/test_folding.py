"""Frozen BatchNormalization folded into convolutions: the same numbers and the same gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfft.model.assemble import Cut
from tfft.transfer.step.folding import FoldedConvolution, folded


def _norm(**arguments: object) -> layers.Layer:
    layer = layers.BatchNormalization(**arguments)
    layer.trainable = False
    return layer


def _network() -> keras.Model:
    """Each kind of convolution, and what stays as it is; one part is a model within the model."""
    inner_inputs = keras.Input((5, 5, 8))
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(inner_inputs)
    inner = keras.Model(inner_inputs, _norm(scale=False)(x), name="inner")
    inputs = keras.Input((11, 11, 3))
    x = layers.Conv2D(8, 3, 2, use_bias=False, kernel_regularizer="l2")(inputs)
    x = layers.ReLU()(_norm()(x))
    x = inner(x)
    grouped = layers.Conv2D(8, 1, groups=4)(x)
    x = layers.Add()([_norm(center=False)(grouped), grouped])
    x = layers.BatchNormalization(name="adapting")(layers.Conv2D(4, 1)(x))
    x = _norm()(layers.Conv2D(4, 1, activation="relu")(x))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = _network()
    generator = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return model


def test_outputs_and_gradients_are_the_same(network: keras.Model):
    images = tf.constant(np.random.default_rng(1).uniform(-1, 1, (2, 11, 11, 3)), tf.float32)
    folded_network = folded(Cut(None, network)).suffix
    found = [
        layer for layer in folded_network._flatten_layers() if type(layer) is FoldedConvolution
    ]
    assert len(found) == 3
    variables = [v.value for v in network.variables if "moving" not in v.path]
    results = []
    for model in (network, folded_network):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = model(images, training=False)
            loss = tf.reduce_sum(outputs**2) + tf.add_n(model.losses)
        results.append([outputs, *tape.gradient(loss, [images, *variables])])
    for one, other in zip(*results, strict=True):
        scale = np.abs(one).max()
        np.testing.assert_allclose(other / scale, one / scale, atol=1e-5)


def test_what_adapts_is_left_alone_and_no_variable_is_new(network: keras.Model):
    folded_network = folded(Cut(None, network)).suffix
    assert {id(v) for v in folded_network.variables} == {id(v) for v in network.variables}
    images = np.random.default_rng(1).uniform(-1, 1, (2, 11, 11, 3)).astype(np.float32)
    mean = network.get_layer("adapting").moving_mean
    before = mean.numpy()
    folded_network(images, training=False)
    np.testing.assert_array_equal(mean.numpy(), before)
    folded_network(images, training=True)
    assert np.abs(mean.numpy() - before).max() > 0
