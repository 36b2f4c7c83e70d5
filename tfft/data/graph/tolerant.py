"""Images from strangers in a TensorFlow graph: one that cannot be read fails no other."""

from tfft.system.tensorflow import tf

from tfft.data.graph.announced import announced_bytes
from tfft.data.graph.decode import decode_exact
from tfft.images.formats import MAX_PIXELS
from tfft.images.spec import PixelSpec


def decode_tolerant(encoded: tf.Tensor, spec: PixelSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes one image as `decode_exact` does, or says that it cannot be read.

    Also refused are images of more than `MAX_PIXELS`, before they are decoded.

    Args:
        encoded: string scalar, any bytes.
        spec: The pixels wanted.

    Returns:
        float32 [spec.height, spec.width, 3] in 0..255, black if the image cannot be read; and
        whether it can, bool scalar.
    """
    blank = tf.zeros([spec.height, spec.width, spec.channels], tf.float32)

    def decode(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        too_large = announced_bytes(image) > 3 * MAX_PIXELS
        # TensorFlow refuses no bytes at all, whatever was announced.
        image = tf.where(too_large, tf.constant(b"", tf.string), image)
        return decode_exact(image, spec), tf.constant(True)

    # Graphs have no exceptions, but a dataset can drop the element whose mapping failed.
    decoded = tf.data.Dataset.from_tensors(encoded).map(decode).ignore_errors()
    otherwise = tf.data.Dataset.from_tensors((blank, tf.constant(False)))
    return decoded.concatenate(otherwise).take(1).get_single_element()
