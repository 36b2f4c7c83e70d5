"""Heads: where they start, and what they give."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.config.model import BoxHead, ClassificationHead, MultiLabelHead, RegressionHead
from tfft.model.head_size import HeadSize, number_size
from tfft.model.heads import Head, build_head

_FEATURES = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
_ACTIVATIONS = np.random.default_rng(0).normal(size=(5, 3, 4, 6)).astype(np.float32)


def _box_head(**values) -> Head:
    return build_head("box", BoxHead(kind="box", **values), HeadSize(4), seed=1)


@pytest.mark.parametrize(
    ("config", "size", "start"),
    [
        (ClassificationHead(), HeadSize(3), [0, 0, 0]),
        (MultiLabelHead(kind="multi_label", target="tags"), HeadSize(2), [0, 0]),
        (RegressionHead(kind="regression", target="age"), HeadSize(1, 40.0, 8.0), [40]),
        (BoxHead(kind="box", pooling="avg"), HeadSize(4), [0.25, 0.25, 0.75, 0.75]),
    ],
)
def test_a_head_starts_without_an_opinion(config, size: HeadSize, start: list[float]):
    head = build_head("new", config, size, seed=0)
    np.testing.assert_array_equal(head(_FEATURES), [start] * 5)
    assert [v.name for v in head.weights] == ["kernel", "bias"]


def test_a_box_head_starts_at_the_middle_whatever_it_looks_at():
    np.testing.assert_array_equal(_box_head()(_ACTIVATIONS), [[0.25, 0.25, 0.75, 0.75]] * 5)


def test_a_number_is_in_the_unit_of_the_data():
    config = RegressionHead(kind="regression", target="age")
    head = build_head("age", config, HeadSize(1, mean=40.0, deviation=8.0), seed=0)
    head(_FEATURES)
    head.dense.bias.assign([-1.5])  # one and a half deviations below the mean
    np.testing.assert_allclose(head(_FEATURES), np.full((5, 1), 28.0))


def test_attention_is_a_share_of_the_positions_for_each_of_16_maps():
    head = _box_head()
    head(_ACTIVATIONS)
    features = _ACTIVATIONS
    for layer in head.layers[:-1]:
        features = layer(features)
    maps = features.numpy().reshape(5, 16, 3 * 4)
    assert (maps > 0).all()
    np.testing.assert_allclose(maps.sum(axis=-1), np.ones((5, 16)), rtol=1e-5)


def test_a_map_looks_where_its_kernel_points():
    """One channel marks one position, and one map follows it."""
    activations = np.zeros((1, 3, 4, 6), np.float32)
    activations[0, 2, 1, 5] = 1.0
    head = _box_head()
    head(activations)
    kernel = np.zeros((1, 1, 6, 16), np.float32)
    kernel[..., 5, 7] = 50.0
    head.layers[0].kernel.assign(kernel)
    features = activations
    for layer in head.layers[:-1]:
        features = layer(features)
    maps = features.numpy().reshape(16, 3, 4)
    assert maps[7, 2, 1] == pytest.approx(1.0)
    np.testing.assert_allclose(maps[0], np.full((3, 4), 1 / 12), rtol=1e-5)


def test_both_layers_of_a_grid_head_are_trained_and_the_seed_decides_its_start():
    heads = [build_head("box", BoxHead(kind="box"), HeadSize(4), seed) for seed in (1, 1, 2)]
    kernels = []
    for head in heads:
        head(_ACTIVATIONS)
        assert [v.path for v in head.weights] == [
            *("box_maps/kernel", "box_maps/bias", "box_logits/kernel", "box_logits/bias")
        ]
        kernels.append(head.layers[0].kernel.numpy())
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_dropout_comes_before_a_grid_head_looks():
    head = _box_head(dropout=0.5)
    assert isinstance(head.layers[0], keras.layers.Dropout)
    assert head(_ACTIVATIONS).shape == (5, 4)


@pytest.mark.parametrize("pooling", ["grid", "avg"])
def test_outputs_are_float32_in_half_precision(pooling: str):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        head = _box_head(pooling=pooling)
        features = _ACTIVATIONS if pooling == "grid" else _FEATURES
        assert head(tf.cast(features, tf.float16)).dtype == tf.float32
    finally:
        keras.config.set_dtype_policy(before)


def test_the_unit_of_a_number_is_that_of_the_training_data():
    size = number_size(np.array([[1.0], [np.nan], [5.0]], np.float32))
    assert (size.outputs, size.mean, size.deviation) == (1, 3.0, 2.0)


@pytest.mark.parametrize(
    ("values", "mean"), [([0.1] * 999, 0.1), ([7.0], 7.0), ([np.nan] * 3, 0.0), ([], 0.0)]
)
def test_numbers_that_do_not_vary_have_a_deviation_of_one(values: list[float], mean: float):
    size = number_size(np.array(values, np.float32).reshape(-1, 1))
    assert (size.mean, size.deviation) == (pytest.approx(mean), 1.0)
