"""From a model's input to its backbone's: for images, an adapter and preprocessing.

The adapter maps other numbers of channels to three by a 1x1 convolution and enlarges small images;
preprocessing is what the backbone's weights were trained with. Both are layers and operations of
Keras alone, so that a saved ``.keras`` file loads without tfft and in safe mode.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tfft.system.tensorflow import keras

import numpy as np

from tfft.catalog.image_size import ImageSize, sides

_RGB = 3
# Per channel (RGB), of pixels in 0..1; the normalisation of torchvision's ImageNet weights.
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)
# Per channel (BGR), of pixels in 0..255; the normalisation of the original Caffe weights.
_CAFFE_MEAN = (103.939, 116.779, 123.68)

Channels = Literal["repeat", "inflate", "conv"]


class Front(Protocol):
    """From what a model takes to what its backbone takes.

    Attributes:
        name: Name of the model's input.
        shape: Shape of one example, without the batch.
        dtype: Data type of the input.
        layers: Layers that have variables, in order.
        weights: Trainable variables.
    """

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int | None, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def layers(self) -> tuple[keras.layers.Layer, ...]: ...
    @property
    def weights(self) -> tuple[keras.Variable, ...]: ...

    def __call__(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the input of the backbone."""
        ...


def new_input(front: Front) -> Any:
    """Returns a symbolic input [batch, *shape] of a model with this front."""
    return keras.Input(front.shape, dtype=front.dtype, name=front.name)


@dataclass(frozen=True, eq=False)
class InputAdapter:
    """The layers between a model's input and its preprocessing.

    Attributes:
        layers: Layers in order.
        weights: Trainable variables; none where the channels are mapped by fixed weights.
    """

    layers: tuple[keras.layers.Layer, ...] = ()
    weights: tuple[keras.Variable, ...] = ()

    def __call__(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Returns RGB images, 0..255, at the backbone's size."""
        for layer in self.layers:
            images = layer(images)
        return images


@dataclass(frozen=True, eq=False)
class ImageFront:
    """Images float32 [batch, height, width, channels], 0..255, to preprocessed pixels.

    Attributes:
        size_px: Height and width of the input in pixels.
        channels: Number of channels of the input.
        adapter: Layers that make RGB images at the backbone's size.
        preprocessing: Preprocessing that the backbone's weights were trained with.
        name: Name of the model's input.
        dtype: Data type of the input.
    """

    size_px: ImageSize
    channels: int
    adapter: InputAdapter
    preprocessing: str
    name: str = "images"
    dtype: str = "float32"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (*sides(self.size_px), self.channels)

    @property
    def layers(self) -> tuple[keras.layers.Layer, ...]:
        return self.adapter.layers

    @property
    def weights(self) -> tuple[keras.Variable, ...]:
        return self.adapter.weights

    def __call__(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return preprocess(self.adapter(inputs), self.preprocessing)


def build_adapter(
    size_px: ImageSize, channels: int, backbone_px: ImageSize, kind: Channels | None
) -> InputAdapter:
    """Builds the adapter of a model.

    Args:
        size_px: Height and width of the model's input in pixels.
        channels: Number of channels of the model's input.
        backbone_px: Height and width in pixels of the images that the backbone takes.
        kind: How other channels become three, see `channel_map`; None: there are three already.
    """
    layers: list[keras.layers.Layer] = []
    weights: tuple[keras.Variable, ...] = ()
    if kind is not None:
        convolution: Any = keras.layers.Conv2D(  # Keras types its kernel as optional
            _RGB, 1, use_bias=False, dtype="float32", name="adapter_channels"
        )
        convolution.build((None, *sides(size_px), channels))
        convolution.kernel.assign(channel_map(kind, channels)[None, None])
        if kind == "conv":
            weights = (convolution.kernel,)
        else:
            convolution.trainable = False
        layers.append(convolution)
    if backbone_px != size_px:
        layers.append(
            keras.layers.Resizing(
                *sides(backbone_px), "bilinear", dtype="float32", name="adapter_size"
            )
        )
    return InputAdapter(tuple(layers), weights)


def channel_map(kind: Channels, channels: int) -> np.ndarray:
    """Returns how much of each channel goes into red, green and blue, float32 [channels, 3].

    ``repeat``: red, green and blue are each the mean of all channels. ``inflate``: the channels
    take turns as red, green and blue, scaled to keep the sum, as timm repeats the kernels of a
    first layer for other numbers of channels; a single channel goes into all three. ``conv``:
    starts as ``inflate`` and is trained.
    """
    if kind == "repeat" or channels == 1:
        return np.full((channels, _RGB), 1.0 / channels, np.float32)
    dealt = np.zeros((channels, _RGB), np.float32)
    dealt[np.arange(channels), np.arange(channels) % _RGB] = _RGB / channels
    return dealt


def preprocess(images: keras.KerasTensor, mode: str) -> keras.KerasTensor:
    """Applies the preprocessing that a backbone's weights were trained with.

    Args:
        images: float32 [batch, height, width, 3], RGB, 0..255.
        mode: One of `tfft.catalog.spec.Preprocessing`.

    Returns:
        float32 [batch, height, width, 3]. The layers compute in float32 under every dtype policy:
        half precision cannot hold 0..255 without loss.
    """
    if mode == "none":
        return images
    pixels: Any = images  # Keras types the result of an operation too broadly
    scale: Any
    offset: Any
    if mode == "caffe":
        pixels = keras.ops.flip(images, axis=-1)
        scale, offset = 1.0, [-mean for mean in _CAFFE_MEAN]
    elif mode == "torch":
        scale = [1.0 / (255.0 * std) for std in _TORCH_STD]
        offset = [-mean / std for mean, std in zip(_TORCH_MEAN, _TORCH_STD, strict=True)]
    else:
        scale, offset = {
            "unit": (1 / 255.0, 0.0),
            "tf": (1 / 127.5, -1.0),
            "lite": (1 / 128.0, -127.0 / 128.0),
        }[mode]
    rescaling: Any = keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessing")
    return rescaling(pixels)
