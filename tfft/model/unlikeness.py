"""The distance of an example from those that were trained on, as an output of the Keras model."""

from typing import Any

from tfft.system.tensorflow import keras

import numpy as np

from tfft.model.assemble import Classifier
from tfft.model.front import new_input
from tfft.system.names import UNLIKENESS

# Features that are shorter have no direction.
_SHORTEST = 1e-12


def with_unlikeness(
    classifier: Classifier, pooling: str, mean: np.ndarray, axes: np.ndarray
) -> keras.Model:
    """Returns the model of a classifier with one more output, ``unlikeness`` [batch, 1], float32.

    It shares all layers of the classifier. Only layers and operations of Keras are added, so that
    a saved file loads without tfft and in safe mode.

    Args:
        classifier: The classifier, in float32.
        pooling: Kind of the pooling whose features are measured.
        mean: Mean of the features at unit length, [channels].
        axes: Axes along which the distance from it counts less, [channels, axes], as
            `tfft.transfer.unlikeness` fits them.
    """
    inputs = new_input(classifier.front)
    activations = classifier.backbone.model(classifier.front(inputs))
    pooled = {kind: layer(activations) for kind, layer in classifier.poolings.items()}
    outputs = {
        **classifier.outputs(pooled),
        UNLIKENESS: distance_of(pooled[pooling], mean, axes),
    }
    return keras.Model(inputs, outputs, name=classifier.model.name)


def distance_of(
    features: keras.KerasTensor, mean: np.ndarray, axes: np.ndarray
) -> keras.KerasTensor:
    """Returns the distance [batch, 1] of features [batch, ..., channels]; arguments as above."""
    positions = tuple(range(1, len(features.shape) - 1))
    vectors: Any = keras.ops.mean(features, axis=positions) if positions else features
    length: Any = keras.ops.maximum(keras.ops.sqrt(_sum_of_squares(vectors)), _SHORTEST)
    # The mean comes as a layer on a constant, so that a kernel holds it.
    centred = vectors / length + _dense(length / length, -mean[None], "unlikeness_mean")
    taken_off = _sum_of_squares(_dense(centred, axes, "unlikeness_axes"))
    squares: Any = keras.ops.maximum(_sum_of_squares(centred) - taken_off, 0.0)
    distance: Any = keras.ops.sqrt(squares)
    return distance


def without_unlikeness(model: keras.Model) -> keras.Model:
    """Returns a trained model with the outputs of its heads alone, sharing all layers."""
    outputs: Any = model.output
    if not isinstance(outputs, dict) or UNLIKENESS not in outputs:
        return model
    heads = {name: output for name, output in outputs.items() if name != UNLIKENESS}
    return keras.Model(model.input, heads, name=model.name)


def _dense(inputs: Any, kernel: np.ndarray, name: str) -> Any:
    layer: Any = keras.layers.Dense(  # Keras types its weights as optional
        kernel.shape[1], use_bias=False, dtype="float32", trainable=False, name=name
    )
    outputs = layer(inputs)
    layer.kernel.assign(kernel)
    return outputs


def _sum_of_squares(rows: Any) -> Any:
    return keras.ops.sum(keras.ops.square(rows), axis=-1, keepdims=True)
