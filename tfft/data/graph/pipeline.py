"""tf.data pipelines over an index: parallel decoding, the same batches every time.

The order of an epoch is drawn over the whole index (the shuffle window is the whole set; only
positions are shuffled, so it costs 8 bytes an image). Nothing but the images in flight is held in
memory, however many there are.
"""

import os
from collections.abc import Callable
from functools import lru_cache

from tfft.system.tensorflow import tf

import numpy as np

from tfft.data.graph.augment import augmented_view, boxes_in_part
from tfft.data.index import ImageIndex, repetitions
from tfft.images.portable import portable
from tfft.images.spec import PixelSpec

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
    visits = tf.data.Dataset.from_tensor_slices(_visits(np.arange(len(index))))
    view = _view_function(pixels, "none")
    return _ahead(_batches(index, visits, batch_size, view, lambda *_: nothing))


def training_batches(
    index: ImageIndex,
    pixels: PixelSpec,
    batch_size: int,
    *,
    order: Callable[[int], np.ndarray],
    augmentation: str,
    seed: int,
    epochs: range,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Returns epochs one after another, each in an order and with views of its own.

    They are one dataset, so that it is set up once and the next epoch is decoded while the one
    before is still validated.

    Args:
        index: The images.
        pixels: The pixels wanted.
        batch_size: Number of images in a batch; the last of an epoch may have fewer.
        order: Function from an epoch to the positions in `index` that it visits, int64 [n]; one
            that is repeated gets another view each time.
        augmentation: A name of `tfft.config.data.Augmentation`.
        seed: Seed of the augmentation; a view follows from it, the epoch and the image's content.
        epochs: Epochs, counted from 0 over the whole run; their orders are asked for as they come
            up.
        first_step: Number of batches of the first epoch to leave out, without decoding them.

    Returns:
        Batches as `evaluation_batches` gives them; positions are those in `index`.
    """
    fold = tf.random.experimental.stateless_fold_in
    view = _view_function(pixels, augmentation)
    numbers = tf.constant(_numbers(index) if augmentation != "none" else [0] * len(index), tf.int32)

    def visits_of(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        positions, repetition = _visits(order(int(epoch)))
        start = first_step * batch_size if epoch == epochs.start else 0
        return positions[start:], repetition[start:]

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        visits = tf.numpy_function(visits_of, [epoch], (tf.int64, tf.int64), stateful=False)
        visits = tuple(tf.ensure_shape(each, [None]) for each in visits)
        seeds = tf.stack([tf.constant(seed, tf.int32), tf.cast(epoch, tf.int32)])

        def seed_of(position: tf.Tensor, repetition: tf.Tensor) -> tf.Tensor:
            return fold(fold(seeds, numbers[position]), tf.cast(repetition, tf.int32))

        visited = tf.data.Dataset.from_tensor_slices(visits)
        return _batches(index, visited, batch_size, view, seed_of)

    one_epoch = tf.autograph.experimental.do_not_convert(one_epoch)
    return _ahead(tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(one_epoch))


def _visits(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions, and how often each of them came before, int64 [n] each."""
    return order.astype(np.int64), repetitions(order)


def _numbers(index: ImageIndex) -> np.ndarray:
    """Returns the number by which each image is augmented, int32 [n].

    It is one of the image's content, so that an image is seen alike wherever it is among others.
    """
    return np.ascontiguousarray(index.view_keys()[:, :4]).view("<i4").reshape(-1)


def _ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    return batches.prefetch(_BATCHES_AHEAD).with_options(options)


@lru_cache(maxsize=16)
def _view_function(pixels: PixelSpec, augmentation: str) -> Callable[..., tuple]:
    """Returns `augmented_view` as a function of bytes, box and seed that is traced once.

    Tracing takes as long as decoding 1,000 images. An empty box stands for the whole image.
    """

    def view(encoded: tf.Tensor, box: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        given = None if box.shape[0] == 0 else box
        return augmented_view(encoded, pixels, given, augmentation, seed)

    return tf.function(view, autograph=False)


def _batches(
    index: ImageIndex,
    visits: tf.data.Dataset,
    batch_size: int,
    view: Callable[..., tuple],
    seed_of: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> tf.data.Dataset:
    """Returns batches of the images that `visits`, pairs of (position, repetition), name."""
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

    # Nothing here branches on tensors in Python: converting it would only take time.
    element = tf.autograph.experimental.do_not_convert(element)
    decoded = _with_bytes(visits, index).map(element, num_parallel_calls=tf.data.AUTOTUNE)
    return decoded.batch(batch_size)


def _with_bytes(visits: tf.data.Dataset, index: ImageIndex) -> tf.data.Dataset:
    """Adds the encoded bytes to (position, repetition)."""
    if len(index.files) == len(index) and not index.offsets.any():
        files = tf.constant([os.fsencode(file) for file in index.files], tf.string)
        file_ids = tf.constant(index.file_ids)

        def read_file(position: tf.Tensor, repetition: tf.Tensor) -> tuple[tf.Tensor, ...]:
            encoded = tf.io.read_file(files[file_ids[position]])
            return position, repetition, _portable(encoded)

        return visits.map(read_file, num_parallel_calls=tf.data.AUTOTUNE)

    def read(positions: np.ndarray) -> np.ndarray:
        return np.array([portable(index.read(int(position))) for position in positions], object)

    def read_parts(positions: tf.Tensor, repetitions: tf.Tensor) -> tuple[tf.Tensor, ...]:
        encoded = tf.numpy_function(read, [positions], tf.string, stateful=False)
        return positions, repetitions, tf.ensure_shape(encoded, [None])

    # Python runs one thread at a time: it is called for many images at once, not for each.
    blocks = visits.batch(_READ_AT_ONCE).map(read_parts, num_parallel_calls=2)
    return blocks.unbatch()


def _portable(encoded: tf.Tensor) -> tf.Tensor:
    """Returns an encoded image as it is, or as PNG if TensorFlow does not read its format."""
    head = tf.strings.join([tf.strings.substr(encoded, 0, 8), tf.constant(bytes(8), tf.string)])
    start = tf.strings.substr(head, 0, 4)
    needs_pillow = (
        (start == b"II*\0") | (start == b"MM\0*") | (tf.strings.substr(head, 4, 4) == b"ftyp")
    )

    def of_pillow() -> tf.Tensor:
        made = tf.numpy_function(portable, [encoded], tf.string, stateful=False)
        return tf.ensure_shape(made, [])

    return tf.cond(needs_pillow, of_pillow, lambda: encoded)
