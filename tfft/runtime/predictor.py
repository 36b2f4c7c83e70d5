"""The one interface over every kind of saved model."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tfft.runtime.info import ModelInfo

Outputs = dict[str, np.ndarray]


class Predictor(Protocol):
    """A saved model that answers, whatever it is saved as.

    Attributes:
        info: what the model says of itself.
        kind: ``keras``, ``savedmodel`` or ``tflite``.
        path: where it was loaded from.
        decoder: what decodes images in `probabilities_from_bytes`: ``tensorflow`` or ``pillow`` in
            the client, or the ``model`` itself.
    """

    info: ModelInfo
    kind: str
    path: str
    decoder: str

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        """Returns the model's input for encoded images, decoded as this client decodes.

        Args:
            encoded: whole image files.
            boxes: float32 [n, 4], what is cut from each image first: (ymin, xmin, ymax, xmax) as
                shares of the height and width; None: nothing.

        Returns:
            float32 [n, height, width, 3], RGB, 0..255.

        Raises:
            DataError: An image cannot be read.
        """
        ...

    def logits(self, images: np.ndarray) -> Outputs:
        """Returns logits float32 [n, classes] by head for images as `pixels` gives them."""
        ...

    def probabilities(self, images: np.ndarray) -> Outputs:
        """Returns probabilities float32 [n, classes] by head for images as `pixels` gives them."""
        ...

    def probabilities_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        """Returns probabilities for encoded images, by this model's own way from bytes on.

        Raises:
            DataError: An image cannot be read, or this model cannot cut boxes.
        """
        ...


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities float32 [n, classes] of logits [n, classes]."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def output_name(kind: str, head: str, heads: Mapping[str, object]) -> str:
    """Returns what an exported model calls an output of a head.

    Args:
        kind: ``probabilities`` or ``logits``.
        head: name of the head.
        heads: all of them; a single head's name is left out.
    """
    return kind if len(heads) == 1 else f"{head}_{kind}"
