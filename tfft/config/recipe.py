"""The whole recipe."""

from typing import Annotated, Literal

from pydantic import Field

from tfft.config.base import Name, PositiveInt, Section
from tfft.config.data import DataConfig, ImageConfig
from tfft.config.model import BackboneConfig, ClassificationHead, HeadsConfig
from tfft.config.train import TrainConfig
from tfft.config.tune import TuneConfig

# The most images in a request that the server's configuration of an export lets in.
MAX_REQUEST_IMAGES = 1024

Precision = Literal["float32", "float16", "dynamic_int8", "int8"]


class TfliteConfig(Section):
    """The TFLite files that are written."""

    precisions: tuple[Precision, ...] = Field(
        default=("float32",),
        min_length=1,
        description="a file each: float32; float16 weights; int8 weights (dynamic_int8); int8 "
        "weights and activations (int8)",
    )
    batch_size: PositiveInt = Field(
        default=1,
        description="images that a file takes at once; 1 suits browsers and phones",
    )
    int8_input: Literal["uint8", "float32"] = Field(
        default="uint8", description="type of the int8 file's input; values are 0..255 in both"
    )
    calibration_images: PositiveInt = Field(
        default=200,
        description="training images, equally many of each class, that set the ranges of int8",
    )
    max_accuracy_drop: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.01,
        description="a smaller file whose metric (accuracy, F1, mean IoU; for numbers the mean "
        "error as a share of their spread) is worse than the Keras model's by more is not put in "
        "place",
    )
    timed: bool = Field(
        default=True,
        description="measure latency and memory of each file, in processes of its own",
    )


class WarmUpConfig(Section):
    """The requests that TF Serving runs on a SavedModel before it serves it."""

    signatures: tuple[Literal["serving_default", "serve_uint8", "serve_bytes"], ...] = Field(
        default=("serving_default", "serve_bytes"), min_length=1
    )
    batch_sizes: tuple[Annotated[int, Field(ge=1, le=MAX_REQUEST_IMAGES)], ...] = Field(
        default=(1, 32),
        description="a request of each size; an empty list: no warm-up. A server that refuses one "
        "of them does not load the version, so none is larger than its `max_batch_size` "
        "(`batching_parameters.txt`)",
    )


class ExportConfig(Section):
    """What `tfft export` writes."""

    name: Name | None = Field(
        default=None, description="name of the export; default: the recipe's name"
    )
    formats: tuple[Literal["savedmodel", "tflite"], ...] = Field(
        default=("savedmodel", "tflite"), min_length=1
    )
    calibrated: bool = Field(
        default=False,
        description="divide the logits by the temperature fitted on validation images (`tfft "
        "calibrate`), so that probabilities are what they say; the output `logits` stays raw",
    )
    check_images: PositiveInt = Field(
        default=256,
        description="evaluation images on which each file is compared with the Keras model",
    )
    savedmodel_weights: Literal["float32", "float16", "bfloat16"] = Field(
        default="float32",
        description="how a SavedModel stores kernels; it computes in float32 whatever they are",
    )
    default_signature: Literal["serve_float32", "serve_uint8", "serve_bytes"] = Field(
        default="serve_float32",
        description="what `serving_default` is, which callers get who name no signature: pixels as "
        "float32 or uint8, or image files. Where it is not float32, `serve_float32` takes these",
    )
    warm_up: WarmUpConfig = Field(
        default=WarmUpConfig(), description="what TF Serving runs before it serves the SavedModel"
    )
    tflite: TfliteConfig = Field(default=TfliteConfig(), description="which TFLite files")


class UnsureConfig(Section):
    """From where on the model is unsure, as an image is unlike those that it was trained on."""

    keep: Annotated[float, Field(ge=0.5, lt=1.0)] | None = Field(
        default=0.95,
        description="share of images like those of the data that the threshold, set on validation "
        "images, is to keep; it takes keep / (1 - keep) of these, 19 for 0.95. null: the model "
        "does not measure it",
    )


class Recipe(Section):
    """A run as data: what is trained on what, how, and what comes out."""

    name: Name = Field(
        description="letters, digits, _ and -, a letter first; names the run and the export"
    )
    description: str = Field(default="", description="what the recipe is for, in one line")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=0, description="seed of weights, order, augmentation and dropout"
    )
    data: DataConfig = Field(description="which images, and how they are split")
    image: ImageConfig = Field(default=ImageConfig(), description="which pixels the model sees")
    backbone: BackboneConfig = Field(description="the pretrained model that is transferred")
    heads: HeadsConfig = Field(
        default_factory=lambda: {"label": ClassificationHead()},
        min_length=1,
        description="what is predicted, under names of your own",
    )
    train: TrainConfig = Field(description="how it is trained")
    unsure: UnsureConfig = Field(
        default=UnsureConfig(), description="when an image is none of what the model knows"
    )
    export: ExportConfig = Field(default=ExportConfig(), description="what is exported")
    tune: TuneConfig | None = Field(default=None, description="what `tfft tune` searches")
