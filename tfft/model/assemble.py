"""Assembles front, backbone and heads into one Keras model that can be cut at any block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfft.system.tensorflow import keras, tf

from tfft.backbones.backbone import Backbone, BatchNorm
from tfft.backbones.split import crossing_tensors, split
from tfft.catalog.image_size import ImageSize, image_size, sides
from tfft.config.data import ImageConfig
from tfft.config.model import HeadsConfig
from tfft.images.spec import GREY, PixelSpec
from tfft.model.front import Front, ImageFront, build_adapter, new_input
from tfft.model.head_size import HeadSize
from tfft.model.heads import Head, build_head, build_pooling


@dataclass(frozen=True, eq=False)
class Cut:
    """A model in two parts that share its layers; the suffix after the prefix is the whole model.

    Attributes:
        prefix: Model from the inputs to one or more tensors at the cut; None: nothing lies below
            the cut.
        suffix: Model from the tensors at the cut (or the inputs) to a dict of outputs by head.
    """

    prefix: keras.Model | None
    suffix: keras.Model

    def below(self, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Returns the tensors at the cut for `inputs`, computed in inference mode.

        Without a prefix the inputs themselves are the tensors at the cut.
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
        model: Model from inputs [batch, ...] as `front` takes them (images float32 [batch, H, W,
            channels], 0..255) to a dict of outputs by head; see `Head`.
        front: The layers from the model's input to the backbone's.
        backbone: The backbone.
        heads: The heads by name.
        poolings: The pooling layers by kind.
        block_weights: Trainable variables of each block, in block order.
        head_weights: Trainable variables of all heads.
    """

    model: keras.Model
    front: Front
    backbone: Backbone
    heads: dict[str, Head]
    poolings: dict[str, keras.layers.Layer]
    block_weights: tuple[tuple[keras.Variable, ...], ...]
    head_weights: tuple[keras.Variable, ...]

    def cut(self, frozen_blocks: int) -> Cut:
        """Cuts the model after the first `frozen_blocks` blocks of the backbone.

        With all blocks below, the cut lies after the pooling: its tensors are features.
        """
        if frozen_blocks == 0:
            return Cut(None, self.model)
        inputs = new_input(self.front)
        prepared = self.front(inputs)
        if frozen_blocks == len(self.backbone.blocks):
            activations = self.backbone.model(prepared)
            features = [pooling(activations) for pooling in self.poolings.values()]
            kept: list[Any] = [keras.Input(t.shape[1:], dtype=t.dtype) for t in features]
            pooled = dict(zip(self.poolings, kept, strict=True))
            return Cut(keras.Model(inputs, features), keras.Model(kept, self.outputs(pooled)))
        below, above = split(self.backbone, frozen_blocks)
        if below is None or above is None:
            raise ValueError(f"no cut inside the backbone after {frozen_blocks} blocks")
        crossing = _as_list(below(prepared))
        kept = [keras.Input(t.shape[1:], dtype=t.dtype) for t in crossing]
        activations = above(kept if len(kept) > 1 else kept[0])
        pooled = {kind: pooling(activations) for kind, pooling in self.poolings.items()}
        return Cut(keras.Model(inputs, crossing), keras.Model(kept, self.outputs(pooled)))

    def below(self, cuts: Sequence[int]) -> keras.Model:
        """Returns a model from the inputs to the tensors at several cuts, in the order of the cuts.

        Args:
            cuts: Number of blocks below each cut, at least 1.
        """
        inner = self.backbone.model
        blocks = len(self.backbone.blocks)
        found = [
            [inner.output] if cut == blocks else crossing_tensors(self.backbone, cut)
            for cut in cuts
        ]
        inputs = new_input(self.front)
        prepared = self.front(inputs)
        every = keras.Model(inner.input, [tensor for tensors in found for tensor in tensors])
        computed = iter(_as_list(every(prepared)))
        outputs: list[Any] = []
        for cut, tensors in zip(cuts, found, strict=True):
            of_cut = [next(computed) for _ in tensors]
            if cut == blocks:
                of_cut = [pooling(of_cut[0]) for pooling in self.poolings.values()]
            outputs += of_cut
        return keras.Model(inputs, outputs)

    def cut_shapes(self, frozen_blocks: int) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes, of one example, of the tensors that cross a cut; () without one."""
        if frozen_blocks == 0:
            return ()
        if frozen_blocks == len(self.backbone.blocks):
            activations = self.backbone.model.output.shape
            pooled = [p.compute_output_shape(activations) for p in self.poolings.values()]
            return tuple(tuple(shape[1:]) for shape in pooled)
        return tuple(tuple(t.shape[1:]) for t in crossing_tensors(self.backbone, frozen_blocks))

    def outputs(self, pooled: Mapping[str, keras.KerasTensor]) -> dict[str, keras.KerasTensor]:
        """Returns the output of each head, for features by the kind of their pooling."""
        return {name: head(pooled[head.config.pooling]) for name, head in self.heads.items()}

    @property
    def weights(self) -> tuple[keras.Variable, ...]:
        """All trainable variables, from input to output."""
        blocks = (v for block in self.block_weights for v in block)
        return (*self.front.weights, *blocks, *self.head_weights)

    def batch_norms(self, block: int) -> tuple[BatchNorm, ...]:
        """Returns the batch normalisations of one block that can adapt."""
        return self.backbone.blocks[block].batch_norms


def build_classifier(
    backbone: Backbone,
    heads: HeadsConfig,
    sizes: Mapping[str, HeadSize],
    image: ImageConfig,
    seed: int,
) -> Classifier:
    """Puts adapter, preprocessing, `backbone`, pooling and `heads` into one Keras model.

    Args:
        backbone: Backbone that takes float32 [batch, height, width, 3].
        heads: The `heads` section of a recipe; each head becomes an output of the model.
        sizes: Size of each head, from the data.
        image: The `image` section of a recipe: size and channels of the input, and the adapter.
        seed: Seed of the heads' layers.
    """
    _, *backbone_sides, _ = backbone.model.input_shape
    backbone_px = image_size(*backbone_sides)
    size_px = image.size_px or backbone_px
    adapter = build_adapter(size_px, image.channels, backbone_px, image.adapter)
    front = ImageFront(size_px, image.channels, adapter, backbone.spec.preprocessing)
    return assemble(front, backbone, heads, sizes, seed)


def assemble(
    front: Front,
    backbone: Backbone,
    heads: HeadsConfig,
    sizes: Mapping[str, HeadSize],
    seed: int,
) -> Classifier:
    """Puts `front`, `backbone`, pooling and `heads` into one Keras model.

    Args:
        front: Layers from the model's input to the backbone's.
        backbone: Backbone that returns activations [batch, ..., channels] or features [batch,
            channels].
        heads: The `heads` section of a recipe; each head becomes an output of the model.
        sizes: Size of each head, from the data.
        seed: Seed of the heads' layers.
    """
    rank = len(backbone.model.output_shape)
    built = {
        name: build_head(name, config, sizes[name], seed + index, spatial=rank == 4)
        for index, (name, config) in enumerate(heads.items())
    }
    kinds = sorted({config.pooling for config in heads.values()})
    poolings = {kind: build_pooling(kind, rank) for kind in kinds}
    inputs = new_input(front)
    activations = backbone.model(front(inputs))
    pooled = {kind: pooling(activations) for kind, pooling in poolings.items()}
    outputs = {name: head(pooled[head.config.pooling]) for name, head in built.items()}
    model = keras.Model(inputs, outputs, name="classifier")
    return Classifier(
        model,
        front,
        backbone,
        built,
        poolings,
        block_weights=tuple(block.weights for block in backbone.blocks),
        head_weights=tuple(v for head in built.values() for v in head.weights),
    )


def pixel_spec(image: ImageConfig, default_size_px: ImageSize) -> PixelSpec:
    """Returns the exact definition of the pixels that a recipe's `image` section asks for.

    Args:
        image: The `image` section of a recipe.
        default_size_px: Height and width in pixels where the section gives none.
    """
    return PixelSpec(
        *sides(image.size_px or default_size_px),
        image.fit,
        image.resize_px,
        image.interpolation,
        image.channels,
        image.fill or GREY,
    )


def _as_list(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]
