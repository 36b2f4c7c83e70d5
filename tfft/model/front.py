"""What stands between a model's input and its backbone: of images, adapter and preprocessing."""

from dataclasses import dataclass
from typing import Any, Protocol

from tfft.system.tensorflow import keras

from tfft.model.adapter import InputAdapter
from tfft.model.preprocess import preprocess


class Front(Protocol):
    """From what a model takes to what its backbone takes.

    Attributes:
        name: of the model's input.
        shape: of one example, without the batch; dtype: of the input.
        layers: that have variables, in order.
        weights: the variables that gradients can train.
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
        """Returns what the backbone takes."""
        ...


def new_input(front: Front) -> Any:
    """Returns a symbolic input of a model with this front, [batch, *shape]."""
    return keras.Input(front.shape, dtype=front.dtype, name=front.name)


@dataclass(frozen=True, eq=False)
class ImageFront:
    """Images float32 [batch, height, width, channels], 0..255, to preprocessed pixels.

    Attributes:
        size_px: height and width of the input; channels: of it.
        adapter: makes RGB images at the backbone's size of other ones.
        preprocessing: that the backbone's weights were trained with.
    """

    size_px: int
    channels: int
    adapter: InputAdapter
    preprocessing: str
    name: str = "images"
    dtype: str = "float32"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.size_px, self.size_px, self.channels)

    @property
    def layers(self) -> tuple[keras.layers.Layer, ...]:
        return self.adapter.layers

    @property
    def weights(self) -> tuple[keras.Variable, ...]:
        return self.adapter.weights

    def __call__(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return preprocess(self.adapter(inputs), self.preprocessing)
