"""From images that a backbone was not made for to ones that it takes, inside the model.

Channels are mapped by a 1x1 convolution on the pixels, before the backbone's preprocessing; small
images are enlarged. Only layers of Keras, so that a saved model needs nothing of tfft.
"""

from dataclasses import dataclass
from typing import Any, Literal

from tfft.system.tensorflow import keras

import numpy as np

_RGB = 3
Channels = Literal["repeat", "inflate", "conv"]


@dataclass(frozen=True, eq=False)
class InputAdapter:
    """The layers between a model's input and its preprocessing.

    Attributes:
        layers: in order.
        weights: the variables that gradients can train; none for fixed channels.
    """

    layers: tuple[keras.layers.Layer, ...] = ()
    weights: tuple[keras.Variable, ...] = ()

    def __call__(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Returns RGB images, 0..255, at the backbone's size."""
        for layer in self.layers:
            images = layer(images)
        return images


def build_adapter(
    size_px: int, channels: int, backbone_px: int, kind: Channels | None
) -> InputAdapter:
    """Builds the adapter of a model.

    Args:
        size_px: height and width of the model's input.
        channels: of the model's input.
        backbone_px: height and width that the backbone takes.
        kind: how other channels become three; see `channel_map`. None: they are three.
    """
    layers: list[keras.layers.Layer] = []
    weights: tuple[keras.Variable, ...] = ()
    if kind is not None:
        convolution: Any = keras.layers.Conv2D(  # Keras types its kernel as optional
            _RGB, 1, use_bias=False, dtype="float32", name="adapter_channels"
        )
        convolution.build((None, size_px, size_px, channels))
        convolution.kernel.assign(channel_map(kind, channels)[None, None])
        if kind == "conv":
            weights = (convolution.kernel,)
        else:
            convolution.trainable = False
        layers.append(convolution)
    if backbone_px != size_px:
        layers.append(
            keras.layers.Resizing(
                backbone_px, backbone_px, "bilinear", dtype="float32", name="adapter_size"
            )
        )
    return InputAdapter(tuple(layers), weights)


def channel_map(kind: Channels, channels: int) -> np.ndarray:
    """Returns how much of each channel goes into red, green and blue, float32 [channels, 3].

    ``repeat``: each of the three is the mean of all channels. ``inflate``: the backbone's first
    kernels are dealt out to the channels in turn and scaled to keep the sum, as timm does for other
    numbers of channels; one channel goes into all three. ``conv``: as ``inflate`` at first, and
    trained.
    """
    if kind == "repeat" or channels == 1:
        return np.full((channels, _RGB), 1.0 / channels, np.float32)
    dealt = np.zeros((channels, _RGB), np.float32)
    dealt[np.arange(channels), np.arange(channels) % _RGB] = _RGB / channels
    return dealt
