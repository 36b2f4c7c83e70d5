"""The freeze plan: what each phase trains, computed from the recipe before anything is trained."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase, LinearPhase, Phase
from tfft.errors import RecipeError
from tfft.model.assemble import Classifier
from tfft.transfer.plan_faults import plan_faults
from tfft.transfer.rules import block_factors
from tfft.transfer.unfreeze import unfrozen

_FLOAT32_BYTES = 4


@dataclass(frozen=True)
class PartPlan:
    """A block of the backbone, or a head, with the number of its parameters.

    Attributes:
        learning_rate_factor: of a head, beside that of its phase.
    """

    name: str
    parameters: int
    learning_rate_factor: float = 1.0


@dataclass(frozen=True)
class PhasePlan:
    """One phase.

    Attributes:
        number: 1 for the first.
        config: what the recipe says.
        frozen_blocks: leading blocks of which nothing is trained: they are below the cut.
        cut: name of the block that ends at the cut, or None if nothing is below it.
        trained_by_block: trained parameters of each block.
        trained_parameters: in blocks and heads.
        block_factors: what the learning rate of each block is multiplied by.
        head_factor: likewise for the heads.
        steps_per_epoch: batches of training images; 0 for a solved phase.
        steps: batches in the whole phase, unless it stops early.
        cached: features are computed once, cached on disk and trained from there.
        cache_bytes: size of that cache for training and validation images.
        reason: why the cache is used or not.
    """

    number: int
    config: Phase
    frozen_blocks: int
    cut: str | None
    trained_by_block: tuple[int, ...]
    trained_parameters: int
    block_factors: tuple[float, ...]
    head_factor: float
    steps_per_epoch: int
    steps: int
    cached: bool
    cache_bytes: int
    reason: str

    @property
    def epochs(self) -> int:
        """Passes over the training images; the last one may be a part of one."""
        return math.ceil(self.steps / self.steps_per_epoch) if self.steps else 1


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
        images: number of images by split, "validation" among them.

    Raises:
        RecipeError: The schedule does not fit the model; every fault is named.
    """
    faults = plan_faults(recipe, classifier, images)
    if faults:
        raise RecipeError("the recipe does not fit its model and data:\n" + "\n".join(faults))
    blocks = tuple(
        PartPlan(block.name, sum(math.prod(v.shape) for v in weights))
        for block, weights in zip(classifier.backbone.blocks, classifier.block_weights, strict=True)
    )
    heads = tuple(
        PartPlan(
            name,
            sum(math.prod(v.shape) for v in head.weights),
            head.config.learning_rate_factor,
        )
        for name, head in classifier.heads.items()
    )
    prefix = classifier.cut(len(blocks)).prefix
    features = prefix.outputs if prefix else []
    floats_per_image = sum(math.prod(output.shape[1:]) for output in features)
    phases = tuple(
        _phase(recipe, number, phase, classifier, blocks, heads, images, floats_per_image)
        for number, phase in enumerate(recipe.train.phases, start=1)
    )
    size_px = classifier.model.input_shape[1]
    return FreezePlan(classifier.backbone.spec.name, size_px, blocks, heads, phases, dict(images))


def _phase(
    recipe: Recipe,
    number: int,
    phase: Phase,
    classifier: Classifier,
    blocks: tuple[PartPlan, ...],
    heads: tuple[PartPlan, ...],
    images: Mapping[str, int],
    floats_per_image: int,
) -> PhasePlan:
    part = unfrozen(classifier, phase.unfreeze)
    frozen = part.frozen_blocks
    trained = tuple(sum(math.prod(v.shape) for v in weights) for weights in part.weights)
    gradient = isinstance(phase, GradientPhase)
    steps_per_epoch = math.ceil(images["train"] / recipe.train.batch_size) if gradient else 0
    adapting = bool(classifier.adapter.weights)
    cached, reason = _cache_decision(recipe, phase, frozen == len(blocks), adapting)
    cached_images = images["train"] + images["validation"]
    return PhasePlan(
        number=number,
        config=phase,
        frozen_blocks=frozen,
        cut=blocks[frozen - 1].name if frozen and not (gradient and adapting) else None,
        trained_by_block=trained,
        trained_parameters=sum(trained) + _new_parameters(classifier, heads, gradient),
        block_factors=tuple(block_factors(phase, len(blocks)))
        if gradient
        else (1.0,) * len(blocks),
        head_factor=phase.head_learning_rate_factor if gradient else 1.0,
        steps_per_epoch=steps_per_epoch,
        steps=(phase.steps or (phase.epochs or 0) * steps_per_epoch) if gradient else 0,
        cached=cached,
        cache_bytes=cached_images * floats_per_image * _FLOAT32_BYTES if cached else 0,
        reason=reason,
    )


def _new_parameters(classifier: Classifier, heads: tuple[PartPlan, ...], gradient: bool) -> int:
    """Counts what no source has trained: heads and, in phases of gradient steps, the adapter."""
    adapter = sum(math.prod(v.shape) for v in classifier.adapter.weights) if gradient else 0
    return adapter + sum(head.parameters for head in heads)


def _cache_decision(
    recipe: Recipe, phase: Phase, heads_only: bool, adapting: bool
) -> tuple[bool, str]:
    if isinstance(phase, LinearPhase):
        return True, "a solved phase needs the features of all images"
    if adapting:
        return False, "the adapter of the channels is trained below all blocks"
    if not heads_only:
        return False, "a part of the backbone is trained"
    if phase.augment != "none":
        return False, f"every epoch sees other pixels (augment: {phase.augment})"
    if phase.mix is not None:
        return False, f"images are mixed (mix: {phase.mix.kind})"
    if not recipe.train.feature_cache:
        return False, "feature_cache: false"
    return True, "heads only, without augmentation"
