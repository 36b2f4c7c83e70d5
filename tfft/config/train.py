"""The `train:` section: optimizer, freeze schedule, what is kept."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from tfft.config.base import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, Section
from tfft.config.data import Augmentation


class SgdOptimizer(Section):
    """Stochastic gradient descent, with momentum unless it is 0."""

    name: Literal["sgd"]
    momentum: Fraction = 0.9
    nesterov: bool = False
    clip_norm: PositiveFloat | None = Field(
        default=None, description="bound on the gradients' global norm"
    )


class AdamOptimizer(Section):
    """Adam (Kingma, Ba 2015)."""

    name: Literal["adam"]
    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-7
    clip_norm: PositiveFloat | None = Field(
        default=None, description="bound on the gradients' global norm"
    )


class AdamWOptimizer(Section):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2019)."""

    name: Literal["adamw"]
    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-7
    clip_norm: PositiveFloat | None = Field(
        default=None, description="bound on the gradients' global norm"
    )


OptimizerConfig = Annotated[
    SgdOptimizer | AdamOptimizer | AdamWOptimizer, Field(discriminator="name")
]


class LastBlocks(Section):
    """The blocks nearest to the heads."""

    last_blocks: PositiveInt = Field(description="how many blocks, counted from the heads")


class Schedule(Section):
    """How the learning rate runs through a phase."""

    kind: Literal["constant", "linear", "cosine"] = Field(
        default="cosine", description="after the warm-up; linear and cosine fall to final_factor"
    )
    warmup_epochs: NonNegativeFloat = Field(
        default=0.0, description="epochs in which the rate rises linearly from 0"
    )
    final_factor: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.0, description="the last rate as a share of learning_rate"
    )


class EarlyStop(Section):
    """Ends a phase when validation no longer gets better."""

    patience_epochs: PositiveInt = Field(
        description="epochs without a better value of train.monitor"
    )


class GradientPhase(Section):
    """A phase trained by gradient descent."""

    solver: Literal["gradient"] = "gradient"
    unfreeze: Literal["none", "all"] | LastBlocks = Field(
        default="none",
        description="what of the backbone is trained: none (heads only), all, or {last_blocks: N}",
    )
    epochs: PositiveInt = Field(description="passes over the training images")
    learning_rate: PositiveFloat = Field(description="highest learning rate of the phase")
    schedule: Schedule = Field(
        default=Schedule(), description="how the learning rate runs through the phase"
    )
    weight_decay: NonNegativeFloat = Field(
        default=0.0,
        description="decoupled, times the learning rate; not on biases and normalisation",
    )
    batch_norm: Literal["frozen", "adapt"] = Field(
        default="frozen",
        description="statistics of BatchNormalization in trained blocks: kept, or adapted to the "
        "data",
    )
    augment: Augmentation = Field(default="none", description="preset of image augmentation")
    early_stop: EarlyStop | None = Field(
        default=None, description="end the phase when validation no longer gets better"
    )


class LinearPhase(Section):
    """A heads-only phase solved to convergence: logistic regression on the frozen features."""

    solver: Literal["linear"]
    unfreeze: Literal["none"] = "none"
    inverse_regularization: tuple[PositiveFloat, ...] = Field(
        default=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        min_length=1,
        description="candidates of scikit-learn's C on standardised features; validation chooses",
    )
    choose_by: Literal["loss", "top1"] = Field(
        default="loss", description="validation figure that chooses; the other one breaks ties"
    )
    refit: bool = Field(
        default=False,
        description="solve again on training and validation data with the chosen value",
    )


def _solver_of(phase: object) -> str:
    if isinstance(phase, dict):
        return str(phase.get("solver", "gradient"))
    return str(getattr(phase, "solver", "gradient"))


Phase = Annotated[
    Annotated[GradientPhase, Tag("gradient")] | Annotated[LinearPhase, Tag("linear")],
    Discriminator(_solver_of),
]


class TrainConfig(Section):
    """Everything about training. `strategy` is a short form that becomes `phases` on loading."""

    batch_size: PositiveInt = Field(default=32, description="images in a step")
    optimizer: OptimizerConfig = Field(
        default=AdamWOptimizer(name="adamw"),
        description="of all phases; its state goes on from phase to phase",
    )
    phases: tuple[Phase, ...] = Field(
        min_length=1, description="the freeze schedule, in order; `strategy` is its short form"
    )
    monitor: Literal["top1", "loss"] = Field(
        default="top1",
        description="validation figure that chooses the best weights; the other one breaks ties",
    )
    keep_best: bool = Field(
        default=True, description="end with the best weights of any phase, not with the last ones"
    )
    mixed_precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        default="float32", description="policy of the layers; exports are float32"
    )
    feature_cache: bool = Field(
        default=True,
        description="compute each image's features once in a heads-only phase without augmentation",
    )
