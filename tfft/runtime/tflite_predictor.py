"""A `.tflite` file as a predictor; nothing here or below imports TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfft.errors import ModelFileError
from tfft.images.pixels import encoded_to_pixels
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import Outputs, output_name
from tfft.runtime.tflite_runner import TfliteFunction


class TflitePredictor:
    """Answers with the TFLite runtime; images are decoded by Pillow.

    Raises:
        ModelFileError: The file is no TFLite model that runs here, or not one of tfft's.
    """

    kind = "tflite"
    decoder = "pillow"

    def __init__(self, path: Path, info: ModelInfo) -> None:
        self.path = str(path)
        self.info = info
        self._function = TfliteFunction(Path(path).read_bytes())
        wanted = {output_name("logits", head, info.heads) for head in info.heads}
        if not wanted <= set(self._function.output_names):
            raise ModelFileError(
                f"{path} has the outputs {', '.join(self._function.output_names)}, "
                f"but its description names {', '.join(sorted(wanted))}"
            )

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        cuts = [None] * len(encoded) if boxes is None else boxes
        spec = self.info.pixels
        return np.stack([encoded_to_pixels(e, spec, b) for e, b in zip(encoded, cuts, strict=True)])

    def logits(self, images: np.ndarray) -> Outputs:
        return self._outputs("logits", images)

    def probabilities(self, images: np.ndarray) -> Outputs:
        return self._outputs("probabilities", images)

    def probabilities_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        return self.probabilities(self.pixels(encoded, boxes))

    def _outputs(self, kind: str, images: np.ndarray) -> Outputs:
        answers = dict(zip(self._function.output_names, self._function(images), strict=True))
        heads = self.info.heads
        return {head: answers[output_name(kind, head, heads)] for head in heads}
