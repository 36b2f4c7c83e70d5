"""Solved heads that take too much memory to be solved: trained by gradient steps instead."""

from collections.abc import Mapping, Sequence

from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase, LinearPhase, Phase
from tfft.model.head_size import HeadSize
from tfft.system.machine import memory_bytes
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import size_text

# What the solver takes for each weight: solutions, gradients and directions in float64.
_BYTES_A_WEIGHT = 150
# As many passes as solving takes, about.
_INSTEAD = GradientPhase(unfreeze="none", epochs=20, learning_rate=1e-3)


def solvable_recipe(
    recipe: Recipe,
    shapes: Sequence[tuple[int, ...]],
    sizes: Mapping[str, HeadSize],
    progress: Progress = SILENT,
) -> Recipe:
    """Returns a recipe whose phases fit the memory of this machine, and says what it changed.

    A solved phase that takes more than half of the memory becomes one of gradient steps, unless
    its ``when_too_large`` is ``solve``.

    Args:
        recipe: The recipe, resolved.
        shapes: Shapes of the features of one example, one for each pooling.
        sizes: Sizes of the heads.
        progress: Where it is said.
    """
    features = sum(shape[-1] for shape in shapes)
    outputs = max(size.outputs for size in sizes.values())
    needed = _BYTES_A_WEIGHT * (features + 1) * outputs
    limit = memory_bytes() / 2
    phases: list[Phase] = []
    for number, phase in enumerate(recipe.train.phases):
        too_large = isinstance(phase, LinearPhase) and needed > limit
        if too_large and phase.when_too_large == "gradient":
            progress.message(
                f"train.phases.{number}: the heads are trained by {_INSTEAD.epochs} epochs of "
                f"gradient steps: solving {outputs:,} outputs on {features:,} features takes "
                f"{size_text(needed)}, and half of this machine's memory is {size_text(limit)}. "
                "when_too_large: solve solves them all the same"
            )
            phases.append(_INSTEAD)
        else:
            phases.append(phase)
    train = recipe.train.model_copy(update={"phases": tuple(phases)})
    return recipe.model_copy(update={"train": train})
