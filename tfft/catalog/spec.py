"""The catalog's facts about a backbone, as frozen data without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tfft.catalog.image_size import ImageSize

# How RGB pixels x in 0..255 become what the weights were trained on. The model applies it before
# the backbone (`tfft.model.front.preprocess`).
#   none:   x as it is (the backbone has its own preprocessing layers, or wants 0..255)
#   unit:   x / 255
#   tf:     x / 127.5 - 1
#   torch:  (x / 255 - mean) / std, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)
#   caffe:  channels reversed to BGR, minus (103.939, 116.779, 123.68); no scaling
#   lite:   (x - 127) / 128
Preprocessing = Literal["none", "unit", "tf", "torch", "caffe", "lite"]
# The result in words, for people.
PREPROCESSED_PIXELS: Mapping[Preprocessing, str] = {
    "none": "0 … 255",
    "unit": "0 … 1",
    "tf": "-1 … 1",
    "torch": "ImageNet mean and deviation",
    "caffe": "BGR, minus the ImageNet mean",
    "lite": "(x - 127) / 128",
}
# The preprocessing for each `input_range` that a recipe can give for a model from elsewhere.
PREPROCESSING_OF_RANGE: Mapping[tuple[float, ...], Preprocessing] = {
    (0, 1): "unit",
    (-1, 1): "tf",
    (0, 255): "none",
}
INPUT_RANGES = "[0, 1], [-1, 1] or [0, 255]"
# The catalog has the first two kinds; the spec of another kind is made when its model is read.
Kind = Literal["application", "lite", "hub", "keras", "keras_hub"]


@dataclass(frozen=True)
class BlockSpec:
    """A named stage of a backbone.

    Attributes:
        name: Unique in its backbone.
        end: Name of the layer whose output ends the block. The block is everything that this
            output depends on and that no earlier block holds; the last block holds the rest.
        otherwise: Name of the layer that ends the block where a builder argument removes `end`,
            such as the residual sum of a block whose width depends on `alpha`.
    """

    name: str
    end: str
    otherwise: str | None = None


@dataclass(frozen=True)
class ArgumentSpec:
    """One documented argument of a builder.

    Attributes:
        type: `float`, `int` or `bool`; an `int` is accepted where a `float` is expected.
        default: The builder's own default value.
        minimum: Smallest value of a number, exclusive for `float`, inclusive for `int`.
        description: Effect of the argument.
    """

    type: type
    default: float | int | bool
    minimum: float | int | None = None
    description: str = ""


@dataclass(frozen=True)
class WeightsFile:
    """ImageNet weights without classifier, as their source publishes them.

    Attributes:
        name: File name in Keras's cache (`$KERAS_HOME/models` or `~/.keras/models`).
        url: Address that the file is published at.
        digest: MD5 (32 hexadecimal digits) or SHA-256 (64 digits) as Keras states it; None where
            Keras states none.
        arguments: Values of the builder arguments that the weights need.
        size_px: Height and width of the training images where weights are published for several
            sizes; else None.
    """

    name: str
    url: str
    digest: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    size_px: int | None = None


@dataclass(frozen=True, eq=False)
class BackboneSpec:
    """A backbone that can be built: its builder, source, weights and blocks.

    Attributes:
        name: Name in recipes and in `tfft backbones`.
        kind: Kind of backbone, which decides how it is built.
        builder: `module:function` of the builder.
        default_size_px: Height and width of the images that its weights were trained on; one number
            in the catalog.
        min_size_px: Smallest height and width that the builder accepts.
        preprocessing: Preprocessing that its ImageNet weights need; see `Preprocessing`.
        blocks: Its blocks from input to output.
        parameters: Number of parameters without the classifier, with default arguments.
        feature_size: Number of channels of the last activations, with default arguments.
        licence: Licence of the ImageNet weights, as the documentation of Keras 2.3 states it; that
            states none for younger families, whose entries say so.
        source: Page of the model or of its weights.
        imagenet_top1: Published top-1 on ImageNet's validation set, as a fraction, at the size and
            crop of the publisher.
        arguments: Documented builder arguments that a recipe can set.
        fixed_arguments: Builder arguments that tfft sets.
        first_layer: Name of the layer where the backbone begins; None: at the builder's input. The
            layers before it normalise pixels, which `preprocessing` does instead.
        weights: Files with ImageNet weights; empty where they come from a Python package.
        normalization_in_file: Mean and variance that a normalisation layer in the weights file
            must hold, where `first_layer` leaves that layer out.
        licence_package: Python distribution that has the weights and the text of their licence;
            None where no package has them.
    """

    name: str
    kind: Kind
    builder: str
    default_size_px: ImageSize
    min_size_px: int
    preprocessing: Preprocessing
    blocks: tuple[BlockSpec, ...]
    parameters: int
    feature_size: int
    licence: str
    source: str
    imagenet_top1: float | None = None
    arguments: Mapping[str, ArgumentSpec] = field(default_factory=dict)
    fixed_arguments: Mapping[str, Any] = field(default_factory=dict)
    first_layer: str | None = None
    weights: tuple[WeightsFile, ...] = ()
    normalization_in_file: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    licence_package: str | None = None
