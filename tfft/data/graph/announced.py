"""How much memory an encoded image needs, by its header, in a TensorFlow graph.

A few hundred bytes can announce a picture of gigabytes: images from strangers are checked before
they are decoded.
"""

from tfft.system.tensorflow import tf

# A GIF's data blocks are walked one by one: as many as a file of 10 MB has.
MAX_GIF_BLOCKS = 40_000


def announced_bytes(encoded: tf.Tensor) -> tf.Tensor:
    """Returns how many bytes the decoded image takes by its header, int64 scalar.

    That is three for each pixel; for a GIF, whose reader decodes every frame to see the first, at
    least one for each pixel of all frames together. A GIF of more than `MAX_GIF_BLOCKS` announces
    the largest int64.

    Args:
        encoded: string scalar, the bytes of a JPEG, PNG, GIF, BMP or WebP image.

    Raises:
        tf.errors.InvalidArgumentError: When run, on bytes that are none of these.
    """
    readers = {
        b"\xff\xd8\xff": _jpeg,
        b"\x89PNG": _png,
        b"GIF8": _gif,
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
    pixels = tf.where(chunk == b"VP8X", extended, tf.where(chunk == b"VP8L", lossless, lossy))
    return pixels * 3


def _low_14_bits(number: tf.Tensor) -> tf.Tensor:
    return tf.math.floormod(number, 2**14)


def _gif(encoded: tf.Tensor) -> tf.Tensor:
    content = tf.cast(tf.io.decode_raw(encoded, tf.uint8), tf.int64)
    # Whatever is read past the end is an end mark, 0x3B.
    content = tf.concat([content, tf.fill([16], tf.constant(0x3B, tf.int64))], axis=0)
    end = tf.size(content, tf.int64) - 16
    zero = tf.constant(0, tf.int64)

    def goes_on(position: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return position < end

    def step(
        position: tf.Tensor,
        in_data: tf.Tensor,
        frames: tf.Tensor,
        width: tf.Tensor,
        height: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        """Goes over one block of data, or over the head of a frame or an extension."""
        head = content[position : position + 10]
        is_frame = tf.logical_not(in_data) & (head[0] == 0x2C)
        is_extension = tf.logical_not(in_data) & (head[0] == 0x21)
        frame_width, frame_height = head[5] + 256 * head[6], head[7] + 256 * head[8]
        after = tf.where(in_data, position + 1 + head[0], end)
        after = tf.where(is_frame, position + 11 + _colour_table(head[9]), after)
        after = tf.where(is_extension, position + 2, after)
        return (
            after,
            tf.where(in_data, head[0] != 0, is_frame | is_extension),
            frames + tf.where(is_frame, frame_width * frame_height, zero),
            tf.maximum(width, tf.where(is_frame, frame_width, zero)),
            tf.maximum(height, tf.where(is_frame, frame_height, zero)),
        )

    start = 13 + _colour_table(content[10])
    position, _, frames, width, height = tf.while_loop(
        goes_on,
        step,
        (start, tf.constant(False), zero, zero, zero),
        maximum_iterations=MAX_GIF_BLOCKS,
        parallel_iterations=1,
    )
    wanted = tf.maximum(width * height * 3, frames)
    return tf.where(position < end, tf.int64.max, wanted)


def _colour_table(flags: tf.Tensor) -> tf.Tensor:
    size = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), tf.math.floormod(flags, 8))
    return tf.where(flags >= 0x80, size, tf.constant(0, tf.int64))


def _bytes(encoded: tf.Tensor, start: int, count: int) -> tf.Tensor:
    """Returns int64 [count]; zeros are where the file has ended."""
    found = tf.io.decode_raw(tf.strings.substr(encoded, 0, start + count), tf.uint8)
    missing = tf.zeros([start + count - tf.size(found)], tf.uint8)
    return tf.cast(tf.concat([found, missing], axis=0)[start:], tf.int64)


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Returns the little-endian unsigned number, int64, that the bytes spell."""
    powers = 256 ** tf.range(tf.shape(digits, tf.int64)[0])
    return tf.reduce_sum(digits * powers)
