"""A built backbone and its blocks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tfft.system.tensorflow import keras

from tfft.backbones.graph import ancestors, graph_nodes
from tfft.catalog.spec import BackboneSpec, BlockSpec


class BatchNorm(Protocol):
    """A batch normalisation, Keras's own or a module's.

    Attributes:
        trainable: whether training normalises by the batch and moves the statistics.
    """

    trainable: bool
    moving_mean: Any
    moving_variance: Any


@dataclass(frozen=True, eq=False)
class Part:
    """The smallest piece of a block that a recipe can name: a layer, or variables of one scope.

    Attributes:
        names: Its own, then those of what it lies in.
        weights: The variables that gradients can train, those of parts inside it included.
        batch_norm: The batch normalisation that it is, if it is one that can adapt.
    """

    names: tuple[str, ...]
    weights: tuple[keras.Variable, ...] = field(repr=False)
    batch_norm: BatchNorm | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Block:
    """A named stage of a backbone.

    Attributes:
        name: From its spec, or found in a module.
        parts: What of it a recipe can name, inputs first.
        operations: Layers and weightless operations (`x + y`), inputs first; empty where the
            backbone is one opaque function.
    """

    name: str
    parts: tuple[Part, ...] = field(repr=False)
    operations: tuple[keras.Operation, ...] = field(default=(), repr=False)

    @property
    def layers(self) -> tuple[keras.Layer, ...]:
        """The layers of the block, inputs first."""
        return tuple(op for op in self.operations if isinstance(op, keras.Layer))

    @property
    def weights(self) -> tuple[keras.Variable, ...]:
        """The variables that gradients can train, each once."""
        return tuple({id(v): v for part in self.parts for v in part.weights}.values())

    @property
    def batch_norms(self) -> tuple[BatchNorm, ...]:
        """The batch normalisations that can adapt."""
        return tuple(part.batch_norm for part in self.parts if part.batch_norm is not None)


@dataclass(frozen=True)
class Origin:
    """The trained model that a backbone was cut from.

    Attributes:
        path: A run directory or a `.keras` file.
        sha256: Of the `.keras` file.
        class_names: Of its heads with classes, by head.
    """

    path: str
    sha256: str
    class_names: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained (or random) body without classifier.

    Attributes:
        spec: Its catalog entry, or what its file says in place of one.
        model: Functional; takes preprocessed pixels, float32 [batch, height, width, 3], and gives
            the last activations, float32 [batch, height', width', channels], or features that are
            pooled already, float32 [batch, channels].
        blocks: From input to output; each layer of the model lies in exactly one.
        weights_digest: SHA-256 of the weights as built, in hexadecimal.
        arguments: The documented builder arguments of a backbone of the catalog.
        origin: The run or file that the weights come from, if they are one's own.
        source_sha256: of the files of a module, as a recipe can pin it; None for other kinds.
    """

    spec: BackboneSpec = field(repr=False)
    model: keras.Model
    blocks: tuple[Block, ...]
    weights_digest: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None
    source_sha256: str | None = None

    @property
    def opaque(self) -> bool:
        """Whether it is one function that runs whole: no cut lies between its blocks."""
        return not all(block.operations for block in self.blocks)


def find_blocks(model: keras.Model, specs: tuple[BlockSpec, ...]) -> tuple[Block, ...]:
    """Divides the model into blocks: the ancestors of each block's end that are not taken yet.

    The last block gets whatever is left. A block that an end leaves empty, since an earlier one
    holds all of it, is a fault of the catalog.

    Raises:
        ValueError: The catalog does not fit the model.
    """
    nodes = graph_nodes(model)
    by_name = {node.operation.name: node.operation for node in nodes}
    left = {id(node.operation): node.operation for node in nodes}
    blocks = []
    for spec in specs[:-1]:
        end = by_name.get(spec.end) or by_name.get(spec.otherwise or "")
        if end is None:
            raise ValueError(f"{model.name} has no layer {spec.end!r} to end block {spec.name!r}")
        own = {id(operation) for operation in ancestors(nodes, end)}
        blocks.append(_block(spec.name, _take(left, own)))
    blocks.append(_block(specs[-1].name, tuple(left.values())))
    empty = [block.name for block in blocks if not block.operations]
    if empty:
        raise ValueError(f"blocks of {model.name} without layers: {', '.join(empty)}")
    return tuple(blocks)


def _take(left: dict[int, keras.Operation], wanted: set[int]) -> tuple[keras.Operation, ...]:
    taken = [key for key in left if key in wanted]
    return tuple(left.pop(key) for key in taken)


def _block(name: str, operations: tuple[keras.Operation, ...]) -> Block:
    layers = (operation for operation in operations if isinstance(operation, keras.Layer))
    return Block(name, tuple(part for layer in layers for part in _parts(layer)), operations)


def _parts(layer: keras.Layer, around: tuple[str, ...] = ()) -> Iterator[Part]:
    """Yields a layer and the layers inside it."""
    names = (layer.name, *around)
    batch_norm = layer if isinstance(layer, keras.layers.BatchNormalization) else None
    yield Part(names, tuple(layer.trainable_variables), batch_norm)
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        yield from _parts(inner, names)
