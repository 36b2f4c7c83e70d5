"""A `.tflite` file as a predictor; nothing here or below imports TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfft.errors import ModelFileError
from tfft.images.pixels import encoded_batch_to_pixels
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.runtime.predictor import (
    Outputs,
    ReadablePredictor,
    answer_names,
    logits_name,
    require_described,
)
from tfft.runtime.tflite.runner import ParallelTflite


class TflitePredictor(ReadablePredictor):
    """Answers with the TFLite runtime; Pillow decodes images.

    Args:
        path: Path of the file.
        info: The model's description.
        threads: Number of threads; default: one for each processor that this process may use.

    Raises:
        ModelFileError: The file is not a TFLite model that runs here, or its outputs are not
            those of its description.
    """

    kind = "tflite"
    decoder = "pillow"

    def __init__(self, path: Path, info: ModelInfo, threads: int | None = None) -> None:
        self.path = str(path)
        self.info = info
        self._model = ParallelTflite(Path(path).read_bytes(), threads)
        file = self._model.function
        self._names = file.output_names
        self._answers = answer_names(info)
        wanted = set(self._answers.values())
        if not wanted <= set(self._names):
            raise ModelFileError(
                f"{path} has the outputs {', '.join(self._names)}, "
                f"but its description names {', '.join(sorted(wanted))}"
            )
        named = dict(zip(self._names, file.output_sizes, strict=True))
        sizes = {answer: named[name] for answer, name in self._answers.items()}
        require_described(info, self.path, file.input_shape, sizes)

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        return encoded_batch_to_pixels(encoded, self.info.pixels, boxes)

    def logits(self, images: np.ndarray) -> Outputs:
        outputs, names = (
            self._outputs(images),
            {h: logits_name(h, self._heads) for h in self._heads},
        )
        return {head: outputs[name] for head, name in names.items() if name}

    def answers(self, images: np.ndarray) -> Outputs:
        outputs = self._outputs(images)
        return {answer: outputs[name] for answer, name in self._answers.items()}

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        return self.answers(self.pixels(encoded, boxes))

    @property
    def _heads(self) -> dict[str, HeadInfo]:
        return self.info.heads

    def _outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self._names, self._model(images), strict=True))
