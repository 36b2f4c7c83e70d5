"""The frozen part of a model as a fixed function, run by the fastest exact way on this machine.

Rule: on a CPU, TFLite with XNNPACK, if the prefix converts and its outputs agree with Keras's on
the first images within `AGREEMENT`; otherwise, and on a GPU, the compiled Keras graph.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfft.data.index import ImageIndex
from tfft.data.pipeline import evaluation_batches
from tfft.errors import TfftError
from tfft.images.spec import PixelSpec
from tfft.runtime.tflite_convert import convert_to_tflite
from tfft.runtime.tflite_runner import TfliteFunction
from tfft.system.progress import SILENT, Progress
from tfft.system.tensorflow import start_tensorflow
from tfft.transfer.cache import entry_key, load_entry, store_entry

start_tensorflow()
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

# Largest difference from Keras, relative to the largest output, that float rounding explains.
AGREEMENT = 1e-4
# Images a call: measured fastest for TFLite with XNNPACK on 2 cores; Keras gains nothing over 32.
_TFLITE_BATCH = 8
_STREAM_BATCH = 32

# images float32 [n, H, W, 3] to the tensors at the cut, [n, ...] each.
FrozenFunction = Callable[[np.ndarray], Sequence[np.ndarray]]


def frozen_outputs(
    prefix: keras.Model,
    index: ImageIndex,
    pixels: PixelSpec,
    identity: Mapping[str, object],
    *,
    description: str,
    progress: Progress = SILENT,
) -> list[np.ndarray]:
    """Returns the prefix's outputs on every image of `index`, computed once and cached on disk.

    Args:
        prefix: images float32 [n, H, W, 3], 0..255, to a list of tensors; nothing in it changes.
        index: the images, in whose order the rows of the result are.
        pixels: how they are decoded.
        identity: what decides the outputs beside images and pixels: weights, cut.
        description: shown beside the progress bar.
        progress: where the work is reported.

    Returns:
        Memory-mapped float32 arrays [len(index), ...].
    """
    whole_identity = {
        **identity,
        "images": index.fingerprint(),
        "pixels": pixels.to_json(),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    key = entry_key(whole_identity)
    cached = load_entry(key)
    if cached is not None:
        progress.message(f"{description}: {len(index):,} images from the cache")
        return cached
    shapes = [(len(index), *output.shape[1:]) for output in prefix.outputs]

    def fill(arrays: Sequence[np.ndarray]) -> None:
        _compute(prefix, index, pixels, arrays, description, progress)

    return store_entry(key, whole_identity, shapes, fill)


def _compute(
    prefix: keras.Model,
    index: ImageIndex,
    pixels: PixelSpec,
    arrays: Sequence[np.ndarray],
    description: str,
    progress: Progress,
) -> None:
    function: FrozenFunction | None = None
    task = progress.start(description, len(index))
    done = 0
    try:
        for batch in evaluation_batches(index, pixels, _STREAM_BATCH):
            images = batch["images"].numpy()
            if function is None:
                function = fastest_function(prefix, images)
            for array, output in zip(arrays, function(images), strict=True):
                array[done : done + len(images)] = output
            done += len(images)
            task.advance(len(images))
    finally:
        task.close()
    if done != len(index):
        raise TfftError(f"{description}: {done} images were read where {len(index)} are listed.")


def fastest_function(prefix: keras.Model, sample: np.ndarray) -> FrozenFunction:
    """Returns the prefix as a function by the module's rule, checked on `sample` [n, H, W, 3]."""
    compiled = _compiled(prefix)
    if tf.config.list_physical_devices("GPU"):
        return compiled
    function = TfliteFunction(convert_to_tflite(prefix, batch_size=_TFLITE_BATCH))
    return function if _agree(function(sample), compiled(sample)) else compiled


def _compiled(prefix: keras.Model) -> FrozenFunction:
    @tf.function(reduce_retracing=True)
    def forward(images: tf.Tensor) -> list[tf.Tensor]:
        return tf.nest.flatten(prefix(images, training=False))

    return lambda images: [tensor.numpy() for tensor in forward(tf.constant(images))]


def _agree(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    return all(
        a.shape == e.shape and np.abs(a - e).max() <= AGREEMENT * max(np.abs(e).max(), 1e-6)
        for a, e in zip(actual, expected, strict=True)
    )
