"""What the catalog says of a backbone, as frozen data without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# How RGB pixels x in 0..255 become what the weights were trained on. The model applies it, the
# backbone's input is its result.
#   none:   x as it is (the backbone has its own preprocessing layers, or wants 0..255)
#   unit:   x / 255
#   tf:     x / 127.5 - 1
#   torch:  (x / 255 - mean) / std, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)
#   caffe:  channels reversed to BGR, minus (103.939, 116.779, 123.68); no scaling
#   lite:   (x - 127) / 128
Preprocessing = Literal["none", "unit", "tf", "torch", "caffe", "lite"]
# The first two are in the catalog; the spec of another is made when it is found.
Kind = Literal["application", "lite", "hub", "keras", "keras_hub"]


@dataclass(frozen=True)
class BlockSpec:
    """A named stage of a backbone.

    Attributes:
        name: Unique in its backbone.
        end: Name of the layer whose output ends the block. The block is everything that this
            output depends on and that no earlier block has; the last block has all the rest.
        otherwise: The end where a builder argument leaves `end` out, such as the residual sum of
            a block whose width an `alpha` has changed.
    """

    name: str
    end: str
    otherwise: str | None = None


@dataclass(frozen=True)
class ArgumentSpec:
    """One documented argument of a builder.

    Attributes:
        type: `float`, `int` or `bool`; an `int` is taken for a `float`.
        default: What the builder uses when it is not given.
        minimum: Smallest value of a number, exclusive for `float`, inclusive for `int`.
        description: What it does.
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
        url: Where it is published.
        digest: MD5 (32 hexadecimal digits) or SHA-256 (64) as Keras states it; None where Keras
            states none.
        arguments: The values of the builder arguments that the weights need.
        size_px: The image size that they were trained on, where there are several; else None.
    """

    name: str
    url: str
    digest: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    size_px: int | None = None


@dataclass(frozen=True, eq=False)
class BackboneSpec:
    """A backbone that can be built: what it is, where it is from, what it consists of.

    Attributes:
        name: As recipes and `tfft backbones` spell it.
        kind: Which builder makes it.
        builder: `module:function` of the builder.
        default_size_px: Height and width of the images that its ImageNet weights were made for.
        min_size_px: Smallest height and width that the builder accepts.
        preprocessing: What its ImageNet weights need; see `Preprocessing`.
        blocks: From input to output.
        parameters: Number of parameters without classifier, with default arguments.
        feature_size: Channels of the last activations, with default arguments.
        licence: Of the ImageNet weights, as Keras's documentation states it (that of Keras 2.3; it
            says none of younger families, where the entry says so).
        source: The page of the model or of its weights.
        imagenet_top1: Published top-1 on ImageNet's validation set, as a fraction; its size and
            crop are the publisher's.
        arguments: Documented builder arguments that a recipe may set.
        fixed_arguments: Builder arguments that tfft sets.
        first_layer: Where the backbone begins, if not at the builder's input: what the builder puts
            before is pixel normalisation, which `preprocessing` does instead.
        weights: Files with ImageNet weights; empty where they come from a Python package.
        normalization_in_file: Mean and variance that a normalisation layer in the weights file
            must hold, where `first_layer` leaves that layer out.
    """

    name: str
    kind: Kind
    builder: str
    default_size_px: int
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
