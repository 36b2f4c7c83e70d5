"""Images for decoders that read fewer formats: TensorFlow's, and those of servers.

TIFF, AVIF and HEIC are decoded here, wherever a file is read, and handed on as PNG: training, every
form of a model and its clients see the same pixels of them. A server that is sent such a file as it
is answers NaN.
"""

import io

import numpy as np
from PIL import Image

from tfft.errors import DataError
from tfft.images.decode import decode_image
from tfft.images.formats import WITHOUT_TENSORFLOW, image_format


def portable(encoded: bytes) -> bytes:
    """Returns a PNG file of what TensorFlow does not read, and any other bytes as they are.

    Args:
        encoded: Bytes of a file, an image or not.

    Raises:
        DataError: It is a TIFF, AVIF or HEIC file that cannot be read.
    """
    try:
        kind = image_format(encoded)
    except DataError:  # for whoever decodes it to say
        return encoded
    if kind not in WITHOUT_TENSORFLOW:
        return encoded
    image = decode_image(encoded, alpha=True)
    if np.all(image[..., 3] == 255):
        image = np.ascontiguousarray(image[..., :3])
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
