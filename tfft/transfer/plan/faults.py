"""Faults of a freeze schedule that only its model and its data can show."""

from collections.abc import Iterator, Mapping

from tfft.config.model import is_random
from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase, LastBlocks, LinearPhase, Patterns, Phase
from tfft.model.assemble import Classifier
from tfft.model.warm_start import warm_start_faults
from tfft.transfer.plan.unfreeze import unmatched


def plan_faults(recipe: Recipe, classifier: Classifier, images: Mapping[str, int]) -> list[str]:
    """Returns a line for each fault, with the place of the value in the recipe."""
    faults = [
        *_pooling(classifier),
        *_warm_start(recipe, classifier),
        *_nowhere_to_look(classifier),
    ]
    for number, phase in enumerate(recipe.train.phases):
        where = f"train.phases.{number}"
        found = [
            *_unfreeze(phase, classifier),
            *_beyond_module(phase, classifier),
            *_without_validation(phase, images["validation"]),
            *_without_pretrained_weights(phase, recipe),
            *_unsolvable(phase, recipe),
            *_losing_boxes(phase, recipe),
        ]
        faults += [f"{where}.{fault}" for fault in found]
    return faults


def _warm_start(recipe: Recipe, classifier: Classifier) -> Iterator[str]:
    for name, head in classifier.heads.items():
        for fault in warm_start_faults(head, recipe.backbone):
            yield f"heads.{name}.init: {fault}"


def _nowhere_to_look(classifier: Classifier) -> Iterator[str]:
    output = classifier.backbone.model.output_shape
    for name, head in classifier.heads.items():
        if head.config.pooling == "grid" and output[1:3] == (1, 1):
            yield (
                f"heads.{name}.pooling: grid needs activations of more than one position, and "
                f"those of {classifier.backbone.spec.name} at {classifier.model.input_shape[1]} px "
                "are 1 x 1: raise image.size_px, or use pooling: avg"
            )


def _unfreeze(phase: Phase, classifier: Classifier) -> Iterator[str]:
    name, blocks = classifier.backbone.spec.name, len(classifier.backbone.blocks)
    if isinstance(phase.unfreeze, LastBlocks) and phase.unfreeze.last_blocks > blocks:
        yield (
            f"unfreeze.last_blocks: {name} has {blocks} blocks. "
            f"Received: {phase.unfreeze.last_blocks}"
        )
    if isinstance(phase.unfreeze, Patterns):
        for pattern, hint in unmatched(classifier, phase.unfreeze.patterns).items():
            yield (
                f"unfreeze.patterns: {pattern!r} matches no block and no layer of {name} that has "
                f"weights.{hint} Its blocks: "
                f"{', '.join(block.name for block in classifier.backbone.blocks)}"
            )


def _beyond_module(phase: Phase, classifier: Classifier) -> Iterator[str]:
    """What an opaque module cannot do."""
    backbone = classifier.backbone
    if not backbone.opaque or not isinstance(phase, GradientPhase) or phase.unfreeze == "none":
        return
    if not any(classifier.block_weights):
        yield f"unfreeze: {backbone.spec.name} has no trainable variables. Use unfreeze: none"
    elif phase.batch_norm == "adapt" and not any(block.batch_norms for block in backbone.blocks):
        yield (
            f"batch_norm: {backbone.spec.name} has no training mode in which a BatchNorm could "
            "adapt. Use batch_norm: frozen"
        )


def _pooling(classifier: Classifier) -> Iterator[str]:
    if len(classifier.backbone.model.output_shape) == 2:
        for name, head in classifier.heads.items():
            if head.config.pooling != "avg":
                yield (
                    f"heads.{name}.pooling: {classifier.backbone.spec.name} gives features that "
                    f"are pooled already: set pooling: avg. Received: {head.config.pooling}"
                )


def _without_validation(phase: Phase, validation_images: int) -> Iterator[str]:
    if validation_images:
        return
    if isinstance(phase, LinearPhase) and len(phase.inverse_regularization) > 1:
        yield (
            "inverse_regularization: without validation images there is nothing to choose with: "
            "give one value, or data.validation_fraction > 0"
        )
    if isinstance(phase, GradientPhase) and phase.early_stop:
        yield "early_stop: needs validation images (data.validation_fraction > 0)"


def _without_pretrained_weights(phase: Phase, recipe: Recipe) -> Iterator[str]:
    if isinstance(phase, GradientPhase) and phase.l2sp and is_random(recipe.backbone):
        yield (
            "l2sp: pulls towards pretrained weights, but backbone.weights is random. "
            "Use weight_decay, or pretrained weights"
        )


def _unsolvable(phase: Phase, recipe: Recipe) -> Iterator[str]:
    others = [f"{n} ({h.kind})" for n, h in recipe.heads.items() if h.kind != "classification"]
    if isinstance(phase, LinearPhase) and others:
        yield (
            f"solver: linear solves classification heads only, not {', '.join(others)}. Train them "
            "by steps: {unfreeze: none, epochs: 20, learning_rate: 1e-3}"
        )


def _losing_boxes(phase: Phase, recipe: Recipe) -> Iterator[str]:
    boxes = ", ".join(name for name, head in recipe.heads.items() if head.kind == "box")
    if not boxes or not isinstance(phase, GradientPhase):
        return
    if phase.mix is not None:
        yield (
            f"mix: a mixture of two images has no one box, which {boxes} predicts. "
            "Use augment instead"
        )
    if phase.augment == "rand_augment":
        yield (
            f"augment: rand_augment turns, shears and shifts pictures, and no box follows, which "
            f"{boxes} predicts. Use random_crop_color, random_crop or flip"
        )
