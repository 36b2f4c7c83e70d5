"""Heads: the new layers for one task."""

from dataclasses import dataclass
from typing import Any

from tfft.system.tensorflow import keras

import numpy as np

from tfft.config.model import HeadConfig
from tfft.model.boxes import corners

# By kind and rank of the activations: over the positions of a picture, or of a sequence.
_POOLINGS = {
    ("avg", 4): keras.layers.GlobalAveragePooling2D,
    ("avg", 3): keras.layers.GlobalAveragePooling1D,
    ("max", 4): keras.layers.GlobalMaxPooling2D,
    ("max", 3): keras.layers.GlobalMaxPooling1D,
}
_MAPS = 16


@dataclass(frozen=True)
class HeadSize:
    """What the data decide about a head.

    Attributes:
        outputs: classes or labels; 4 for a box, 1 for a number.
        mean: of a number in the training data; deviation: likewise. A head of another kind has
            0 and 1.
        class_names: of the outputs; empty where they are no classes or labels.
    """

    outputs: int
    mean: float = 0.0
    deviation: float = 1.0
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Head:
    """The new layers for one task.

    Its output is logits [batch, classes] for classification and multi_label, a box
    (ymin, xmin, ymax, xmax) in 0..1 [batch, 4], or a number in the data's unit [batch, 1].

    Attributes:
        dense: from features to the numbers that become the output.
    """

    name: str
    config: HeadConfig
    size: HeadSize
    layers: tuple[keras.layers.Layer, ...]
    dense: Any  # a keras.layers.Dense; Keras types its weights as optional

    @property
    def weights(self) -> tuple[keras.Variable, ...]:
        """The variables that gradients can train."""
        return tuple(v for layer in self.layers for v in layer.trainable_variables)

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the output, float32, of features [batch, feature_size].

        With pooling "grid" they are activations [batch, height, width, channels].
        """
        for layer in self.layers:
            features = layer(features)
        return corners(features) if self.config.kind == "box" else features


def build_pooling(kind: str, rank: int) -> keras.layers.Layer:
    """Builds what makes features [batch, channels] of a backbone's output.

    Args:
        kind: ``avg`` or ``max``; ``grid`` leaves the activations as they are.
        rank: of the output, batch included; 2: it is features already.
    """
    return _POOLINGS.get((kind, rank), keras.layers.Identity)(name=f"{kind}_pooling")


def build_head(
    name: str, config: HeadConfig, size: HeadSize, seed: int, *, spatial: bool = True
) -> Head:
    """Builds a head; its dense layer starts at zero.

    Zero weights give every class the same probability (a number its mean, a box the middle of the
    picture) and so a first gradient that is not noise through the backbone. Outputs are float32
    under every dtype policy. Attention needs activations that are `spatial`, not features that are
    pooled already; the freeze plan refuses to do without.
    """
    dense = keras.layers.Dense(
        size.outputs, kernel_initializer="zeros", dtype="float32", name=f"{name}_logits"
    )
    layers: list[keras.layers.Layer] = [dense]
    if config.pooling == "grid" and spatial:
        layers = [*_attention(name, seed), dense]
    if config.dropout > 0:
        layers.insert(0, keras.layers.Dropout(config.dropout, seed=seed, name=f"{name}_dropout"))
    if config.kind == "regression":
        unit = keras.layers.Rescaling(
            size.deviation, size.mean, dtype="float32", name=f"{name}_unit"
        )
        layers.append(unit)
    return Head(name, config, size, tuple(layers), dense)


def _attention(name: str, seed: int) -> list[keras.layers.Layer]:
    """From activations [batch, h, w, channels] to maps of where to look, [batch, maps * h * w].

    Each map is a softmax over the positions. With a dense layer after it this is the spatial
    soft-argmax of Finn et al. 2016, "Deep Spatial Autoencoders", with learned coordinates.
    """
    initializer: Any = keras.initializers.GlorotUniform(seed=seed)
    maps = keras.layers.Conv2D(
        _MAPS, 1, kernel_initializer=initializer, dtype="float32", name=f"{name}_maps"
    )
    return [
        maps,
        keras.layers.Reshape((-1, _MAPS), dtype="float32", name=f"{name}_positions"),
        keras.layers.Permute((2, 1), dtype="float32", name=f"{name}_by_map"),
        keras.layers.Softmax(dtype="float32", name=f"{name}_attention"),
        keras.layers.Flatten(dtype="float32", name=f"{name}_flat"),
    ]


def number_size(values: np.ndarray) -> HeadSize:
    """Returns the size of a regression head for training targets float32 [n, 1], NaN if missing."""
    known = values[np.isfinite(values)].astype(np.float64)  # float32 finds equal values to deviate
    deviation = float(known.std()) if len(known) else 1.0
    return HeadSize(1, float(known.mean()) if len(known) else 0.0, deviation or 1.0)
