"""Heads: the new layers for one task, which may start as rows of the source's classifier."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfft.system.tensorflow import keras

import numpy as np

from tfft.backbones.source_classes import (
    has_source_classifier,
    source_classifier,
    source_names,
)
from tfft.config.model import BackboneConfig, HeadConfig
from tfft.model.boxes import corners
from tfft.model.head_size import HeadSize

# By kind and by rank of the activations: over the positions of an image, or of a sequence.
_POOLINGS = {
    ("avg", 4): keras.layers.GlobalAveragePooling2D,
    ("avg", 3): keras.layers.GlobalAveragePooling1D,
    ("max", 4): keras.layers.GlobalMaxPooling2D,
    ("max", 3): keras.layers.GlobalMaxPooling1D,
}
_MAPS = 16


@dataclass(frozen=True, eq=False)
class Head:
    """The new layers for one task.

    Its output is logits [batch, classes] for classification and multi_label, a box
    (ymin, xmin, ymax, xmax) in 0..1 [batch, 4], or a number in the data's unit [batch, 1].

    Attributes:
        name: Name of the head, and of its output in the model.
        config: Its section of the recipe.
        size: Its size, from the data.
        layers: Its layers, from features to output.
        dense: The dense layer among them, which gives the numbers that become the output.
    """

    name: str
    config: HeadConfig
    size: HeadSize
    layers: tuple[keras.layers.Layer, ...]
    dense: Any  # a keras.layers.Dense; Keras types its weights as optional

    @property
    def weights(self) -> tuple[keras.Variable, ...]:
        """The trainable variables."""
        return tuple(v for layer in self.layers for v in layer.trainable_variables)

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the output, float32.

        Args:
            features: Features [batch, feature_size]; with pooling ``grid`` activations [batch,
                height, width, channels].
        """
        for layer in self.layers:
            features = layer(features)
        return corners(features) if self.config.kind == "box" else features

    @property
    def starts_from_source(self) -> bool:
        """Whether the recipe asks for rows of the classifier of the backbone's source."""
        return self.config.kind == "classification" and self.config.init != "zeros"


def build_pooling(kind: str, rank: int) -> keras.layers.Layer:
    """Builds the layer from a backbone's output to features [batch, channels].

    Args:
        kind: ``avg`` or ``max``; ``grid`` leaves the activations unchanged.
        rank: Rank of the output with its batch; an output of rank 2 is features already.
    """
    return _POOLINGS.get((kind, rank), keras.layers.Identity)(name=f"{kind}_pooling")


def build_head(
    name: str, config: HeadConfig, size: HeadSize, seed: int, *, spatial: bool = True
) -> Head:
    """Builds a head, whose dense layer starts at zero.

    Zero weights give every class the same probability, a number its mean and a box the middle of
    the image, so that the first gradient through the backbone is not noise. Outputs are float32
    under every dtype policy.

    Args:
        name: Name of the head.
        config: Its section of the recipe.
        size: Its size, from the data.
        seed: Seed of dropout and of the attention of pooling ``grid``.
        spatial: Whether the backbone returns activations with positions, which the attention
            needs; the freeze plan refuses ``grid`` without them.
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
    """Returns layers from activations [batch, h, w, channels] to maps [batch, maps * h * w].

    Each map is a softmax over the positions, the weights of a place to look at.

    Source: With a dense layer after it this is the spatial soft-argmax of Finn et al. 2016, "Deep
    Spatial Autoencoders", with learned coordinates.
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


def source_start_faults(head: Head, backbone: BackboneConfig) -> Iterator[str]:
    """Yields why a head cannot start from the source's rows, where its recipe asks for them."""
    if not head.starts_from_source:
        return
    init = head.config.init
    if not has_source_classifier(backbone, head.name):
        which = {
            "source_classes": "a backbone whose classifier comes with its weights: "
            "EfficientNetLite0 with weights: imagenet, or a run with one classification",
            "run": "a backbone that is a finished run with one classification, or with one of this "
            "name",
        }[init]
        yield (
            f"{init} needs {which} (pooling: avg). "
            f"Received: {backbone.model_dump(mode='json', exclude_defaults=True)}"
        )
        return
    if head.config.pooling != "avg":
        yield (
            f"{init} needs pooling: avg, as the source's classifier has it. "
            f"Received: pooling: {head.config.pooling}"
        )
    known = source_classifier(backbone, head.name).class_names
    found, faults = _source_names(head, known)
    yield from faults
    if not found and not faults:
        yield (
            f"run: none of the classes is one that the run knows, such as {known[0]!r}. Received: "
            f"{head.size.class_names[0]!r}, …"
        )


def assign_source_rows(head: Head, backbone: BackboneConfig) -> tuple[str, ...]:
    """Sets the weights of a head without `source_start_faults` to the source's rows.

    A class that the source does not know starts as the mean of its rows: of logits only the
    differences matter, so that is where it is neither more nor less probable than the others are
    on the average.

    Returns:
        Names of the classes that the source does not know.
    """
    classifier = source_classifier(backbone, head.name)
    found, _ = _source_names(head, classifier.class_names)
    number = {name: position for position, name in enumerate(head.size.class_names)}
    kernel = np.repeat(classifier.kernel.mean(axis=1, keepdims=True), len(number), axis=1)
    bias = np.full(len(number), classifier.bias.mean(), np.float32)
    rows = classifier.rows(list(found.values()))
    places = [number[name] for name in found]
    kernel[:, places], bias[places] = rows.kernel, rows.bias
    head.dense.kernel.assign(kernel)
    head.dense.bias.assign(bias)
    return tuple(name for name in number if name not in found)


def _source_names(head: Head, known: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Returns the source's class of each class of a head, and a line for each fault."""
    return source_names(
        head.size.class_names,
        known,
        head.config.source_classes,
        others_are_new=head.config.init == "run",
    )
