"""The short forms of freeze schedules: `train.strategy` becomes `train.phases`.

A strategy has no code path of its own in training: it is nothing but the phases it stands for,
which the resolved recipe shows.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from tfft.config.base import NonNegativeFloat, PositiveFloat, PositiveInt, Section
from tfft.config.data import Augmentation


class FeatureExtraction(Section):
    """The backbone stays as it is; only the heads are trained."""

    kind: Literal["feature_extraction"]
    epochs: PositiveInt = 10
    learning_rate: PositiveFloat = 1e-3

    def phases(self) -> list[dict[str, Any]]:
        return [{"unfreeze": "none", "epochs": self.epochs, "learning_rate": self.learning_rate}]


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


Strategy = Annotated[FeatureExtraction | Full | LinearProbeThenFull, Field(discriminator="kind")]
