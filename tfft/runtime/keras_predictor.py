"""A `.keras` file as a predictor."""

from collections.abc import Sequence
from pathlib import Path

from tfft.system.tensorflow import tf

import numpy as np

from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import Outputs, ReadablePredictor, answers_of_outputs, require_described
from tfft.runtime.tensorflow_pixels import TensorflowPixels


class KerasPredictor(ReadablePredictor):
    """Answers with a Keras model.

    Args:
        path: Path of the `.keras` file.
        info: The model's description.

    Raises:
        ModelFileError: The file is not a Keras model, or could run code when loaded.
    """

    kind = "keras"
    decoder = "tensorflow"

    def __init__(self, path: Path, info: ModelInfo) -> None:
        self.path = str(path)
        self.info = info
        self.model = load_keras_file(path)
        outputs = self.model.output if isinstance(self.model.output, dict) else {}
        sizes = {name: tensor.shape[-1] for name, tensor in outputs.items()}
        require_described(info, self.path, self.model.input_shape[1:], sizes)
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
        return answers_of_outputs(self.info, {n: tensor.numpy() for n, tensor in outputs.items()})

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        return self.answers(self.pixels(encoded, boxes))
