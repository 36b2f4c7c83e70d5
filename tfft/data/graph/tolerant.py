"""Images from strangers in a TensorFlow graph: one that cannot be read fails no other."""

from tfft.system.tensorflow import tf

from tfft.data.graph.announced import announced_bytes
from tfft.data.graph.decode import decode_exact
from tfft.data.graph.jpeg import lacks_scans
from tfft.data.graph.traced import traced_once
from tfft.images.formats import MAX_BYTES, MAX_PIXELS
from tfft.images.spec import PixelSpec


@traced_once
def unless_refused(encoded: tf.Tensor) -> tf.Tensor:
    """Returns an encoded image (string scalar), or "" where its header is reason to refuse it.

    These are images of more than `MAX_PIXELS` or of none, of more than `MAX_BYTES`, and JPEG files
    that lack scans. Decoding fails on what is returned for them.

    Raises:
        tf.errors.InvalidArgumentError: When run, on bytes that are no image.
    """
    size = announced_bytes(encoded)
    is_too_large = (size > 3 * MAX_PIXELS) | (tf.strings.length(encoded) > MAX_BYTES)
    is_refused = is_too_large | (size <= 0) | lacks_scans(encoded)
    return tf.where(is_refused, tf.constant(b"", tf.string), encoded)


def decode_tolerant(encoded: tf.Tensor, spec: PixelSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes one image as `decode_exact` does, or says that it cannot be read.

    What it refuses is what `tfft.images.decode` refuses.

    Args:
        encoded: string scalar, any bytes.
        spec: The pixels wanted.

    Returns:
        float32 [spec.height, spec.width, 3] in 0..255, black if the image cannot be read; and
        whether it can, bool scalar.
    """
    blank = tf.zeros([spec.height, spec.width, spec.channels], tf.float32)

    def decode(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return decode_exact(unless_refused(image), spec), tf.constant(True)

    # Graphs have no exceptions, but a dataset can drop the element whose mapping failed.
    decoded = tf.data.Dataset.from_tensors(encoded).map(decode).ignore_errors()
    otherwise = tf.data.Dataset.from_tensors((blank, tf.constant(False)))
    return decoded.concatenate(otherwise).take(1).get_single_element()
