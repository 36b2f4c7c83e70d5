"""A built backbone and its blocks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfft.backbones.graph import ancestors, graph_nodes
from tfft.catalog.spec import BackboneSpec, BlockSpec
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
import keras  # noqa: E402


@dataclass(frozen=True, eq=False)
class Block:
    """A named stage of a backbone.

    Attributes:
        name: From its spec.
        operations: Layers and weightless operations (`x + y`), inputs first.
    """

    name: str
    operations: tuple[keras.Operation, ...] = field(repr=False)

    @property
    def layers(self) -> tuple[keras.Layer, ...]:
        """The layers of the block, inputs first."""
        return tuple(op for op in self.operations if isinstance(op, keras.Layer))


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
            the last activations, float32 [batch, height', width', channels], not pooled.
        blocks: From input to output; each layer of the model lies in exactly one.
        weights_digest: SHA-256 of the weights as built, in hexadecimal.
        arguments: The documented builder arguments of a backbone of the catalog.
        origin: The run or file that the weights come from, if they are one's own.
    """

    spec: BackboneSpec = field(repr=False)
    model: keras.Model
    blocks: tuple[Block, ...]
    weights_digest: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None


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
        blocks.append(Block(spec.name, _take(left, own)))
    blocks.append(Block(specs[-1].name, tuple(left.values())))
    empty = [block.name for block in blocks if not block.operations]
    if empty:
        raise ValueError(f"blocks of {model.name} without layers: {', '.join(empty)}")
    return tuple(blocks)


def _take(left: dict[int, keras.Operation], wanted: set[int]) -> tuple[keras.Operation, ...]:
    taken = [key for key in left if key in wanted]
    return tuple(left.pop(key) for key in taken)
