"""Encoded images to pixels by TensorFlow, for predictors that run in it."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from tfft.system.tensorflow import tf

import numpy as np

from tfft.data.graph.decode import decode_exact
from tfft.data.graph.tolerant import unless_refused
from tfft.errors import DataError
from tfft.images.inspect import inspect_image
from tfft.images.portable import portable
from tfft.images.spec import PixelSpec


class TensorflowPixels:
    """Decodes, turns upright, crops and resizes encoded images in a compiled function.

    Args:
        spec: Definition of the pixels.
    """

    def __init__(self, spec: PixelSpec) -> None:
        self._decode = _decode_function(spec)

    def __call__(self, encoded: Sequence[bytes], boxes: np.ndarray | None) -> np.ndarray:
        """Returns pixels float32 [n, height, width, channels], 0..255.

        Args:
            encoded: Contents of image files.
            boxes: Box that each image is cropped to first, float32 [n, 4]: (ymin, xmin, ymax,
                xmax) as shares of the height and width; None: images are not cropped.

        Raises:
            DataError: An image cannot be read.
        """
        if boxes is None:
            return np.stack([self._pixels(e, None) for e in encoded])
        return np.stack([self._pixels(e, box) for e, box in zip(encoded, boxes, strict=True)])

    def _pixels(self, encoded: bytes, box: np.ndarray | None) -> np.ndarray:
        try:
            given = None if box is None else tf.constant(box, tf.float32)
            return self._decode(tf.constant(portable(encoded)), given).numpy()
        # TensorFlow's messages may quote bytes of the file, which Python then cannot decode.
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            inspect_image(encoded)  # raises the exact reason where it finds one
            raise DataError("a broken image: its data cannot be decoded") from error


@lru_cache(maxsize=16)
def _decode_function(spec: PixelSpec) -> Callable[[tf.Tensor, tf.Tensor | None], tf.Tensor]:
    """Returns `decode_exact` as a function of bytes and box that is traced once.

    Tracing takes as long as decoding 1,000 images; a predictor is often made for a few.
    """

    def decode(encoded: tf.Tensor, box: tf.Tensor | None) -> tf.Tensor:
        return decode_exact(unless_refused(encoded), spec, box)

    return tf.function(decode, autograph=False)
