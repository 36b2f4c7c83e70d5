"""From a backbone and heads to one Keras model, which can be cut at any block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfft.backbones.backbone import Backbone
from tfft.backbones.split import split
from tfft.config.data import ImageConfig
from tfft.config.model import HeadsConfig
from tfft.images.spec import PixelSpec
from tfft.model.adapter import InputAdapter, build_adapter
from tfft.model.heads import POOLINGS, Head, HeadSize, build_head
from tfft.model.preprocess import preprocess
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402


@dataclass(frozen=True, eq=False)
class Cut:
    """A model in two parts that share its layers; suffix after prefix is the whole model.

    Attributes:
        prefix: images float32 [batch, H, W, channels], 0..255, to one or more tensors; None:
            nothing is below the cut.
        suffix: those tensors (or the images) to a dict of outputs by head.
    """

    prefix: keras.Model | None
    suffix: keras.Model

    def below(self, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Returns the tensors at the cut for `inputs`, computed in inference mode.

        Without a prefix the inputs are the tensors at the cut.
        """
        if self.prefix is None:
            return tuple(inputs)
        return tuple(_as_list(self.prefix(inputs[0], training=False)))

    def above(self, tensors: Sequence[tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """Returns the output of each head for the tensors at the cut."""
        return self.suffix(tensors[0] if len(tensors) == 1 else list(tensors), training=training)


@dataclass(frozen=True, eq=False)
class Classifier:
    """A backbone with heads as one Keras model that carries its preprocessing.

    Attributes:
        model: images float32 [batch, H, W, channels], 0..255, to ``{head: output}``: see `Head`.
        adapter: makes RGB images at the backbone's size of other ones.
        block_weights: the variables of each block that gradients can train, in block order.
        head_weights: the variables of all heads that gradients can train.
    """

    model: keras.Model
    adapter: InputAdapter
    backbone: Backbone
    heads: dict[str, Head]
    poolings: dict[str, keras.layers.Layer]
    block_weights: tuple[tuple[keras.Variable, ...], ...]
    head_weights: tuple[keras.Variable, ...]

    def cut(self, frozen_blocks: int) -> Cut:
        """Cuts after the first `frozen_blocks` blocks of the backbone.

        With all blocks below it the cut lies behind the pooling: its tensors are features.
        """
        if frozen_blocks == 0:
            return Cut(None, self.model)
        images: Any = keras.Input(self.model.input_shape[1:], name="images")
        pixels = preprocess(self.adapter(images), self.backbone.spec.preprocessing)
        if frozen_blocks == len(self.backbone.blocks):
            activations = self.backbone.model(pixels)
            features = [pooling(activations) for pooling in self.poolings.values()]
            inputs: list[Any] = [keras.Input(t.shape[1:], dtype=t.dtype) for t in features]
            pooled = dict(zip(self.poolings, inputs, strict=True))
            return Cut(keras.Model(images, features), keras.Model(inputs, self._outputs(pooled)))
        below, above = split(self.backbone, frozen_blocks)
        if below is None or above is None:
            raise ValueError(f"no cut inside the backbone after {frozen_blocks} blocks")
        crossing = _as_list(below(pixels))
        inputs = [keras.Input(t.shape[1:], dtype=t.dtype) for t in crossing]
        activations = above(inputs if len(inputs) > 1 else inputs[0])
        pooled = {kind: pooling(activations) for kind, pooling in self.poolings.items()}
        return Cut(keras.Model(images, crossing), keras.Model(inputs, self._outputs(pooled)))

    def _outputs(self, pooled: Mapping[str, keras.KerasTensor]) -> dict[str, keras.KerasTensor]:
        return {name: head(pooled[head.config.pooling]) for name, head in self.heads.items()}

    @property
    def weights(self) -> tuple[keras.Variable, ...]:
        """Every variable that a gradient can train, from input to output."""
        blocks = (v for block in self.block_weights for v in block)
        return (*self.adapter.weights, *blocks, *self.head_weights)

    def layers(self, block: int) -> tuple[keras.layers.Layer, ...]:
        """The layers of one block, those inside other layers included."""
        return tuple(
            layer
            for outer in self.backbone.blocks[block].layers
            for layer in outer._flatten_layers()
        )

    def batch_norms(self, block: int) -> tuple[keras.layers.BatchNormalization, ...]:
        """The BatchNormalization layers of one block."""
        return tuple(
            layer
            for layer in self.layers(block)
            if isinstance(layer, keras.layers.BatchNormalization)
        )


def build_classifier(
    backbone: Backbone,
    heads: HeadsConfig,
    sizes: Mapping[str, HeadSize],
    image: ImageConfig,
    seed: int,
) -> Classifier:
    """Puts adapter, preprocessing, `backbone`, pooling and `heads` into one Keras model.

    Args:
        backbone: takes float32 [batch, height, width, 3].
        heads: by name; each becomes an output of the model.
        sizes: of each head, from the data.
        image: the input's size and channels, and how they become the backbone's.
        seed: of dropout.
    """
    backbone_px = backbone.model.input_shape[1]
    size_px = image.size_px or backbone_px
    adapter = build_adapter(size_px, image.channels, backbone_px, image.adapter)
    built = {
        name: build_head(name, config, sizes[name], seed + index)
        for index, (name, config) in enumerate(heads.items())
    }
    kinds = sorted({config.pooling for config in heads.values()})
    poolings = {kind: POOLINGS[kind](name=f"{kind}_pooling") for kind in kinds}
    images: Any = keras.Input((size_px, size_px, image.channels), name="images")
    activations = backbone.model(preprocess(adapter(images), backbone.spec.preprocessing))
    pooled = {kind: pooling(activations) for kind, pooling in poolings.items()}
    outputs = {name: head(pooled[head.config.pooling]) for name, head in built.items()}
    model = keras.Model(images, outputs, name="classifier")
    return Classifier(
        model,
        adapter,
        backbone,
        built,
        poolings,
        block_weights=tuple(_weights(block.layers) for block in backbone.blocks),
        head_weights=tuple(v for head in built.values() for v in head.weights),
    )


def pixel_spec(image: ImageConfig, default_size_px: int) -> PixelSpec:
    """Returns the exact definition of the pixels that a recipe's `image:` section stands for."""
    size = image.size_px or default_size_px
    return PixelSpec(
        size, size, image.fit, image.resize_px, image.interpolation, channels=image.channels
    )


def _weights(layers: tuple[keras.layers.Layer, ...]) -> tuple[keras.Variable, ...]:
    found = {id(v): v for layer in layers for v in layer.trainable_variables}
    return tuple(found.values())


def _as_list(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]
