"""The short forms of freeze schedules: `train.strategy` becomes `train.phases`.

A strategy has no code path of its own in training: it is nothing but the phases it stands for,
which the resolved recipe shows.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from tfft.config.base import NonNegativeFloat, PositiveFloat, PositiveInt, Section
from tfft.config.data import Augmentation

LayerDecay = Annotated[float, Field(gt=0.0, le=1.0)]


class FeatureExtraction(Section):
    """The backbone stays as it is; only the heads are trained."""

    kind: Literal["feature_extraction"]
    epochs: PositiveInt = 10
    learning_rate: PositiveFloat = 1e-3

    def phases(self) -> list[dict[str, Any]]:
        return [{"unfreeze": "none", "epochs": self.epochs, "learning_rate": self.learning_rate}]


class HeadOnly(Section):
    """The backbone stays as it is; the heads are solved to convergence, without epochs or rates."""

    kind: Literal["head_only"]
    refit: bool = True

    def phases(self) -> list[dict[str, Any]]:
        return [{"solver": "linear", "refit": self.refit}]


class Full(Section):
    """Everything is trained from the first step."""

    kind: Literal["full"]
    epochs: PositiveInt = 10
    learning_rate: PositiveFloat = 1e-4
    weight_decay: NonNegativeFloat = 0.0
    batch_norm: Literal["frozen", "adapt"] = "frozen"
    augment: Augmentation = "none"

    def phases(self) -> list[dict[str, Any]]:
        return [{"unfreeze": "all", **self.model_dump(exclude={"kind"})}]


class Partial(Section):
    """A linear probe to convergence, then the last blocks."""

    kind: Literal["partial"]
    blocks: PositiveInt = 2
    epochs: PositiveInt = 5
    learning_rate: PositiveFloat = 1e-4
    layer_decay: LayerDecay = 1.0
    weight_decay: NonNegativeFloat = 0.0
    batch_norm: Literal["frozen", "adapt"] = "frozen"
    augment: Augmentation = "none"

    def phases(self) -> list[dict[str, Any]]:
        shared = self.model_dump(exclude={"kind", "blocks"})
        return [{"solver": "linear"}, {"unfreeze": {"last_blocks": self.blocks}, **shared}]


class Progressive(Section):
    """A linear probe, then one more block from the top in each phase (ULMFiT; Howard, Ruder 2018).

    `epochs` is the number of epochs of each phase.
    """

    kind: Literal["progressive"]
    blocks: PositiveInt = 3
    epochs: PositiveInt = 2
    learning_rate: PositiveFloat = 1e-4
    layer_decay: LayerDecay = 1.0
    weight_decay: NonNegativeFloat = 0.0
    batch_norm: Literal["frozen", "adapt"] = "frozen"
    augment: Augmentation = "none"

    def phases(self) -> list[dict[str, Any]]:
        shared = self.model_dump(exclude={"kind", "blocks"})
        unfrozen = [{"last_blocks": count} for count in range(1, self.blocks + 1)]
        return [{"solver": "linear"}, *({"unfreeze": blocks, **shared} for blocks in unfrozen)]


class LinearProbeThenFull(Section):
    """A linear probe to convergence, then everything (LP-FT; Kumar et al. 2022)."""

    kind: Literal["lp_ft"]
    epochs: PositiveInt = 5
    learning_rate: PositiveFloat = 3e-5
    weight_decay: NonNegativeFloat = 0.0
    batch_norm: Literal["frozen", "adapt"] = "frozen"
    augment: Augmentation = "none"

    def phases(self) -> list[dict[str, Any]]:
        return [{"solver": "linear"}, {"unfreeze": "all", **self.model_dump(exclude={"kind"})}]


Strategy = Annotated[
    FeatureExtraction | HeadOnly | Full | Partial | Progressive | LinearProbeThenFull,
    Field(discriminator="kind"),
]
STRATEGY_NAMES = tuple(
    str(get_args(strategy.model_fields["kind"].annotation)[0])
    for strategy in get_args(get_args(Strategy)[0])
)
