"""Converts a trained Keras model to the TFLite file that answers in its place.

It is compared with Keras on made images, within the tolerances that an export must keep: outputs
within 1e-4 of the largest, probabilities and edges of boxes within 1e-4.
"""

from collections.abc import Sequence
from pathlib import Path

from tfft.system.tensorflow import keras

import numpy as np

from tfft.cache.converted import Conversion, can_keep_conversion, conversion_key
from tfft.images.spec import PixelSpec
from tfft.runtime.converted_predictor import BATCH_SIZE
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import answer
from tfft.runtime.tflite.agreement import AGREEMENT, outputs_agree
from tfft.runtime.tflite.convert_frozen import agreeing_conversion
from tfft.system.device import on_gpu
from tfft.system.digests import file_sha256
from tfft.system.names import UNLIKENESS


def convert_model(model: keras.Model, path: Path, info: ModelInfo) -> Conversion | None:
    """Converts a model and keeps the file in the cache, or why there is none.

    Args:
        model: The model in `path`.
        path: Its `.keras` file.
        info: The model's description.

    Returns:
        What became of it; None where nothing is tried: nothing could be kept, Keras computes on a
        GPU, or the description does not name all outputs.
    """
    if set(model.output) - {UNLIKENESS} != set(info.heads) or on_gpu():
        return None
    digest = file_sha256(path)
    if not can_keep_conversion(conversion_key(model=digest, batch_size=BATCH_SIZE)):
        return None
    heads = [info.heads.get(name) for name in sorted(model.output)]

    def agree(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
        if not outputs_agree(actual, expected):
            return False
        pairs = zip(heads, actual, expected, strict=True)
        return all(
            np.abs(answer(head, a) - answer(head, e)).max() <= AGREEMENT
            for head, a, e in pairs
            if head is not None and head.kind != "regression"
        )

    return agreeing_conversion(
        model,
        BATCH_SIZE,
        made_images(info.pixels),
        identity=digest,
        about={"what": "converted model", "backbone": info.backbone, "recipe": info.name},
        agree=agree,
    )


def made_images(pixels: PixelSpec) -> np.ndarray:
    """Returns four images of different kinds: noise, a gradient, stripes of colour, black.

    Returns:
        float32 [4, height, width, channels], 0..255.
    """
    generator = np.random.default_rng(0)
    height, width, channels = pixels.height, pixels.width, pixels.channels
    noise = generator.uniform(0, 255, (height, width, channels))
    down = np.linspace(0, 255, height)[:, None, None]
    across = np.linspace(255, 0, width)[None, :, None]
    gradient = (down + across) / 2 * np.linspace(1, 0.5, channels)
    stripes = generator.uniform(0, 255, (1 + height // 8, 1, channels)).repeat(8, 0)[:height]
    black = np.zeros((height, width, channels))
    whole = [np.broadcast_to(image, black.shape) for image in (noise, gradient, stripes, black)]
    return np.stack(whole).astype(np.float32)
