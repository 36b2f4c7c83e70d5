"""A `.keras` file as a predictor."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Registers the layer of hub modules with Keras, which a .keras file may hold.
import tfft.backbones.hub_layer  # noqa: F401
from tfft.errors import ModelFileError
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import Outputs, answer
from tfft.runtime.tensorflow_pixels import TensorflowPixels
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402


class KerasPredictor:
    """Answers with a Keras model.

    Raises:
        ModelFileError: The file is no Keras model, or one that could run code on loading.
    """

    kind = "keras"
    decoder = "tensorflow"

    def __init__(self, path: Path, info: ModelInfo) -> None:
        self.path = str(path)
        self.info = info
        self.model = load_keras(path)
        self._pixels = TensorflowPixels(info.pixels)
        self._forward = tf.function(
            lambda images: self.model(images, training=False),
            input_signature=[tf.TensorSpec([None, *self.model.input_shape[1:]], tf.float32)],
        )

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        return self._pixels(encoded, boxes)

    def logits(self, images: np.ndarray) -> Outputs:
        outputs = self._forward(tf.constant(images, tf.float32))
        return {n: outputs[n].numpy() for n, head in self.info.heads.items() if head.class_names}

    def answers(self, images: np.ndarray) -> Outputs:
        outputs = self._forward(tf.constant(images, tf.float32))
        return {n: answer(head, outputs[n].numpy()) for n, head in self.info.heads.items()}

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        return self.answers(self.pixels(encoded, boxes))


def load_keras(path: Path) -> keras.Model:
    """Loads a `.keras` file in safe mode: it can hold no code that is run.

    Raises:
        ModelFileError: The file cannot be read, or holds a Lambda.
    """
    try:
        with warnings.catch_warnings():
            # A guess of Keras 3.15.1 after a layer did not load, which it raises anyway.
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"cannot load the Keras model {path}: {_reason(error)}") from error
    return model


def _reason(error: Exception) -> str:
    """The first line of an error; of Keras's list of objects that do not load, the first fault."""
    paragraphs = str(error).strip().split("\n\n")
    if paragraphs[0].startswith("A total of ") and len(paragraphs) > 1:
        return paragraphs[1].strip()
    return paragraphs[0].splitlines()[0] if paragraphs[0] else repr(error)
