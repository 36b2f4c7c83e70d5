"""How much memory an encoded image needs, by its header, in a TensorFlow graph.

A few hundred bytes can announce a picture of gigabytes: images from strangers are checked before
they are decoded.
"""

from tfft.system.tensorflow import tf

from tfft.data.graph.gif import gif_size
from tfft.data.graph.traced import traced_once


@traced_once
def announced_bytes(encoded: tf.Tensor) -> tf.Tensor:
    """Returns how many bytes the decoded image takes by its header, int64 scalar.

    That is three for each pixel; of a GIF, of its screen and first frame. Zero means that the file
    cannot be decoded.

    Args:
        encoded: string scalar, the bytes of a JPEG, PNG, GIF, BMP or WebP image.

    Raises:
        tf.errors.InvalidArgumentError: When run, on bytes that are none of these.
    """
    readers = {
        b"\xff\xd8\xff": _jpeg,
        b"\x89PNG\r\n\x1a\n": _png,
        b"GIF87a": _gif,
        b"GIF89a": _gif,
        b"BM": _bmp,
        b"RIFF": _webp,
    }
    cases = [
        (tf.strings.substr(encoded, 0, len(start)) == start, lambda read=read: read(encoded))
        for start, read in readers.items()
    ]
    return tf.case(cases, default=lambda: _nothing(encoded), exclusive=True)


def _nothing(encoded: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(False, ["not an image"])]):
        return tf.constant(0, tf.int64)


def _jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.int64)) * 3


def _png(encoded: tf.Tensor) -> tf.Tensor:
    size = tf.reverse(_bytes(encoded, 16, 8), [0])
    return _number(size[:4]) * _number(size[4:]) * 3


def _bmp(encoded: tf.Tensor) -> tf.Tensor:
    size = _bytes(encoded, 18, 8)
    height = _number(size[4:])
    height = tf.where(height >= 2**31, 2**32 - height, height)
    return _number(size[:4]) * height * 3


def _webp(encoded: tf.Tensor) -> tf.Tensor:
    """The size is in another place in each of the three kinds of chunks."""
    header = _bytes(encoded, 0, 30)
    chunk = tf.strings.substr(encoded, 12, 4)
    packed = _number(header[21:25])
    extended = (_number(header[24:27]) + 1) * (_number(header[27:30]) + 1)
    lossless = (_low_14_bits(packed) + 1) * (_low_14_bits(packed // 2**14) + 1)
    lossy = _low_14_bits(_number(header[26:28])) * _low_14_bits(_number(header[28:30]))
    pixels = tf.where(chunk == b"VP8 ", lossy, tf.constant(0, tf.int64))
    pixels = tf.where(chunk == b"VP8L", lossless, pixels)
    return tf.where(chunk == b"VP8X", extended, pixels) * 3


def _low_14_bits(number: tf.Tensor) -> tf.Tensor:
    return tf.math.floormod(number, 2**14)


def _gif(encoded: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(gif_size(encoded)) * 3


def _bytes(encoded: tf.Tensor, start: int, count: int) -> tf.Tensor:
    """Returns int64 [count]; zeros are where the file has ended."""
    found = tf.io.decode_raw(tf.strings.substr(encoded, 0, start + count), tf.uint8)
    missing = tf.zeros([start + count - tf.size(found)], tf.uint8)
    return tf.cast(tf.concat([found, missing], axis=0)[start:], tf.int64)


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Returns the little-endian unsigned number, int64, that the bytes spell."""
    powers = 256 ** tf.range(tf.shape(digits, tf.int64)[0])
    return tf.reduce_sum(digits * powers)
