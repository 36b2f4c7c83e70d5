"""The first frame of a GIF file in a TensorFlow graph, by the rules of `tfft.images.gif`.

TensorFlow's reader decodes all frames to give the first, cuts it where it doesn't begin at the
corner of the screen, and takes the size of the largest frame for the size of the picture. So it is
given a file of one frame, which is laid on the screen here.
"""

from typing import NamedTuple

from tfft.system.tensorflow import tf

from tfft.images.gif import MAX_STEPS, RUN

_END = 0x3B
_BLOCK = 256


class _Place(NamedTuple):
    """Where the first frame lies in the file, int64 scalars; `end` is -1 where it has no end."""

    start: tf.Tensor
    end: tf.Tensor
    control: tf.Tensor


def gif_size(encoded: tf.Tensor) -> tf.Tensor:
    """Returns (height, width) of the picture, int64 [2]; zeros where the first frame has no end."""
    content = _padded(encoded)
    place = _first_frame(content, tf.strings.length(encoded))
    return tf.where(place.end > 0, _screen(content, place), tf.zeros([2], tf.int64))


def decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes the first frame of a GIF file (scalar string) to uint8 [height, width, 3], RGB."""
    content = _padded(encoded)
    place = _first_frame(content, tf.strings.length(encoded))
    frame = tf.io.decode_image(_one_frame(encoded, content, place), expand_animations=False)
    frame = tf.ensure_shape(frame, [None, None, 3])
    left, top = _number(content, place.start + 1), _number(content, place.start + 3)
    height, width = tf.unstack(_screen(content, place))
    shape = tf.shape(frame, tf.int64)
    below, right = height - top - shape[0], width - left - shape[1]
    return tf.pad(frame, tf.stack([[top, below], [left, right], [0, 0]]))


def _padded(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the bytes, uint8 [n + 16]; whatever is read past the end is an end mark."""
    content = tf.io.decode_raw(encoded, tf.uint8)
    return tf.concat([content, tf.fill([16], tf.constant(_END, tf.uint8))], axis=0)


def _first_frame(content: tf.Tensor, size: tf.Tensor) -> _Place:
    size = tf.cast(size, tf.int64)
    zero, none = tf.constant(0, tf.int64), tf.constant(-1, tf.int64)

    def goes_on(position: tf.Tensor, in_data: tf.Tensor, place: _Place, _: tf.Tensor) -> tf.Tensor:
        return (position < size) & ((place.start == 0) | in_data)

    def step(
        position: tf.Tensor, in_data: tf.Tensor, place: _Place, has_control: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, _Place, tf.Tensor]:
        """Goes over blocks of data, or over the head of a frame or an extension."""
        head = tf.cast(content[position : position + 10], tf.int64)
        outside = tf.logical_not(in_data)
        is_frame = outside & (head[0] == 0x2C)
        is_extension = outside & (head[0] == 0x21)
        is_control = is_extension & (head[1] == 0xF9) & tf.logical_not(has_control)
        after = tf.where(in_data, position + _block_bytes(content, position), size)
        after = tf.where(is_frame, position + 11 + _table_bytes(head[9]), after)
        after = tf.where(is_extension, position + 2, after)
        stays_in_data = tf.where(in_data, head[0] != 0, is_frame | is_extension)
        is_end = (place.start > 0) & in_data & (head[0] == 0) & (after <= size)
        found = _Place(
            tf.where(is_frame, position, place.start),
            tf.where(is_end, after, place.end),
            tf.where(is_control & (head[2] == 4), position, place.control),
        )
        return after, stays_in_data, found, has_control | is_control

    start = 13 + _table_bytes(tf.cast(content[10], tf.int64))
    state = (start, tf.constant(False), _Place(zero, none, zero), tf.constant(False))
    return tf.while_loop(goes_on, step, state, maximum_iterations=MAX_STEPS, parallel_iterations=1)[
        2
    ]


def _block_bytes(content: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a block of data, or of up to `RUN` full ones, int64 scalar."""
    # The padding isn't part of the file: where it is a size, the data have no end anyway.
    sizes = content[position : position + RUN * _BLOCK : _BLOCK]
    is_full = tf.cast(sizes == _BLOCK - 1, tf.int64)
    full = tf.reduce_sum(tf.math.cumprod(is_full))
    return tf.where(full > 0, full * _BLOCK, 1 + tf.cast(sizes[0], tf.int64))


def _one_frame(encoded: tf.Tensor, content: tf.Tensor, place: _Place) -> tf.Tensor:
    """Returns a file with the first frame at the corner of the screen; "" where it has no end."""
    start = tf.maximum(place.start, 0)
    table_end = 13 + _table_bytes(tf.cast(content[10], tf.int64))
    control = tf.where(
        (place.control > 0) & (tf.bitwise.bitwise_and(content[place.control + 3], 1) == 1),
        tf.strings.join([b"!\xf9\x04\x01\0\0", _part(encoded, place.control + 6, 1), b"\0"]),
        "",
    )
    frame = _part(encoded, start + 5, place.end - start - 5)
    head = _part(encoded, 0, table_end)
    file = tf.strings.join([head, control, b",\0\0\0\0", frame, b";"])
    return tf.where(place.end > 0, file, "")


def _part(text: tf.Tensor, start: tf.Tensor | int, length: tf.Tensor | int) -> tf.Tensor:
    """Returns the bytes of a text from `start` on, fewer or none where it ends before."""
    start = tf.minimum(tf.cast(start, tf.int64), tf.cast(tf.strings.length(text), tf.int64))
    return tf.strings.substr(text, start, tf.maximum(tf.cast(length, tf.int64), 0))


def _screen(content: tf.Tensor, place: _Place) -> tf.Tensor:
    """Returns (height, width) of the screen, or of what holds it and the frame, int64 [2]."""
    left, top, width, height = (_number(content, place.start + i) for i in (1, 3, 5, 7))
    screen_width, screen_height = (_number(content, tf.constant(i, tf.int64)) for i in (6, 8))
    return tf.stack(
        [tf.maximum(screen_height, top + height), tf.maximum(screen_width, left + width)]
    )


def _number(content: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Returns the little-endian number of two bytes, int64 scalar."""
    low, high = tf.unstack(tf.cast(content[position : position + 2], tf.int64), num=2)
    return low + 256 * high


def _table_bytes(flags: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a colour table, int64 scalar, by the flags that announce it."""
    size = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), tf.math.floormod(flags, 8))
    return tf.where(flags >= 0x80, size, tf.constant(0, tf.int64))
