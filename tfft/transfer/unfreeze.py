"""Which part of a backbone a phase trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tfft.config.train import LastBlocks, Patterns
from tfft.errors import nearest
from tfft.model.assemble import Classifier
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
import keras  # noqa: E402


@dataclass(frozen=True, eq=False)
class Unfrozen:
    """What a phase trains of a backbone; the heads are trained in every phase.

    Attributes:
        frozen_blocks: leading blocks of which nothing is trained: they lie below the cut.
        weights: the trained variables of each block, in block order.
        batch_norms: the BatchNormalization layers of the trained layers of each block.
    """

    frozen_blocks: int
    weights: tuple[tuple[keras.Variable, ...], ...]
    batch_norms: tuple[tuple[keras.layers.BatchNormalization, ...], ...]


def unfrozen(classifier: Classifier, unfreeze: str | LastBlocks | Patterns) -> Unfrozen:
    """Returns what the `unfreeze` of a phase stands for."""
    blocks = range(len(classifier.backbone.blocks))
    if isinstance(unfreeze, Patterns):
        layers = [_matching(classifier, block, unfreeze.patterns) for block in blocks]
        frozen = next((block for block in blocks if layers[block]), len(blocks))
    else:
        frozen = len(blocks) - _last_blocks(unfreeze, len(blocks))
        layers = [classifier.layers(block) if block >= frozen else () for block in blocks]
    return Unfrozen(
        frozen,
        tuple(_weights(classifier, block, layers[block]) for block in blocks),
        tuple(
            tuple(x for x in layers[block] if x in classifier.batch_norms(block))
            for block in blocks
        ),
    )


def unmatched(classifier: Classifier, patterns: Sequence[str]) -> dict[str, str]:
    """Returns the patterns that match no block and no layer with weights, each with a hint."""
    blocks = range(len(classifier.backbone.blocks))
    names = [block.name for block in classifier.backbone.blocks]
    names += [x.name for block in blocks for x in classifier.layers(block) if x.variables]
    return {
        pattern: nearest(pattern.strip("*"), names)
        for pattern in patterns
        if not any(fnmatchcase(name, pattern) for name in names)
    }


def _last_blocks(unfreeze: str | LastBlocks, blocks: int) -> int:
    if isinstance(unfreeze, LastBlocks):
        return min(unfreeze.last_blocks, blocks)
    return blocks if unfreeze == "all" else 0


def _matching(
    classifier: Classifier, block: int, patterns: Sequence[str]
) -> tuple[keras.layers.Layer, ...]:
    """The layers of a block of which one, or a layer around it, or the block itself, matches."""
    if any(fnmatchcase(classifier.backbone.blocks[block].name, p) for p in patterns):
        return classifier.layers(block)
    found = {
        id(inner): inner
        for layer in classifier.layers(block)
        if any(fnmatchcase(layer.name, p) for p in patterns)
        for inner in layer._flatten_layers()
    }
    return tuple(found.values())


def _weights(
    classifier: Classifier, block: int, layers: Sequence[keras.layers.Layer]
) -> tuple[keras.Variable, ...]:
    held = {id(variable) for layer in layers for variable in layer.variables}
    return tuple(v for v in classifier.block_weights[block] if id(v) in held)
