"""The `train:` section: optimizer, freeze schedule, what is kept."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from tfft.config.base import (
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Section,
    discriminator_or,
)
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


class Patterns(Section):
    """Blocks and layers by name."""

    patterns: tuple[str, ...] = Field(
        min_length=1,
        description="names of blocks or layers, with * and ? for any characters, as in block6*",
    )


def _part_of(unfreeze: object) -> str:
    if isinstance(unfreeze, dict):
        return "Patterns" if {"pattern", "patterns"} & unfreeze.keys() else "LastBlocks"
    return type(unfreeze).__name__


PartOfBackbone = Annotated[
    Annotated[LastBlocks, Tag("LastBlocks")] | Annotated[Patterns, Tag("Patterns")],
    Discriminator(_part_of),
]


class L2Sp(Section):
    """A penalty on the distance to the pretrained weights (L2-SP; Li, Grandvalet, Davoine 2018).

    It adds alpha/2 times the squared distance of the backbone's trained weights to their pretrained
    values, and beta/2 times the squared norm of the heads: exactly so with SGD, decoupled from the
    adaptive step (times the learning rate, as AdamW does with weight decay) with Adam.
    """

    alpha: PositiveFloat = Field(description="pull towards the pretrained weights of the backbone")
    beta: NonNegativeFloat = Field(default=0.0, description="pull of the heads towards 0")


class Schedule(Section):
    """How the learning rate runs through a phase."""

    kind: Literal["constant", "linear", "cosine"] = Field(
        default="cosine",
        description="course after the warm-up; linear and cosine fall to final_factor",
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


class Mix(Section):
    """Training on mixtures of two images, each with its share of the loss."""

    kind: Literal["mixup", "cutmix"] = Field(
        description="mixup: weighted sums (Zhang et al. 2018); cutmix: a rectangle of one in the "
        "other (Yun et al. 2019)"
    )
    alpha: PositiveFloat = Field(
        default=0.2,
        description="the shares are drawn from Beta(alpha, alpha): 0.2 is usual for mixup, 1 for "
        "cutmix",
    )


class GradientPhase(Section):
    """A phase trained by gradient descent."""

    solver: Literal["gradient"] = "gradient"
    unfreeze: Literal["none", "all"] | PartOfBackbone = Field(
        default="none",
        description="what of the backbone is trained: none (heads only), all, {last_blocks: N}, or "
        "{patterns: [NAME, …]}",
    )
    epochs: PositiveInt | None = Field(default=None, description="passes over the training images")
    steps: PositiveInt | None = Field(
        default=None, description="batches, in place of epochs; validated after each whole pass"
    )
    learning_rate: PositiveFloat = Field(description="highest learning rate of the phase")
    schedule: Schedule = Field(
        default=Schedule(), description="how the learning rate runs through the phase"
    )
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=1.0,
        description="the learning rate of the k-th block below the heads is multiplied by "
        "layer_decay to the power of k",
    )
    head_learning_rate_factor: PositiveFloat = Field(
        default=1.0, description="the learning rate of the heads as a multiple of learning_rate"
    )
    weight_decay: NonNegativeFloat = Field(
        default=0.0,
        description="decoupled weight decay, times the learning rate; not on biases and "
        "normalisation",
    )
    l2sp: L2Sp | None = Field(
        default=None, description="a penalty on the distance to the pretrained weights"
    )
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        default=None,
        description="decay in each step, after a warm-up, of an exponential moving average of the "
        "weights, which is validated, kept and trained on from",
    )
    batch_norm: Literal["frozen", "adapt"] = Field(
        default="frozen",
        description="statistics of BatchNormalization in trained blocks: kept, or adapted to the "
        "data",
    )
    augment: Augmentation = Field(default="none", description="preset of image augmentation")
    mix: Mix | None = Field(
        default=None, description="train on mixtures of two images each (mixup or cutmix)"
    )
    early_stop: EarlyStop | None = Field(
        default=None, description="end the phase when validation no longer gets better"
    )


class LinearPhase(Section):
    """A heads-only phase solved to convergence on the frozen features.

    Classes and labels are solved by logistic regression, numbers by ridge regression.
    """

    solver: Literal["linear"]
    unfreeze: Literal["none"] = "none"
    inverse_regularization: tuple[PositiveFloat, ...] = Field(
        default=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        min_length=1,
        description="candidates of scikit-learn's C on standardised features (1/alpha of its ridge "
        "regression); validation chooses",
    )
    choose_by: Literal["loss", "top1"] = Field(
        default="loss",
        description="validation metric that chooses; the other one breaks ties; top1 for classes",
    )
    refit: bool = Field(
        default=False,
        description="solve again on training and validation data with the chosen value",
    )
    when_too_large: Literal["gradient", "solve"] = Field(
        default="gradient",
        description="where solving would take more than half of the machine's memory (150 bytes "
        "for each weight: tens of thousands of classes): train the heads by 20 epochs of gradient "
        "steps, or solve them all the same",
    )


Phase = Annotated[
    Annotated[GradientPhase, Tag("gradient")] | Annotated[LinearPhase, Tag("linear")],
    discriminator_or("solver", "gradient"),
]


class CacheConfig(Section):
    """What a phase freezes is a fixed function: its outputs can be computed once and cached.

    With one view of each image and in float32, cached and uncached training give the same weights
    to float rounding.
    """

    mode: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="auto: where it is exact and pays (see docs/caching.md); on: wherever it is "
        "possible; off: compute everything anew in each epoch, except for a solved phase",
    )
    views: PositiveInt | None = Field(
        default=None,
        description="augmented views of each image that are cached in a phase with augmentation, "
        "another one each epoch: an approximation. Not set: such a phase is not cached",
    )
    dtype: Literal["float32", "float16"] = Field(
        default="float32", description="type of the cached numbers; float16 is an approximation"
    )
    engine: Literal["auto", "openvino"] = Field(
        default="auto",
        description="what computes the frozen part, cached or not; auto: XNNPACK where it agrees "
        "with Keras, else Keras; openvino: OpenVINO (extra openvino) in bfloat16, an "
        "approximation, on processors that have it, else in float32",
    )
    max_gb: PositiveFloat = Field(
        default=20.0,
        description="limit of the whole cache on disk; what has been unused for longest makes room",
    )


class TrainConfig(Section):
    """Everything about training. `strategy` is a short form that becomes `phases` on loading."""

    batch_size: PositiveInt = Field(default=32, description="images in a step")
    micro_batch_size: PositiveInt | None = Field(
        default=None,
        description="images that go through the model at once, where a batch needs too much "
        "memory: gradients are accumulated over the batch",
    )
    sampling: Literal["uniform", "balanced"] = Field(
        default="uniform",
        description="an epoch of gradient steps sees every image once, or equally many images of "
        "each class, some repeated or left out",
    )
    optimizer: OptimizerConfig = Field(
        default=AdamWOptimizer(name="adamw"),
        description="optimizer of all phases; its state carries over from phase to phase",
    )
    phases: tuple[Phase, ...] = Field(
        min_length=1, description="the freeze schedule, in order; `strategy` is its short form"
    )
    monitor: Literal["metric", "loss"] = Field(
        default="metric",
        description="what chooses the best weights on validation data, the other one breaking "
        "ties: the mean of the heads' metrics (top-1, F1, absolute error, mean IoU), or the loss",
    )
    keep_best: bool = Field(
        default=True, description="end with the best weights of any phase, not with the last ones"
    )
    mixed_precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        default="float32", description="policy of the layers; exports are float32"
    )
    checkpoint_seconds: PositiveFloat = Field(
        default=60.0,
        description="seconds of work between checkpoints; there is one after each phase too, "
        "and after each epoch that takes more than five seconds",
    )
    cache: CacheConfig = Field(
        default=CacheConfig(), description="what is below the cut is computed once and kept on disk"
    )
