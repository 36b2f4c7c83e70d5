"""tf.data pipelines over an index: parallel decoding, the same batches every time.

The order of an epoch is drawn over the whole index (the shuffle window is the whole set; only
positions are shuffled, so it costs 8 bytes an image). Nothing but the images in flight is held in
memory, however many there are.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from tfft.system.tensorflow import start_tensorflow

start_tensorflow()

import tensorflow as tf  # noqa: E402

from tfft.data.augment import augmented_view, boxes_in_part  # noqa: E402
from tfft.data.index import ImageIndex  # noqa: E402
from tfft.data.order import repetitions  # noqa: E402
from tfft.images.spec import PixelSpec  # noqa: E402

# Batches that are ready before they are asked for; more only costs memory.
_BATCHES_AHEAD = 2
# Images whose bytes are read from shards in one call.
_READ_AT_ONCE = 32


def evaluation_batches(index: ImageIndex, pixels: PixelSpec, batch_size: int) -> tf.data.Dataset:
    """Returns the images in order, their pixels exact.

    Returns:
        Batches ``{"inputs": float32 [b, height, width, 3] in 0..255, "targets": {name: [b, ...]},
        "positions": int64 [b]}``; the last may be smaller. Targets that are boxes are shares of
        what the pixels show.
    """
    nothing = tf.zeros([2], tf.int32)
    view = _view_function(pixels, "none")
    order, repeated = np.arange(len(index)), np.zeros(len(index))
    return _batches(index, order, batch_size, view, lambda *_: nothing, repeated)


def training_batches(
    index: ImageIndex,
    pixels: PixelSpec,
    batch_size: int,
    *,
    order: np.ndarray,
    augmentation: str,
    seed: int,
    epoch: int,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Returns one epoch, in a given order and with views of this epoch's own.

    Args:
        index: The images.
        pixels: The pixels wanted.
        batch_size: Images in a batch; the last may have fewer.
        order: int64 [n], positions in `index`; one that is repeated gets another view each time.
        augmentation: A name of `tfft.config.data.Augmentation`.
        seed: Of the augmentation.
        epoch: Counted from 0 over the whole run.
        first_step: Batches to leave out at the start, without decoding them.

    Returns:
        Batches as `evaluation_batches` gives them; positions are those in `index`.
    """
    seeds = tf.constant([seed, epoch], tf.int32)
    fold = tf.random.experimental.stateless_fold_in

    def seed_of(position: tf.Tensor, repetition: tf.Tensor) -> tf.Tensor:
        return fold(fold(seeds, tf.cast(position, tf.int32)), tf.cast(repetition, tf.int32))

    start, view = first_step * batch_size, _view_function(pixels, augmentation)
    return _batches(index, order[start:], batch_size, view, seed_of, repetitions(order)[start:])


@lru_cache(maxsize=16)
def _view_function(pixels: PixelSpec, augmentation: str) -> Callable[..., tuple]:
    """Returns `augmented_view` as a function of bytes, box and seed that is traced once.

    A dataset is made in every epoch; tracing this anew takes as long as decoding 1,000 images. A
    box that is empty stands for the whole image.
    """

    def view(encoded: tf.Tensor, box: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        given = None if box.shape[0] == 0 else box
        return augmented_view(encoded, pixels, given, augmentation, seed)

    return tf.function(view, autograph=False)


def _batches(
    index: ImageIndex,
    order: np.ndarray,
    batch_size: int,
    view: Callable[..., tuple],
    seed_of: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    repeated: np.ndarray,
) -> tf.data.Dataset:
    targets = {name: tf.constant(values) for name, values in index.targets.items()}
    boxes = None if index.boxes is None else tf.constant(index.boxes, tf.float32)

    def element(
        position: tf.Tensor, repetition: tf.Tensor, encoded: tf.Tensor
    ) -> dict[str, object]:
        box = tf.zeros([0]) if boxes is None else boxes[position]
        pixels, part = view(encoded, box, seed_of(position, repetition))
        found = {name: values[position] for name, values in targets.items()}
        for name in index.box_targets:
            found[name] = boxes_in_part(found[name], part)
        return {"inputs": pixels, "targets": found, "positions": position}

    # Nothing here branches on tensors in Python: converting it would only take time each epoch.
    element = tf.autograph.experimental.do_not_convert(element)
    options = tf.data.Options()
    options.deterministic = True
    visits = tf.data.Dataset.from_tensor_slices((order.astype(np.int64), repeated.astype(np.int64)))
    return (
        _with_bytes(visits, index)
        .map(element, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(_BATCHES_AHEAD)
        .with_options(options)
    )


def _with_bytes(visits: tf.data.Dataset, index: ImageIndex) -> tf.data.Dataset:
    """Adds the encoded bytes to (position, repetition)."""
    if len(index.files) == len(index) and not index.offsets.any():
        files = tf.constant(index.files, tf.string)
        file_ids = tf.constant(index.file_ids)

        def read_file(position: tf.Tensor, repetition: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return position, repetition, tf.io.read_file(files[file_ids[position]])

        return visits.map(read_file, num_parallel_calls=tf.data.AUTOTUNE)

    def read(positions: np.ndarray) -> np.ndarray:
        return np.array([index.read(int(position)) for position in positions], object)

    def read_parts(positions: tf.Tensor, repetitions: tf.Tensor) -> tuple[tf.Tensor, ...]:
        encoded = tf.numpy_function(read, [positions], tf.string, stateful=False)
        return positions, repetitions, tf.ensure_shape(encoded, [None])

    # Python runs one thread at a time: it is called for many images at once, not for each.
    blocks = visits.batch(_READ_AT_ONCE).map(read_parts, num_parallel_calls=2)
    return blocks.unbatch()
