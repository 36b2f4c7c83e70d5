"""The freeze plan: what each phase trains, computed from the recipe before anything is trained."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tfft.config.recipe import Recipe
from tfft.config.train import LastBlocks, LinearPhase, Phase
from tfft.errors import RecipeError
from tfft.model.assemble import Classifier

_FLOAT32_BYTES = 4


@dataclass(frozen=True)
class PartPlan:
    """A block of the backbone, or a head, with the number of its parameters."""

    name: str
    parameters: int


@dataclass(frozen=True)
class PhasePlan:
    """One phase.

    Attributes:
        number: 1 for the first.
        config: what the recipe says.
        frozen_blocks: blocks below the cut, counted from the input; the others are trained.
        cut: name of the block that ends at the cut, or None if nothing is below it.
        trained_parameters: in blocks and heads.
        steps_per_epoch: batches of training images; 0 for a solved phase.
        cached: features are computed once, cached on disk and trained from there.
        cache_bytes: size of that cache for training and validation images.
        reason: why the cache is used or not.
    """

    number: int
    config: Phase
    frozen_blocks: int
    cut: str | None
    trained_parameters: int
    steps_per_epoch: int
    cached: bool
    cache_bytes: int
    reason: str


@dataclass(frozen=True)
class FreezePlan:
    """All phases over all blocks.

    Attributes:
        backbone: its name in the catalog.
        size_px: height and width of the model's input.
        blocks: from input to output; every parameter of the backbone is in exactly one.
        heads: in the recipe's order.
        phases: in the order in which they run.
        images: number of images by split.
    """

    backbone: str
    size_px: int
    blocks: tuple[PartPlan, ...]
    heads: tuple[PartPlan, ...]
    phases: tuple[PhasePlan, ...]
    images: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as JSON values."""
        phases = [{**asdict(p), "config": p.config.model_dump(mode="json")} for p in self.phases]
        return {**asdict(self), "phases": phases}


def make_plan(recipe: Recipe, classifier: Classifier, images: Mapping[str, int]) -> FreezePlan:
    """Computes the freeze plan of a recipe.

    Args:
        recipe: what the user asked for.
        classifier: the model that will be trained.
        images: number of images by split.

    Raises:
        RecipeError: The schedule does not fit the model; every fault is named.
    """
    faults = _faults(recipe, classifier, images)
    if faults:
        raise RecipeError("the recipe does not fit its model and data:\n" + "\n".join(faults))
    blocks = tuple(
        PartPlan(block.name, sum(math.prod(v.shape) for v in weights))
        for block, weights in zip(classifier.backbone.blocks, classifier.block_weights, strict=True)
    )
    features = {n: head.dense.kernel.shape[0] for n, head in classifier.heads.items()}
    heads = tuple(
        PartPlan(name, (features[name] + 1) * head.outputs)
        for name, head in classifier.heads.items()
    )
    floats_per_image = next(iter(features.values())) * len(classifier.poolings)
    phases = tuple(
        _phase(recipe, number, phase, blocks, heads, images, floats_per_image)
        for number, phase in enumerate(recipe.train.phases, start=1)
    )
    size_px = classifier.model.input_shape[1]
    return FreezePlan(classifier.backbone.spec.name, size_px, blocks, heads, phases, dict(images))


def _phase(
    recipe: Recipe,
    number: int,
    phase: Phase,
    blocks: tuple[PartPlan, ...],
    heads: tuple[PartPlan, ...],
    images: Mapping[str, int],
    floats_per_image: int,
) -> PhasePlan:
    frozen = _frozen_blocks(phase, len(blocks))
    solved = isinstance(phase, LinearPhase)
    cached, reason = _cache_decision(recipe, phase, frozen == len(blocks))
    cached_images = images["train"] + images["validation"]
    return PhasePlan(
        number=number,
        config=phase,
        frozen_blocks=frozen,
        cut=blocks[frozen - 1].name if frozen else None,
        trained_parameters=sum(part.parameters for part in (*blocks[frozen:], *heads)),
        steps_per_epoch=0 if solved else math.ceil(images["train"] / recipe.train.batch_size),
        cached=cached,
        cache_bytes=cached_images * floats_per_image * _FLOAT32_BYTES if cached else 0,
        reason=reason,
    )


def _frozen_blocks(phase: Phase, blocks: int) -> int:
    if isinstance(phase.unfreeze, LastBlocks):
        return blocks - phase.unfreeze.last_blocks
    return blocks if phase.unfreeze == "none" else 0


def _cache_decision(recipe: Recipe, phase: Phase, heads_only: bool) -> tuple[bool, str]:
    if isinstance(phase, LinearPhase):
        return True, "a solved phase needs the features of all images"
    if not heads_only:
        return False, "blocks of the backbone are trained"
    if phase.augment != "none":
        return False, f"every epoch sees other pixels (augment: {phase.augment})"
    if not recipe.train.feature_cache:
        return False, "feature_cache: false"
    return True, "heads only, without augmentation"


def _faults(recipe: Recipe, classifier: Classifier, images: Mapping[str, int]) -> list[str]:
    blocks = len(classifier.backbone.blocks)
    faults = []
    for number, phase in enumerate(recipe.train.phases):
        where = f"train.phases.{number}"
        if isinstance(phase.unfreeze, LastBlocks) and phase.unfreeze.last_blocks > blocks:
            faults.append(
                f"{where}.unfreeze.last_blocks: {classifier.backbone.spec.name} has {blocks} "
                f"blocks. Received: {phase.unfreeze.last_blocks}"
            )
        if (
            isinstance(phase, LinearPhase)
            and images["validation"] == 0
            and len(phase.inverse_regularization) > 1
        ):
            faults.append(
                f"{where}.inverse_regularization: without validation images there is nothing to "
                "choose with: give one value, or data.validation_fraction > 0"
            )
    if images["validation"] == 0 and any(
        getattr(phase, "early_stop", None) for phase in recipe.train.phases
    ):
        faults.append("early_stop: needs validation images (data.validation_fraction > 0)")
    return faults
