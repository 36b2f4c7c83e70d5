"""Mixup and CutMix inside the compiled step: pairs of images with a share of each one's loss.

Keras's own layers of these names keep a random state of their own; here the pairs are a pure
function of a seed and of the optimizer's step, so that a resumed run mixes as one that never
stopped.
"""

from typing import NamedTuple

from tfft.system.tensorflow import tf

from tfft.config.train import Mix


class Mixed(NamedTuple):
    """A batch of mixed images.

    Attributes:
        images: float32 [batch, height, width, channels].
        partners: int32 [batch], whose picture each image was mixed with.
        share: float32 [], of the image itself in its loss; the partner has the rest.
    """

    images: tf.Tensor
    partners: tf.Tensor
    share: tf.Tensor


def mixed(images: tf.Tensor, mix: Mix, seed: tf.Tensor) -> Mixed:
    """Mixes each image of a batch with another one of it, all with one share.

    Args:
        images: float32 [batch, height, width, channels].
        mix: which method, how strong.
        seed: int32 [2]; the same seed mixes alike.

    Source: mixup, Zhang, Cisse, Dauphin and Lopez-Paz 2018; CutMix, Yun et al. 2019.
    """
    order = tf.argsort(tf.random.stateless_uniform(tf.shape(images)[:1], _part(seed, 0)))
    # Drawn from Beta(alpha, alpha), as a share of two gamma draws.
    draws = tf.random.stateless_gamma([2], _part(seed, 1), tf.constant(mix.alpha)) + 1e-12
    share = draws[0] / tf.reduce_sum(draws)
    others = tf.gather(images, order)
    if mix.kind == "mixup":
        return Mixed(share * images + (1.0 - share) * others, order, share)
    inside = _window(tf.shape(images), share, _part(seed, 2))
    share = 1.0 - tf.reduce_mean(tf.cast(inside, tf.float32))
    return Mixed(tf.where(inside[None, :, :, None], others, images), order, share)


def _window(shape: tf.Tensor, share: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns bool [height, width]: a rectangle of 1 - share of the area, cut off at the edges."""
    sides = tf.cast(shape[1:3], tf.float32)
    halves = sides * tf.sqrt(1.0 - share) / 2.0
    centre = sides * tf.random.stateless_uniform([2], seed)
    low, high = tf.round(centre - halves), tf.round(centre + halves)
    rows, columns = (tf.range(sides[axis]) for axis in (0, 1))
    in_rows = (rows >= low[0]) & (rows < high[0])
    in_columns = (columns >= low[1]) & (columns < high[1])
    return in_rows[:, None] & in_columns[None, :]


def _part(seed: tf.Tensor, number: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, number)
