"""Which part of a backbone a phase trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tfft.system.tensorflow import keras

from tfft.backbones.backbone import BatchNorm, Block, Part
from tfft.config.train import LastBlocks, Patterns
from tfft.errors import nearest
from tfft.model.assemble import Classifier


@dataclass(frozen=True, eq=False)
class Unfrozen:
    """The part of a backbone that a phase trains; the heads are trained in every phase.

    Attributes:
        frozen_blocks: Number of leading blocks of which nothing is trained and that lie below the
            cut; 0 for a backbone that runs whole, unless nothing of it is trained.
        weights: Trained variables of each block, in block order.
        batch_norms: Batch normalisations of the trained parts of each block, in block order.
    """

    frozen_blocks: int
    weights: tuple[tuple[keras.Variable, ...], ...]
    batch_norms: tuple[tuple[BatchNorm, ...], ...]


def unfrozen(classifier: Classifier, unfreeze: str | LastBlocks | Patterns) -> Unfrozen:
    """Returns what the `unfreeze` of a phase stands for."""
    blocks = classifier.backbone.blocks
    if isinstance(unfreeze, Patterns):
        parts = [_matching(block, unfreeze.patterns) for block in blocks]
        frozen = next((index for index, found in enumerate(parts) if found), len(blocks))
    else:
        last = len(blocks) if unfreeze == "all" else 0
        if isinstance(unfreeze, LastBlocks):
            last = min(unfreeze.last_blocks, len(blocks))
        frozen = len(blocks) - last
        parts = [block.parts if index >= frozen else () for index, block in enumerate(blocks)]
    if classifier.backbone.opaque and frozen < len(blocks):
        frozen = 0
    weights, batch_norms = [], []
    for of_block, found in zip(classifier.block_weights, parts, strict=True):
        held = {id(variable) for part in found for variable in part.weights}
        weights.append(tuple(variable for variable in of_block if id(variable) in held))
        batch_norms.append(tuple(p.batch_norm for p in found if p.batch_norm is not None))
    return Unfrozen(frozen, tuple(weights), tuple(batch_norms))


def unmatched(classifier: Classifier, patterns: Sequence[str]) -> dict[str, str]:
    """Returns the patterns that match no block and nothing in one with weights, with a hint."""
    blocks = classifier.backbone.blocks
    names = [block.name for block in blocks]
    names += [
        part.names[0]
        for block in blocks
        for part in block.parts
        if part.weights or part.batch_norm is not None
    ]
    return {
        pattern: nearest(pattern.strip("*"), names)
        for pattern in patterns
        if not any(fnmatchcase(name, pattern) for name in names)
    }


def _matching(block: Block, patterns: Sequence[str]) -> tuple[Part, ...]:
    """The parts that match by their name, that of a layer around them, or the block's."""

    def matches(names: Sequence[str]) -> bool:
        return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)

    if matches([block.name]):
        return block.parts
    return tuple(part for part in block.parts if matches(part.names))
