"""The one interface over every kind of saved model."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.system.readable import Readable

Outputs = dict[str, np.ndarray]


class Predictor(Protocol):
    """A saved model that answers, whatever it is saved as.

    Attributes:
        info: what the model says of itself.
        kind: ``keras``, ``savedmodel``, ``tflite`` or ``served``.
        path: where it was loaded from, or the URL where it answers.
        decoder: what decodes images in `answers_from_bytes`: ``tensorflow`` or ``pillow`` in
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
        """Returns logits float32 [n, classes] by head, of heads with classes."""
        ...

    def answers(self, images: np.ndarray) -> Outputs:
        """Returns what each head says of images as `pixels` gives them.

        Probabilities float32 [n, classes] for classification (at the head's temperature) and
        multi_label, boxes [n, 4] (ymin, xmin, ymax, xmax) as shares of the pixels, numbers [n, 1].
        """
        ...

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        """Returns `answers` for encoded images, by this model's own way from bytes on.

        Raises:
            DataError: An image cannot be read, or this model cannot cut boxes.
        """
        ...


class ReadablePredictor(Readable):
    """What predictors of every kind say of themselves where a person prints them."""

    info: ModelInfo
    kind: str
    path: str

    def lines(self) -> list[str]:
        pixels, heads = self.info.pixels, self.info.heads
        return [
            f"{self.path} ({self.kind}): {self.info.name}, {self.info.backbone}",
            f"images of {pixels.height} x {pixels.width} px",
            *(
                f"head {name}: {head.kind}"
                + (f", {len(head.class_names)} classes" if head.class_names else "")
                for name, head in heads.items()
            ),
        ]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities float32 [n, classes] of logits [n, classes]."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Returns a probability for each of the logits float32 [n, labels]."""
    return (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(logits.dtype)


def answer(head: HeadInfo, output: np.ndarray) -> np.ndarray:
    """Returns what a head says, from the output of the Keras model: logits, a box or a number."""
    if head.kind == "classification":
        return softmax(output / np.float32(head.temperature))
    return sigmoid(output) if head.kind == "multi_label" else output


def answer_name(name: str, heads: Mapping[str, HeadInfo]) -> str:
    """Returns what an exported model calls the answer of a head.

    ``probabilities``, ``box`` or ``value``; where there are several heads, ``NAME_probabilities``,
    and NAME alone for a box or a number.
    """
    if heads[name].class_names:
        return _named("probabilities", name, heads)
    plain = {"box": "box", "regression": "value"}[heads[name].kind]
    return plain if len(heads) == 1 else name


def logits_name(name: str, heads: Mapping[str, HeadInfo]) -> str | None:
    """Returns what an exported model calls the logits of a head; None if it has none."""
    return _named("logits", name, heads) if heads[name].class_names else None


def _named(kind: str, name: str, heads: Mapping[str, HeadInfo]) -> str:
    return kind if len(heads) == 1 else f"{name}_{kind}"
