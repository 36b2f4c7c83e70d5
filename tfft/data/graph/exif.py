"""EXIF orientation in a TensorFlow graph: the rules of `tfft.images.exif`, step by step."""

from tfft.system.tensorflow import tf

from tfft.images.jpeg import MAX_STEPS

_ORIENTATION = 0x0112
_SHORT = 3
_EXIF = b"Exif\x00\x00"


def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation, int32 scalar 1..8, of an encoded JPEG (scalar string).

    Stepping through the segments takes a third of the time that a small image takes to decode, so
    it is done only for files that have the word in them.
    """
    pieces = tf.raw_ops.StringSplitV2(input=[encoded], sep=_EXIF).values

    def orientation() -> tf.Tensor:
        start = _exif_start(encoded)
        rest = tf.strings.length(encoded)  # more than is left, which `substr` cuts
        return tf.cond(
            start > 0,
            lambda: _tiff_orientation(tf.strings.substr(encoded, start, rest)),
            lambda: tf.constant(1),
        )

    return tf.cond(tf.size(pieces) > 1, orientation, lambda: tf.constant(1))


def turned_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns the [h, w, c] image as its EXIF orientation (1..8) wants it seen."""

    def turned() -> tf.Tensor:
        turned = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        up_down = tf.reduce_any(orientation == tf.constant([3, 4, 7, 8]))
        turned = tf.cond(up_down, lambda: turned[::-1], lambda: turned)
        left_right = tf.reduce_any(orientation == tf.constant([2, 3, 6, 7]))
        return tf.cond(left_right, lambda: turned[:, ::-1], lambda: turned)

    return tf.cond(orientation == 1, lambda: image, turned)


def _exif_start(encoded: tf.Tensor) -> tf.Tensor:
    """Returns where the TIFF header of the first Exif segment begins, or 0."""
    size = tf.strings.length(encoded)

    def at_segment(position: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        # A loop's condition is also traced, and evaluated, past the end: the slice is empty then.
        return (found == 0) & (position + 4 <= size)

    def next_segment(position: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        header = tf.cast(
            tf.io.decode_raw(tf.strings.substr(encoded, position, 4), tf.uint8), "int32"
        )
        marker = header[1]
        length = header[2] * 256 + header[3]
        is_exif = (marker == 0xE1) & (_slice(encoded, position + 4, 6) == _EXIF)
        without_length = (marker == 0x01) | ((marker >= 0xD0) & (marker <= 0xD7))
        goes_on = without_length | ((marker >= 0xE0) & (marker <= 0xEF)) | (marker >= 0xFE)
        ends = (header[0] != 0xFF) | ~goes_on
        step = tf.where(without_length, 2, 2 + tf.maximum(length, 2))
        step = tf.where(marker == 0xFF, 1, step)
        found = tf.where(is_exif & ~ends, position + 10, 0)
        return tf.where(ends, size, position + step), found

    return tf.while_loop(
        at_segment,
        next_segment,
        (tf.constant(2), tf.constant(0)),
        maximum_iterations=MAX_STEPS,
        parallel_iterations=1,
    )[1]


def _tiff_orientation(tiff: tf.Tensor) -> tf.Tensor:
    header = _slice(tiff, 0, 4)
    is_little = header == b"II*\x00"
    is_big = header == b"MM\x00*"
    return tf.cond(
        is_little | is_big, lambda: _directory_orientation(tiff, is_little), lambda: tf.constant(1)
    )


def _directory_orientation(tiff: tf.Tensor, is_little: tf.Tensor) -> tf.Tensor:
    start = _number(_bytes(_slice(tiff, 4, 4)), is_little)
    count = _number(_bytes(_slice(tiff, start, 2)), is_little)
    content = _bytes(_slice(tiff, start + 2, 12 * count))
    entries = tf.reshape(content[: tf.size(content) // 12 * 12], [-1, 12])
    tags = _number(entries[:, 0:2], is_little)
    kinds = _number(entries[:, 2:4], is_little)
    counts = _number(entries[:, 4:8], is_little)
    values = _number(entries[:, 8:10], is_little)
    matches = tf.where((tags == _ORIENTATION) & (kinds == _SHORT) & (counts == 1))[:, 0]
    first = tf.gather(values, matches[:1])
    valid = (first >= 1) & (first <= 8)
    # One value or none: the sum of what is valid, and 1 if nothing is.
    orientation = tf.reduce_sum(tf.where(valid, first, 0))
    return tf.cast(tf.maximum(orientation, 1), tf.int32)


def _number(digits: tf.Tensor, is_little: tf.Tensor) -> tf.Tensor:
    """Returns the unsigned numbers, int64 [...], that int64 [..., n] bytes spell."""
    digits = tf.cond(is_little, lambda: tf.reverse(digits, [-1]), lambda: digits)
    powers = 256 ** tf.range(tf.shape(digits, tf.int64)[-1] - 1, -1, -1)
    return tf.reduce_sum(digits * powers, axis=-1)


def _bytes(text: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int64)


def _slice(text: tf.Tensor, start: tf.Tensor | int, length: tf.Tensor | int) -> tf.Tensor:
    """Returns the bytes from `start`, fewer than `length` or none where the text ends before."""
    size = tf.cast(tf.strings.length(text), tf.int64)
    start = tf.minimum(tf.cast(start, tf.int64), size)
    return tf.strings.substr(text, start, tf.cast(length, tf.int64))
