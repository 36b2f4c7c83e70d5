"""One thing that the epochs of a run show."""

from dataclasses import asdict, dataclass
from typing import Any

from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase


@dataclass(frozen=True)
class Finding:
    """One thing that the epochs of a run show.

    Attributes:
        kind: ``diverged``, ``learned_nothing``, ``lost``, ``overfits``, ``underfits``,
            ``stopped_early``, ``wide_gap``, ``too_few_epochs`` or ``fine``.
        phase: Number of the phase, 1 for the first; 0 for heads that are as the source had them.
        text: Sentence with the metrics, and what to change in the recipe.
    """

    kind: str
    phase: int
    text: str

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as JSON values."""
        return asdict(self)


def instead_of(phase: int, recipe: Recipe) -> str:
    """Returns what to change about a phase that did harm."""
    config = recipe.train.phases[phase - 1]
    changes = ["Leave the phase out"]
    if isinstance(config, GradientPhase):
        changes = [f"Lower train.phases.{phase - 1}.learning_rate"]
        changes += [] if config.unfreeze == "none" else ["unfreeze fewer blocks"]
        changes += [] if config.augment == "none" else [f"augment less than {config.augment}"]
        changes += ["leave the phase out"]
    return f"{', or '.join(changes)}."
