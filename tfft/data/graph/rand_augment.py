"""RandAugment without hidden state: two operations an image, drawn from its own seed.

Source: Cubuk, Zoph, Shlens, Le 2020, "RandAugment", with N = 2 and M = 9 of 10, and the strengths
of the authors' code but for shifts, which are a share of the side here. Keras's layer of
that name draws one seed for a whole batch from a generator with state, so that an image's view
would depend on its batch and on the steps before.
"""

from collections.abc import Callable

from tfft.system.tensorflow import tf

_ROUNDS = 2
_MAGNITUDE = 0.9
# What a shift or a rotation leaves open is grey, as in the authors' code.
_FILL = 128.0

Operation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def rand_augmented(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Applies two randomly chosen operations, one after the other.

    Args:
        pixels: float32 [height, width, 3] in 0..255.
        seed: int32 [2], of this view.

    Returns:
        float32 [height, width, 3] in 0..255.
    """

    def one_round(number: tf.Tensor, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        own = tf.random.experimental.stateless_fold_in(seed, number)
        chosen, direction = tf.unstack(tf.random.experimental.stateless_split(own, 2))
        operation = tf.random.stateless_uniform([], chosen, 0, len(_OPERATIONS), tf.int32)
        sign = tf.where(tf.random.stateless_uniform([], direction) < 0.5, -1.0, 1.0)
        branches = [lambda apply=apply: apply(pixels, sign) for apply in _OPERATIONS]
        changed = tf.switch_case(operation, branches)
        return number + 1, tf.ensure_shape(tf.clip_by_value(changed, 0.0, 255.0), pixels.shape)

    return tf.while_loop(lambda number, _: number < _ROUNDS, one_round, (tf.constant(0), pixels))[1]


def _identity(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return pixels


def _autocontrast(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    low = tf.reduce_min(pixels, axis=[0, 1])
    high = tf.reduce_max(pixels, axis=[0, 1])
    stretched = (pixels - low) * 255.0 / tf.maximum(high - low, 1e-6)
    return tf.where(high > low, stretched, pixels)


def _equalize(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return tf.stack([_equalized(pixels[:, :, channel]) for channel in range(3)], axis=-1)


def _equalized(channel: tf.Tensor) -> tf.Tensor:
    levels = tf.cast(channel, tf.int32)
    counts = tf.math.bincount(tf.reshape(levels, [-1]), minlength=256, maxlength=256)
    below = tf.cast(tf.cumsum(counts, exclusive=True), tf.float32)
    below_highest = tf.gather(below, tf.reduce_max(levels))
    stretched = tf.gather(below, levels) * 255.0 / tf.maximum(below_highest, 1.0)
    return tf.where(below_highest > 0.0, stretched, channel)  # one level stays what it is


def _rotate(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    angle = sign * (_MAGNITUDE * 30.0 * 3.141592653589793 / 180.0)
    return _transformed(
        pixels, tf.cos(angle), -tf.sin(angle), 0.0, tf.sin(angle), tf.cos(angle), 0.0
    )


def _shear_x(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return _transformed(pixels, 1.0, sign * _MAGNITUDE * 0.3, 0.0, 0.0, 1.0, 0.0)


def _shear_y(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return _transformed(pixels, 1.0, 0.0, 0.0, sign * _MAGNITUDE * 0.3, 1.0, 0.0)


def _translate_x(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    width = tf.cast(tf.shape(pixels)[1], tf.float32)
    return _transformed(pixels, 1.0, 0.0, sign * _MAGNITUDE * 0.3 * width, 0.0, 1.0, 0.0)


def _translate_y(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    height = tf.cast(tf.shape(pixels)[0], tf.float32)
    return _transformed(pixels, 1.0, 0.0, 0.0, 0.0, 1.0, sign * _MAGNITUDE * 0.3 * height)


def _transformed(pixels: tf.Tensor, *rows: tf.Tensor | float) -> tf.Tensor:
    """Moves pixels by the affine map (a, b, c; d, e, f) about the image's centre."""
    a, b, c, d, e, f = (tf.convert_to_tensor(value, tf.float32) for value in rows)
    size = tf.cast(tf.shape(pixels)[:2] - 1, tf.float32) / 2.0
    y, x = size[0], size[1]
    transform = tf.stack([a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y, 0.0, 0.0])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=transform[None],
        output_shape=tf.shape(pixels)[:2],
        fill_value=_FILL,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]


def _posterize(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    step = 2.0 ** (8 - int(_MAGNITUDE * 4))  # keeps 3 of 8 bits
    return tf.floor(pixels / step) * step


def _solarize(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return tf.where(pixels < 256.0 * _MAGNITUDE, pixels, 255.0 - pixels)


def _brightness(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return _blended(tf.zeros_like(pixels), pixels)


def _contrast(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    mean = tf.reduce_mean(tf.image.rgb_to_grayscale(pixels))
    return _blended(tf.fill(tf.shape(pixels), mean), pixels)


def _colour(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return _blended(tf.repeat(tf.image.rgb_to_grayscale(pixels), 3, axis=-1), pixels)


def _sharpness(pixels: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    filters = tf.tile(tf.reshape(kernel, [3, 3, 1, 1]), [1, 1, 3, 1])
    padded = tf.pad(pixels, [[1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    smooth = tf.nn.depthwise_conv2d(padded[None], filters, [1, 1, 1, 1], "VALID")[0]
    return _blended(smooth, pixels)


def _blended(degenerate: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Moves away from the image that lacks the property."""
    return degenerate + (_MAGNITUDE * 1.8 + 0.1) * (pixels - degenerate)


_OPERATIONS: tuple[Operation, ...] = (
    _identity,
    _autocontrast,
    _equalize,
    _rotate,
    _solarize,
    _colour,
    _posterize,
    _contrast,
    _brightness,
    _sharpness,
    _shear_x,
    _shear_y,
    _translate_x,
    _translate_y,
)
