"""Encoded images to pixels by TensorFlow, for predictors that run in it."""

from collections.abc import Callable, Sequence

from tfft.system.tensorflow import tf

import numpy as np

from tfft.data.graph.decode import decode_exact
from tfft.errors import DataError
from tfft.images.inspect import inspect_image
from tfft.images.spec import PixelSpec


class TensorflowPixels:
    """Decodes, turns upright, crops and resizes encoded images in a compiled function.

    Args:
        spec: Definition of the pixels.
    """

    def __init__(self, spec: PixelSpec) -> None:
        encoded = tf.TensorSpec([], tf.string)
        box = tf.TensorSpec([4], tf.float32)
        self._whole = tf.function(lambda e: decode_exact(e, spec), input_signature=[encoded])
        self._cut = tf.function(
            lambda e, b: decode_exact(e, spec, b), input_signature=[encoded, box]
        )

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
            return np.stack([_decoded(e, lambda e=e: self._whole(e)) for e in encoded])
        pairs = zip(encoded, boxes, strict=True)
        return np.stack([_decoded(e, lambda e=e, b=b: self._cut(e, b)) for e, b in pairs])


def _decoded(encoded: bytes, decode: Callable[[], tf.Tensor]) -> np.ndarray:
    try:
        return decode().numpy()
    except tf.errors.InvalidArgumentError as error:
        inspect_image(encoded)  # raises the exact reason where it finds one
        raise DataError("TensorFlow cannot decode this image") from error
