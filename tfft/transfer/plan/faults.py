"""Faults of a freeze schedule that only its model and its data can show."""

from collections.abc import Iterator, Mapping

from tfft.catalog.image_size import image_size, sides_text
from tfft.config.model import is_random
from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase, LastBlocks, LinearPhase, Patterns, Phase
from tfft.model.assemble import Classifier
from tfft.model.heads import source_start_faults
from tfft.transfer.plan.unfreeze import unmatched


def plan_faults(recipe: Recipe, classifier: Classifier, images: Mapping[str, int]) -> list[str]:
    """Returns a line for each fault, with the place of the value in the recipe."""
    faults = list(_of_heads(recipe, classifier))
    for number, phase in enumerate(recipe.train.phases):
        found = [
            *_of_unfreezing(phase, classifier),
            *_of_validation(phase, images["validation"]),
            *_of_methods(phase, recipe),
        ]
        faults += [f"train.phases.{number}.{fault}" for fault in found]
    return faults


def _of_heads(recipe: Recipe, classifier: Classifier) -> Iterator[str]:
    """What the backbone's output, or its source's classes, do not give a head."""
    name, shape = classifier.backbone.spec.name, classifier.backbone.model.output_shape
    for head_name, head in classifier.heads.items():
        pooling = head.config.pooling
        if len(shape) == 2 and pooling != "avg":
            yield (
                f"heads.{head_name}.pooling: {name} gives features that are pooled already: "
                f"set pooling: avg. Received: {pooling}"
            )
        for fault in source_start_faults(head, recipe.backbone):
            yield f"heads.{head_name}.init: {fault}"
        if pooling == "grid" and shape[1:3] == (1, 1):
            size = image_size(*classifier.model.input_shape[1:3])
            yield (
                f"heads.{head_name}.pooling: grid needs activations of more than one position, and "
                f"those of {name} at {sides_text(size)} px are 1 x 1: raise "
                "image.size_px, or use pooling: avg"
            )


def _of_unfreezing(phase: Phase, classifier: Classifier) -> Iterator[str]:
    """Blocks and layers that are not there, and what a module that runs whole cannot do."""
    backbone = classifier.backbone
    name, blocks = backbone.spec.name, backbone.blocks
    if isinstance(phase.unfreeze, LastBlocks) and phase.unfreeze.last_blocks > len(blocks):
        yield (
            f"unfreeze.last_blocks: {name} has {len(blocks)} blocks. "
            f"Received: {phase.unfreeze.last_blocks}"
        )
    if isinstance(phase.unfreeze, Patterns):
        for pattern, hint in unmatched(classifier, phase.unfreeze.patterns).items():
            yield (
                f"unfreeze.patterns: {pattern!r} matches no block and no layer of {name} that has "
                f"weights.{hint} Its blocks: {', '.join(block.name for block in blocks)}"
            )
    if not backbone.opaque or not isinstance(phase, GradientPhase) or phase.unfreeze == "none":
        return
    if not any(classifier.block_weights):
        yield f"unfreeze: {name} has no trainable variables. Use unfreeze: none"
    elif phase.batch_norm == "adapt" and not any(block.batch_norms for block in blocks):
        yield (
            f"batch_norm: {name} has no training mode in which a BatchNorm could adapt. "
            "Use batch_norm: frozen"
        )


def _of_validation(phase: Phase, validation_images: int) -> Iterator[str]:
    """What cannot be chosen without validation images."""
    if validation_images:
        return
    if isinstance(phase, LinearPhase) and len(phase.inverse_regularization) > 1:
        yield (
            "inverse_regularization: without validation images there is nothing to choose with: "
            "give one value, or data.validation_fraction > 0"
        )
    if isinstance(phase, GradientPhase) and phase.early_stop:
        yield "early_stop: needs validation images (data.validation_fraction > 0)"


def _of_methods(phase: Phase, recipe: Recipe) -> Iterator[str]:
    """Methods that the heads of the recipe, or its random weights, do not go with."""
    if isinstance(phase, LinearPhase):
        boxes = ", ".join(name for name, head in recipe.heads.items() if head.kind == "box")
        if boxes:
            yield (
                f"solver: linear solves heads for classes, labels and numbers, not the box of "
                f"{boxes}. Train it by steps: {{unfreeze: none, epochs: 20, learning_rate: 1e-3}}"
            )
        others = [f"{n} ({h.kind})" for n, h in recipe.heads.items() if h.kind != "classification"]
        if phase.choose_by == "top1" and others:
            yield (
                f"choose_by: top1 is a metric of classifications, not of {', '.join(others)}. "
                "Use choose_by: loss"
            )
        return
    if phase.l2sp and is_random(recipe.backbone):
        yield (
            "l2sp: pulls towards pretrained weights, but backbone.weights is random. "
            "Use weight_decay, or pretrained weights"
        )
    boxes = ", ".join(name for name, head in recipe.heads.items() if head.kind == "box")
    if boxes and phase.mix is not None:
        yield (
            f"mix: a mixture of two images has no one box, which {boxes} predicts. "
            "Use augment instead"
        )
    if boxes and phase.augment == "rand_augment":
        yield (
            f"augment: rand_augment turns, shears and shifts pictures, and no box follows, which "
            f"{boxes} predicts. Use random_crop_color, random_crop or flip"
        )
