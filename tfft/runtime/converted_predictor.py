"""A Keras model that answers through the TFLite file it was converted to, without TensorFlow.

A run or a `.keras` file is converted once, at the end of its training or when it first answers,
and compared with Keras then (`tfft.runtime.convert_model`). The file lies in the cache, by the
digest of the `.keras` file, and not in the run. What cannot be converted answers through Keras.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfft.cache.converted import Conversion, conversion_key
from tfft.errors import ModelFileError, UsageError, nearest
from tfft.images.pixels import encoded_batch_to_pixels
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import Outputs, ReadablePredictor, answers_of_outputs, require_described
from tfft.runtime.tflite.runner import ParallelTflite
from tfft.system.digests import file_sha256

ENGINES = ("auto", "keras")
# Which of them answers where none is named.
ENGINE_VARIABLE = "TFFT_ENGINE"
# Images a call: one, as in an export, so that a single photo is not computed several times.
BATCH_SIZE = 1


class ConvertedPredictor(ReadablePredictor):
    """Answers with the TFLite runtime in place of Keras; Pillow decodes images.

    Args:
        path: Path of the `.keras` file.
        info: The model's description.
        conversion: What it was converted to, a file.
        threads: Number of threads; default: one for each processor that this process may use.

    Raises:
        ModelFileError: The file is not a TFLite model that runs here, or not one of this model.
    """

    kind = "converted"
    decoder = "pillow"

    def __init__(
        self, path: Path, info: ModelInfo, conversion: Conversion, threads: int | None = None
    ) -> None:
        self.path = str(path)
        self.info = info
        self._model = ParallelTflite(conversion.content or b"", threads)
        self._names = conversion.outputs
        file = self._model.function
        if not file.takes_floats or len(file.output_sizes) != len(self._names):
            raise ModelFileError(f"what {path} was converted to is another model")
        sizes = dict(zip(self._names, file.output_sizes, strict=True))
        require_described(info, self.path, file.input_shape, sizes)

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        return encoded_batch_to_pixels(encoded, self.info.pixels, boxes)

    def logits(self, images: np.ndarray) -> Outputs:
        outputs = self._outputs(images)
        return {name: outputs[name] for name, head in self.info.heads.items() if head.class_names}

    def answers(self, images: np.ndarray) -> Outputs:
        return answers_of_outputs(self.info, self._outputs(images))

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        return self.answers(self.pixels(encoded, boxes))

    def _outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self._names, self._model(images), strict=True))


def may_convert(engine: str | None = None) -> bool:
    """Says whether a converted model may answer in place of Keras.

    Args:
        engine: ``auto`` or ``keras``; default: the variable ``TFFT_ENGINE``, or else ``auto``.

    Raises:
        UsageError: There is no such engine.
    """
    wanted = engine or os.environ.get(ENGINE_VARIABLE) or "auto"
    if wanted not in ENGINES:
        where = "" if engine else f" in {ENGINE_VARIABLE}"
        raise UsageError(
            f"an engine is one of {', '.join(ENGINES)}.{nearest(wanted, ENGINES)} "
            f"Received{where}: {wanted}"
        )
    return wanted == "auto"


def key_of_file(path: Path) -> str:
    """Returns the name of a `.keras` file's entry in the cache of converted models."""
    return conversion_key(model=file_sha256(path), batch_size=BATCH_SIZE)
