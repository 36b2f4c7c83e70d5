"""Uncompressed BMP files in a TensorFlow graph; TensorFlow's own reader knows no palettes.

`tfft.images.bmp` reads the same files by the same rules.
Source: Microsoft, BITMAPFILEHEADER and BITMAPINFOHEADER.
"""

from tfft.system.tensorflow import tf

from tfft.images.bmp import BGR_MASKS, BIT_FIELDS, BITS, SMALLEST_HEADER


def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a BMP file (scalar string) to uint8 [height, width, 3], RGB.

    Raises:
        tf.errors.InvalidArgumentError: When run, on what `tfft.images.bmp.check_bmp` refuses.
    """
    content = tf.io.decode_raw(encoded, tf.uint8)
    with tf.control_dependencies([tf.debugging.Assert(_is_readable(content), ["no such BMP"])]):
        content = tf.identity(content)
    offset = _number(content[10:14])
    header_size = _number(content[14:18])
    width = _number(content[18:22])
    signed_height = _number(content[22:26])
    signed_height = tf.where(signed_height >= 2**31, signed_height - 2**32, signed_height)
    height = tf.abs(signed_height)
    bits = _number(content[28:30])
    stride = (bits * width + 31) // 32 * 4
    rows = tf.reshape(content[offset : offset + stride * height], [height, stride])
    image = tf.cond(
        bits <= 8,
        lambda: tf.gather(
            _palette(content, 14 + header_size, offset), _indices(rows, bits)[:, :width]
        ),
        lambda: _true_colour(rows, bits, width),
    )
    image = tf.cond(signed_height > 0, lambda: image[::-1], lambda: image)
    return tf.ensure_shape(image[..., ::-1], [None, None, 3])  # BGR to RGB


def _is_readable(content: tf.Tensor) -> tf.Tensor:
    """Returns whether the header announces a kind that is read, and the file has all its rows."""
    head = tf.concat([content[:66], tf.zeros([66], tf.uint8)], axis=0)
    bits, compression = _number(head[28:30]), _number(head[30:34])
    masks = tf.constant(list(BGR_MASKS), tf.uint8)
    has_bgr_masks = (compression == BIT_FIELDS) & tf.reduce_all(head[54:66] == masks)
    height = _number(head[22:26])
    height = tf.where(height >= 2**31, 2**32 - height, height)
    row_bytes = (bits * _number(head[18:22]) + 31) // 32 * 4
    return (
        (_number(head[14:18]) >= SMALLEST_HEADER)
        & tf.reduce_any(bits == tf.constant(BITS, tf.int64))
        & ((compression == 0) | ((bits == 32) & has_bgr_masks))
        & (_number(head[10:14]) + row_bytes * height <= tf.size(content, tf.int64))
    )


def _true_colour(rows: tf.Tensor, bits: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    samples = bits // 8
    pixels = tf.reshape(
        rows[:, : width * samples], tf.stack([tf.shape(rows, tf.int64)[0], width, samples])
    )
    return pixels[:, :, :3]


def _palette(content: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Returns the colour table, uint8 [256, 3], BGR; colours that it lacks are black."""
    entries = tf.reshape(content[start : start + (end - start) // 4 * 4], [-1, 4])[:256, :3]
    missing = tf.zeros([256 - tf.shape(entries)[0], 3], tf.uint8)
    return tf.concat([entries, missing], axis=0)


def _indices(rows: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Returns the palette indices, int32 [height, at least width], packed 8/bits to a byte."""
    shifts = tf.range(8 - bits, -1, -bits)
    packed = tf.expand_dims(tf.cast(rows, tf.int64), -1)
    indices = tf.bitwise.bitwise_and(
        tf.bitwise.right_shift(packed, shifts), tf.bitwise.left_shift(tf.ones_like(bits), bits) - 1
    )
    return tf.cast(tf.reshape(indices, [tf.shape(rows)[0], -1]), tf.int32)


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Returns the little-endian unsigned number, int64, that the bytes spell."""
    powers = 256 ** tf.range(tf.shape(digits, tf.int64)[0])
    return tf.reduce_sum(tf.cast(digits, tf.int64) * powers)
