"""A built backbone, its blocks, and the digest of its weights."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tfft.system.tensorflow import keras

from tfft.backbones.graph import ancestors, graph_nodes
from tfft.catalog.spec import BackboneSpec, BlockSpec


class BatchNorm(Protocol):
    """A batch normalisation: a layer of Keras, or one inside a module.

    Attributes:
        trainable: Whether training normalises by the batch and updates the moving statistics.
        moving_mean: Variable with the moving mean, float32 [channels].
        moving_variance: Variable with the moving variance, float32 [channels].
    """

    trainable: bool
    moving_mean: Any
    moving_variance: Any


@dataclass(frozen=True, eq=False)
class Part:
    """The smallest piece of a block that a recipe can name: a layer, or the variables of a scope.

    Attributes:
        names: Its own name, then the names of the layers around it, innermost first.
        weights: Trainable variables of the part and of the parts inside it.
        batch_norm: The part itself where it is a batch normalisation that can adapt, else None.
    """

    names: tuple[str, ...]
    weights: tuple[keras.Variable, ...] = field(repr=False)
    batch_norm: BatchNorm | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Block:
    """A named stage of a backbone.

    Attributes:
        name: Name of the block, from its spec or from the names of a module's variables.
        parts: The pieces that a recipe can name, inputs first.
        operations: Layers and operations without weights (`x + y`), inputs first; empty where
            the backbone is one opaque function.
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
        """The trainable variables, each once."""
        return tuple({id(v): v for part in self.parts for v in part.weights}.values())

    @property
    def batch_norms(self) -> tuple[BatchNorm, ...]:
        """The batch normalisations that can adapt."""
        return tuple(part.batch_norm for part in self.parts if part.batch_norm is not None)


@dataclass(frozen=True)
class Origin:
    """The trained model that a backbone was cut from.

    Attributes:
        path: Path of a run directory or of a `.keras` file.
        sha256: SHA-256 of the `.keras` file, in hexadecimal.
        class_names: Class names of each head that has classes, by the name of the head.
    """

    path: str
    sha256: str
    class_names: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained (or randomly initialised) model without its classifier.

    Attributes:
        spec: Its catalog entry, or the same facts read from the model's file.
        model: Functional model from preprocessed pixels, float32 [batch, height, width, 3], to
            the last activations, float32 [batch, height', width', channels], or to features that
            are pooled already, float32 [batch, channels].
        blocks: Blocks from input to output; each layer of the model lies in exactly one.
        weights_digest: SHA-256 of the weights as built, in hexadecimal.
        arguments: Builder arguments of a backbone of the catalog, by name.
        origin: The user's own run or file that the weights come from; None for other weights.
        source_sha256: SHA-256 of a module's files, which a recipe can pin; None for other kinds.
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
        """Whether the backbone is one function that cannot be cut between its blocks."""
        return not all(block.operations for block in self.blocks)


def weights_digest(model: keras.Model) -> str:
    """Returns the SHA-256 of all weights (shape, dtype and values, in the model's order)."""
    digest = hashlib.sha256()
    for variable in model.weights:
        values = variable.numpy()
        digest.update(f"{values.dtype.str}{values.shape};".encode())
        digest.update(values.data if values.ndim else values.tobytes())
    return digest.hexdigest()


def find_blocks(model: keras.Model, specs: tuple[BlockSpec, ...]) -> tuple[Block, ...]:
    """Divides a model into blocks.

    A block is everything that the output of its end depends on and that no earlier block holds;
    the last block holds the rest.

    Args:
        model: Functional model.
        specs: Name and end of each block, from input to output.

    Raises:
        ValueError: The model has no layer with the name of an end, or a block is empty: the
            catalog does not fit the model.
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
        taken = [key for key in left if key in own]
        blocks.append(_block(spec.name, tuple(left.pop(key) for key in taken)))
    blocks.append(_block(specs[-1].name, tuple(left.values())))
    empty = [block.name for block in blocks if not block.operations]
    if empty:
        raise ValueError(f"blocks of {model.name} without layers: {', '.join(empty)}")
    return tuple(blocks)


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
