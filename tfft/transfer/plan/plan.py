"""The freeze plan: what each phase trains, computed from the recipe before anything is trained."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tfft.catalog.image_size import ImageSize, image_size, sides_text
from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase, Phase
from tfft.errors import RecipeError
from tfft.model.assemble import Classifier
from tfft.system.readable import Readable, by_name, counted
from tfft.transfer.frozen.engine import Engine
from tfft.transfer.plan.cache_rule import cache_decision
from tfft.transfer.plan.engine_rule import engine_decision
from tfft.transfer.plan.faults import plan_faults
from tfft.transfer.plan.learning_rates import block_factors
from tfft.transfer.plan.unfreeze import unfrozen


@dataclass(frozen=True)
class PartPlan:
    """A block of the backbone, or a head, with the number of its parameters.

    Attributes:
        name: Name of the block or head.
        parameters: Number of its parameters.
        learning_rate_factor: Factor on the learning rate of a head, beside that of its phase.
    """

    name: str
    parameters: int
    learning_rate_factor: float = 1.0


@dataclass(frozen=True)
class PhaseSeconds:
    """Estimated seconds of a phase, from a short measurement on this machine.

    Attributes:
        cached: Seconds with the cache, computing it included; None where it cannot be used.
        uncached: Seconds without it; None for a solved phase, which needs the features.
    """

    cached: float | None
    uncached: float | None


@dataclass(frozen=True)
class PhasePlan:
    """One phase.

    Attributes:
        number: Number of the phase, 1 for the first.
        config: The phase in the recipe.
        frozen_blocks: Number of leading blocks of which nothing is trained; they are below the cut,
            unless an adapter is trained below them.
        cut: Name of the block that ends at the cut; None if nothing fixed is below it.
        trained_by_block: Number of trained parameters of each block.
        trained_parameters: Number of trained parameters in blocks, adapter and heads.
        block_factors: Factor on the learning rate of each block.
        head_factor: Factor on the learning rate of the heads.
        steps_per_epoch: Batches of training images in an epoch; 0 for a solved phase.
        steps: Batches in the whole phase, unless it stops early.
        cached: Whether the tensors at the cut are computed once, and trained on from the cache.
        views: Augmented views of each training image in the cache; 0: its exact pixels.
        cut_shapes: Shapes of the tensors at the cut, of one image.
        cache_bytes: Bytes of the cache for training and validation images; 0 without one.
        reason: Why the cache is used or not.
        engine: What is to compute the frozen part, ``xnnpack``, ``keras`` or ``openvino``; None:
            nothing is frozen. The run's ``run.json`` says what did.
        engine_reason: Why it is not XNNPACK, or not OpenVINO in bfloat16 where the recipe names it;
            empty if it is.
        seconds: Estimated seconds with and without the cache, if they were measured.
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
    views: int
    cut_shapes: tuple[tuple[int, ...], ...]
    cache_bytes: int
    reason: str
    engine: Engine | None = None
    engine_reason: str = ""
    seconds: PhaseSeconds | None = None

    @property
    def unchanged_blocks(self) -> int:
        """Leading blocks whose output the phase does not change.

        An adapter that is trained lies below all blocks: nothing is fixed then.
        """
        return self.frozen_blocks if self.cut else 0

    @property
    def epochs(self) -> int:
        """Passes over the training images; the last one may be a part of one."""
        return math.ceil(self.steps / self.steps_per_epoch) if self.steps else 1


@dataclass(frozen=True, repr=False)
class FreezePlan(Readable):
    """All phases over all blocks.

    Attributes:
        backbone: Name of the backbone.
        size_px: Height and width of the model's input, in pixels.
        runs_whole: Whether the backbone is one function that cannot be cut between its blocks.
        blocks: Blocks from input to output; every parameter of the backbone is in exactly one.
        heads: Heads, in the recipe's order.
        phases: Phases, in the order in which they run.
        images: Number of images by split.
    """

    backbone: str
    size_px: ImageSize
    runs_whole: bool
    blocks: tuple[PartPlan, ...]
    heads: tuple[PartPlan, ...]
    phases: tuple[PhasePlan, ...]
    images: dict[str, int]

    def lines(self) -> list[str]:
        parameters = sum(part.parameters for part in (*self.blocks, *self.heads))
        return [
            f"{self.backbone} at {sides_text(self.size_px)} px: "
            f"{counted(len(self.phases), 'phase')}, "
            f"{counted(parameters, 'parameter')}",
            f"images: {by_name(self.images)}",
            *(
                f"phase {phase.number}: {phase.trained_parameters:,} parameters trained, "
                + (f"frozen up to {phase.cut}" if phase.cut else "no cut")
                + (f", {counted(phase.steps, 'step')}" if phase.steps else ", solved")
                + (", from the cache" if phase.cached else "")
                for phase in self.phases
            ),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as JSON values."""
        phases = [{**asdict(p), "config": p.config.model_dump(mode="json")} for p in self.phases]
        return {**asdict(self), "phases": phases}


def make_plan(
    recipe: Recipe,
    classifier: Classifier,
    images: Mapping[str, int],
    decided: Sequence[bool] = (),
) -> FreezePlan:
    """Computes the freeze plan of a recipe.

    Args:
        recipe: The recipe, resolved.
        classifier: Model that will be trained.
        images: Number of images by split, "validation" among them.
        decided: Whether each phase is cached, where that was decided before.

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
    phases: list[PhasePlan] = []
    for phase in recipe.train.phases:
        before = decided[len(phases)] if len(phases) < len(decided) else None
        phases.append(_phase(recipe, phase, classifier, blocks, heads, images, phases, before))
    max_gb = recipe.train.cache.max_gb
    faults = [
        f"train.cache.max_gb: phase {phase.number} needs {phase.cache_bytes / 1e9:.3g} GB "
        f"({phase.reason}). Received: {max_gb:g}"
        for phase in phases
        if phase.cached and phase.cache_bytes > max_gb * 1e9
    ]
    if faults:
        raise RecipeError("the cache is too small for the recipe:\n" + "\n".join(faults))
    # Of what is no image, the length of an example stands here.
    _, height, *others = classifier.model.input_shape
    size_px = image_size(height, others[0]) if others else height
    backbone = classifier.backbone
    return FreezePlan(
        backbone.spec.name, size_px, backbone.opaque, blocks, heads, tuple(phases), dict(images)
    )


def _phase(
    recipe: Recipe,
    phase: Phase,
    classifier: Classifier,
    blocks: tuple[PartPlan, ...],
    heads: tuple[PartPlan, ...],
    images: Mapping[str, int],
    earlier: Sequence[PhasePlan],
    decided: bool | None,
) -> PhasePlan:
    part = unfrozen(classifier, phase.unfreeze)
    frozen = part.frozen_blocks
    trained = tuple(sum(math.prod(v.shape) for v in weights) for weights in part.weights)
    gradient = isinstance(phase, GradientPhase)
    steps_per_epoch = math.ceil(images["train"] / recipe.train.batch_size) if gradient else 0
    steps = (phase.steps or (phase.epochs or 0) * steps_per_epoch) if gradient else 0
    # What no source has trained: heads and, in phases of gradient steps, the adapter.
    adapting = bool(classifier.front.weights)
    adapter = sum(math.prod(v.shape) for v in classifier.front.weights) if gradient else 0
    new = adapter + sum(head.parameters for head in heads)
    cache = cache_decision(
        recipe,
        classifier,
        phase,
        frozen_blocks=frozen,
        epochs=math.ceil(steps / steps_per_epoch) if gradient else 1,
        images=images,
        available=_computed_before(earlier, frozen),
    )
    if decided not in (None, cache.cached):
        cache = replace(cache, cached=decided, reason="as it was when the run was started")
    fixed = frozen > 0 and not (gradient and adapting)
    passes = steps * recipe.train.batch_size
    engine = engine_decision(recipe.train, phase, cached=cache.cached, passes=passes)
    return PhasePlan(
        number=len(earlier) + 1,
        config=phase,
        frozen_blocks=frozen,
        cut=blocks[frozen - 1].name if fixed else None,
        trained_by_block=trained,
        trained_parameters=sum(trained) + new,
        block_factors=tuple(block_factors(phase, len(blocks)))
        if gradient
        else (1.0,) * len(blocks),
        head_factor=phase.head_learning_rate_factor if gradient else 1.0,
        steps_per_epoch=steps_per_epoch,
        steps=steps,
        cached=cache.cached,
        views=cache.views,
        cut_shapes=cache.shapes,
        cache_bytes=cache.bytes if cache.cached else 0,
        reason=cache.reason,
        engine=engine.engine if fixed else None,
        engine_reason=engine.reason if fixed else "",
    )


def _computed_before(earlier: Sequence[PhasePlan], frozen_blocks: int) -> bool:
    """Whether an earlier phase's pass over the images yields the tensors of this cut too."""
    for phase in reversed(earlier):
        if phase.unchanged_blocks < frozen_blocks:
            return False
        if phase.cached and not phase.views:
            return True
    return False


def plans_of_one_pass(
    phases: Sequence[PhasePlan], plan: PhasePlan, max_gb: float
) -> list[PhasePlan]:
    """Returns `plan` and the later phases whose tensors come up on the way to its own.

    They are cached without views, at other cuts, and no phase before them trains what is below
    their cut. All together fit in the bound of the cache.
    """
    found, lowest, left = [plan], plan.unchanged_blocks, max_gb * 1e9 - plan.cache_bytes
    if plan.views:
        return found
    for later in phases[plan.number :]:
        new = later.frozen_blocks not in {phase.frozen_blocks for phase in found}
        unchanged = later.frozen_blocks <= lowest
        if later.cached and not later.views and new and unchanged and later.cache_bytes <= left:
            found.append(later)
            left -= later.cache_bytes
        lowest = min(lowest, later.unchanged_blocks)
    return found
