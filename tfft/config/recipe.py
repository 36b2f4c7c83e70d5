"""The whole recipe."""

from typing import Annotated, Literal

from pydantic import Field

from tfft.config.base import Name, PositiveInt, Section
from tfft.config.data import DataConfig, ImageConfig
from tfft.config.model import BackboneConfig, ClassificationHead, HeadsConfig
from tfft.config.train import TrainConfig


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

    name: Name
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=0, description="of weights, order, augmentation and dropout"
    )
    data: DataConfig
    image: ImageConfig = ImageConfig()
    backbone: BackboneConfig
    heads: HeadsConfig = Field(
        default_factory=lambda: {"label": ClassificationHead()}, min_length=1
    )
    train: TrainConfig
    export: ExportConfig = ExportConfig()
