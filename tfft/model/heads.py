"""Heads: the new layers for one task, and the loss that trains them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfft.config.model import HeadConfig
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

POOLINGS = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}

# Targets [batch] and logits float32 [batch, classes] to losses float32 [batch].
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True, eq=False)
class Head:
    """The new layers for one task."""

    name: str
    config: HeadConfig
    outputs: int
    layers: tuple[keras.layers.Layer, ...]

    @property
    def dense(self) -> Any:
        """The `keras.layers.Dense` from features to logits; Keras types its weights as optional."""
        return self.layers[-1]

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns logits float32 [batch, outputs] of features [batch, feature_size]."""
        for layer in self.layers:
            features = layer(features)
        return features


def build_head(name: str, config: HeadConfig, outputs: int, seed: int) -> Head:
    """Builds a head of `outputs` classes; its dense layer starts at zero.

    Zero weights give every class the same probability and so a first gradient that is not noise
    through the backbone. Logits are float32 under every dtype policy.
    """
    layers = []
    if config.dropout > 0:
        layers.append(keras.layers.Dropout(config.dropout, seed=seed, name=f"{name}_dropout"))
    layers.append(
        keras.layers.Dense(
            outputs, kernel_initializer="zeros", dtype="float32", name=f"{name}_logits"
        )
    )
    return Head(name, config, outputs, tuple(layers))


def training_loss(head: Head) -> Loss:
    """Returns the loss that trains `head`: cross-entropy with its label smoothing."""
    return _cross_entropy(head.outputs, head.config.label_smoothing)


def validation_loss(head: Head) -> Loss:
    """Returns the loss that validation reports: plain cross-entropy, comparable between recipes."""
    return _cross_entropy(head.outputs, 0.0)


def _cross_entropy(classes: int, label_smoothing: float) -> Loss:
    loss: Any = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=label_smoothing, reduction="none"
    )

    def losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return loss(tf.one_hot(labels, classes), logits)

    return losses
