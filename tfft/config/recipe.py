"""The whole recipe."""

from typing import Annotated, Literal

from pydantic import Field

from tfft.config.base import Name, PositiveInt, Section
from tfft.config.data import DataConfig, ImageConfig
from tfft.config.model import BackboneConfig, ClassificationHead, HeadsConfig
from tfft.config.train import TrainConfig
from tfft.config.tune import TuneConfig


class ExportConfig(Section):
    """What `tfft export` writes."""

    name: Name | None = Field(
        default=None, description="name of the export; default: the recipe's name"
    )
    formats: tuple[Literal["savedmodel", "tflite"], ...] = Field(
        default=("savedmodel", "tflite"), min_length=1
    )
    check_images: PositiveInt = Field(
        default=256,
        description="evaluation images on which each file is compared with the Keras model",
    )


class Recipe(Section):
    """A run as data: what is trained on what, how, and what comes out."""

    name: Name = Field(
        description="letters, digits, _ and -, a letter first; the run and the export are called so"
    )
    description: str = Field(default="", description="what it is, in a line")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=0, description="of weights, order, augmentation and dropout"
    )
    data: DataConfig = Field(description="which images, and how they are split")
    image: ImageConfig = Field(default=ImageConfig(), description="which pixels the model sees")
    backbone: BackboneConfig = Field(description="the pretrained model that is transferred")
    heads: HeadsConfig = Field(
        default_factory=lambda: {"label": ClassificationHead()},
        min_length=1,
        description="what is predicted, by a name of your own",
    )
    train: TrainConfig = Field(description="how it is trained")
    export: ExportConfig = Field(default=ExportConfig(), description="what is exported")
    tune: TuneConfig | None = Field(default=None, description="what `tfft tune` searches")
