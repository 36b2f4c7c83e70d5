"""The common interface of all kinds of saved models."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tfft.errors import ModelFileError
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.system.names import UNLIKENESS
from tfft.system.readable import Readable

Outputs = dict[str, np.ndarray]


class Predictor(Protocol):
    """A saved model of any kind that predicts.

    Attributes:
        info: The model's description.
        kind: ``keras``, ``converted`` (a Keras model that answers through TFLite),
            ``savedmodel``, ``tflite`` or ``served``.
        path: Path that it was loaded from, or URL of a served model.
        decoder: Decoder of the images in `answers_from_bytes`: ``tensorflow`` or ``pillow`` in
            this process, or the ``model`` itself.
    """

    info: ModelInfo
    kind: str
    path: str
    decoder: str

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        """Returns the model's input for encoded images, which are decoded in this process.

        Args:
            encoded: Contents of image files.
            boxes: Box that each image is cropped to first, float32 [n, 4]: (ymin, xmin, ymax,
                xmax) as shares of the height and width; None: images are not cropped.

        Returns:
            float32 [n, height, width, 3], RGB, 0..255.

        Raises:
            DataError: An image cannot be read.
        """
        ...

    def logits(self, images: np.ndarray) -> Outputs:
        """Returns logits float32 [n, classes] of each head with classes.

        Args:
            images: Pixels as `pixels` returns them.
        """
        ...

    def answers(self, images: np.ndarray) -> Outputs:
        """Returns the predictions of each head.

        Args:
            images: Pixels as `pixels` returns them.

        Returns:
            By head, float32: probabilities [n, classes] of a classification (at the head's
            temperature) or of labels, boxes [n, 4] (ymin, xmin, ymax, xmax) as shares of the
            height and width of `images`, or numbers [n, 1]. If the model measures it (`info.unsure`
            is not None), ``unlikeness`` [n, 1]: how far each image is from the training images, 0
            or more; above 1 the model is unsure.
        """
        ...

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        """Returns the predictions for encoded images, decoded by this model's `decoder`.

        Args:
            encoded: Contents of image files.
            boxes: Box that each image is cropped to first; see `pixels`.

        Raises:
            DataError: An image cannot be read, or this model cannot crop images.
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
                + "".join(f", {p.label} above {p.threshold:.4g}" for p in head.operating_points)
                for name, head in heads.items()
            ),
        ]


def require_described(
    info: ModelInfo, source: str, takes: Sequence[int | None], answers: Mapping[str, int | None]
) -> None:
    """Requires that a model and its description belong together.

    Args:
        info: The description.
        source: File or directory of the model, for messages.
        takes: Shape of its input without the batch: height, width, channels; None: any.
        answers: Size of the last dimension of each head's answer, and of ``unlikeness``, by name;
            None where it is not known. What the model does not have is missing.

    Raises:
        ModelFileError: The description is that of another model.
    """
    said = (info.pixels.height, info.pixels.width, info.pixels.channels)
    if len(takes) != len(said) or any(
        size not in (None, wanted) for size, wanted in zip(takes, said, strict=True)
    ):
        raise ModelFileError(
            f"{source} takes images of the shape {list(takes)}, and its description says "
            f"{list(said)}: it is that of another model"
        )
    for name, head in info.heads.items():
        classes = len(head.class_names)
        if name not in answers or (classes and answers[name] not in (None, classes)):
            found = answers.get(name, "no")
            raise ModelFileError(
                f"{source} has {found} values for {name!r}, and its description says "
                f"{classes or 'some'}: it is that of another model"
            )
    if info.unsure is not None and answers.get(UNLIKENESS, "no") not in (None, 1):
        raise ModelFileError(
            f"{source} has no output {UNLIKENESS!r}, and its description says that it is unsure "
            "above a threshold: it is that of another model"
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities float32 [n, classes] of logits [n, classes]."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Returns the probability of each label, float32 [n, labels], for logits [n, labels]."""
    return (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(logits.dtype)


def answer(head: HeadInfo, output: np.ndarray) -> np.ndarray:
    """Returns a head's prediction from its output in the Keras model: logits, a box or a number."""
    if head.kind == "classification":
        return softmax(output / np.float32(head.temperature))
    return sigmoid(output) if head.kind == "multi_label" else output


def answers_of_outputs(info: ModelInfo, outputs: Mapping[str, np.ndarray]) -> Outputs:
    """Returns a model's predictions from the outputs of its Keras model, by name."""
    answers = {name: answer(head, outputs[name]) for name, head in info.heads.items()}
    if info.unsure is not None:
        answers[UNLIKENESS] = outputs[UNLIKENESS] / np.float32(info.unsure.threshold)
    return answers


def answer_names(info: ModelInfo) -> dict[str, str]:
    """Returns the name of each prediction among the outputs of an exported model.

    That of ``unlikeness`` is the same.
    """
    names = {head: answer_name(head, info.heads) for head in info.heads}
    return names if info.unsure is None else {**names, UNLIKENESS: UNLIKENESS}


def answer_name(name: str, heads: Mapping[str, HeadInfo]) -> str:
    """Returns the name of a head's prediction among the outputs of an exported model.

    With one head it is ``probabilities``, ``box`` or ``value``; with several heads
    ``NAME_probabilities``, or NAME alone for a box or a number.
    """
    if heads[name].class_names:
        return _named("probabilities", name, heads)
    plain = {"box": "box", "regression": "value"}[heads[name].kind]
    return plain if len(heads) == 1 else name


def logits_name(name: str, heads: Mapping[str, HeadInfo]) -> str | None:
    """Returns the name of a head's logits in an exported model; None if the head has none."""
    return _named("logits", name, heads) if heads[name].class_names else None


def _named(kind: str, name: str, heads: Mapping[str, HeadInfo]) -> str:
    return kind if len(heads) == 1 else f"{name}_{kind}"
