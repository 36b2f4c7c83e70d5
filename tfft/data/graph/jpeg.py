"""Which progressive JPEG files are read, in a TensorFlow graph: the rules of `tfft.images.jpeg`."""

from tfft.system.tensorflow import tf

from tfft.images.jpeg import COEFFICIENTS, MAX_SCANS, MAX_STEPS, PROGRESSIVE, SCAN

_HEAD = 16


def lacks_scans(encoded: tf.Tensor) -> tf.Tensor:
    """Returns whether a JPEG is progressive and has too many scans or not all, bool scalar.

    Stepping through the segments takes time: it is done only for files that have such a marker.
    """
    pieces = [
        tf.raw_ops.StringSplitV2(input=[encoded], sep=bytes([0xFF, marker])).values
        for marker in sorted(PROGRESSIVE)
    ]
    may_be = (tf.size(pieces[0]) > 1) | (tf.size(pieces[1]) > 1)

    def check() -> tf.Tensor:
        start = _frame_start(encoded)
        return tf.cond(
            start > 0,
            lambda: _lacks_scans(tf.strings.substr(encoded, start, tf.strings.length(encoded))),
            lambda: tf.constant(False),
        )

    return tf.cond(may_be, check, lambda: tf.constant(False))


def _frame_start(encoded: tf.Tensor) -> tf.Tensor:
    """Returns where the content of the last progressive frame segment begins, or 0."""
    size = tf.strings.length(encoded)

    def goes_on(position: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return (position + 4 <= size) & (found == 0)

    def step(position: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        head = tf.io.decode_raw(tf.strings.substr(encoded, position, 4), tf.uint8)
        head = tf.cast(head, tf.int32)
        marker, length = head[1], head[2] * 256 + head[3]
        without_length = (marker == 0x01) | ((marker >= 0xD0) & (marker <= 0xD7))
        ends = (head[0] != 0xFF) | ((marker >= 0xD8) & (marker <= 0xDA))
        after = tf.where(without_length, 2, 2 + tf.maximum(length, 2))
        after = tf.where(marker == 0xFF, 1, after)
        is_frame = tf.reduce_any(marker == tf.constant(sorted(PROGRESSIVE)))
        found = tf.where(is_frame & ~ends, position + 4, 0)
        return tf.where(ends, size, position + after), found

    start = (tf.constant(2), tf.constant(0))
    return tf.while_loop(goes_on, step, start, maximum_iterations=MAX_STEPS, parallel_iterations=1)[
        1
    ]


def _lacks_scans(frame: tf.Tensor) -> tf.Tensor:
    """Checks the scans behind a frame segment (scalar string, from its content on)."""
    scans = tf.raw_ops.StringSplitV2(input=[frame], sep=SCAN).values[1:]
    heads = _bytes(tf.strings.substr(scans[:MAX_SCANS], 0, _HEAD), _HEAD)
    counts = tf.minimum(heads[:, 2], 4)
    first, last, bits = (
        tf.gather(heads, 3 + 2 * counts + i, axis=1, batch_dims=1) for i in range(3)
    )
    frame_head = _bytes(tf.strings.substr(frame, 0, 6 + 3 * 255)[None], 6 + 3 * 255)[0]
    components = frame_head[6 : 6 + 3 * frame_head[5] : 3]
    listed = tf.range(4)[None] < counts[:, None]
    is_named = (heads[:, 3:11:2, None] == components) & listed[..., None]
    coefficients = tf.range(COEFFICIENTS)
    is_within = (coefficients >= first[:, None]) & (coefficients <= last[:, None])
    # Of each component and coefficient, which scan was the last to give it, and to which bit.
    number = tf.range(1, tf.shape(heads)[0] + 1)
    gives = tf.reduce_any(is_named, axis=1)[:, :, None] & is_within[:, None]
    latest = tf.reduce_max(tf.where(gives, number[:, None, None], 0), axis=0)
    last_bits = tf.gather(tf.concat([[1], bits % 16], axis=0), tf.maximum(latest, 0))
    is_missing = tf.reduce_any(last_bits != 0)
    return is_missing | (tf.size(scans) > MAX_SCANS) | (tf.size(scans) == 0)


def _bytes(texts: tf.Tensor, length: int) -> tf.Tensor:
    """Returns int32 [n, length] of strings [n]; zeros are where they have ended."""
    padded = tf.strings.substr(tf.strings.join([texts, bytes(length)]), 0, length)
    return tf.cast(tf.io.decode_raw(padded, tf.uint8), tf.int32)
