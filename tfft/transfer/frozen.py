"""The frozen part of a model as a fixed function, run by the fastest exact way on this machine.

Rule: on a CPU, TFLite with XNNPACK, if the prefix converts and its outputs agree with Keras's on
the first images within `AGREEMENT`; otherwise, and on a GPU, the compiled Keras graph.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

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
# What decodes the images and computes the outputs.
_DECISIVE_PACKAGES = ("tfft", "tensorflow", "keras", "ai-edge-litert")

# images float32 [n, H, W, 3] to the tensors at the cut, [n, ...] each.
FrozenFunction = Callable[[np.ndarray], Sequence[np.ndarray]]


class FrozenPart:
    """The part of a model below a cut, whose outputs are computed once and cached on disk.

    Args:
        prefix: images float32 [n, H, W, 3], 0..255, to one or more tensors; nothing in it changes.
        pixels: how images are decoded for it.
        identity: what decides its outputs beside images and pixels: weights, cut.
        progress: where the work is reported.
    """

    def __init__(
        self,
        prefix: keras.Model,
        pixels: PixelSpec,
        identity: Mapping[str, object],
        progress: Progress = SILENT,
    ) -> None:
        self._prefix = prefix
        self._pixels = pixels
        self._identity = {
            **identity,
            "pixels": pixels.to_json(),
            "versions": {name: version(name) for name in _DECISIVE_PACKAGES},
        }
        self._progress = progress
        self._function: FrozenFunction | None = None

    def outputs(self, index: ImageIndex, description: str) -> list[np.ndarray]:
        """Returns the outputs on every image of `index`, in its order.

        Args:
            index: the images.
            description: shown beside the progress bar.

        Returns:
            Memory-mapped float32 arrays [len(index), ...].

        Raises:
            TfftError: The cache cannot be written.
        """
        identity = {**self._identity, "images": index.fingerprint()}
        key = entry_key(identity)
        cached = load_entry(key)
        if cached is not None:
            self._progress.message(f"{description}: {len(index):,} images from the cache")
            return cached
        shapes = [(len(index), *output.shape[1:]) for output in self._prefix.outputs]

        def fill(arrays: Sequence[np.ndarray]) -> None:
            self._compute(index, arrays, description)

        return store_entry(key, identity, shapes, fill)

    def _compute(self, index: ImageIndex, arrays: Sequence[np.ndarray], description: str) -> None:
        task = self._progress.start(description, len(index))
        done = 0
        try:
            for batch in evaluation_batches(index, self._pixels, _STREAM_BATCH):
                images = batch["images"].numpy()
                if self._function is None:
                    self._function = fastest_function(self._prefix, images)
                for array, output in zip(arrays, self._function(images), strict=True):
                    array[done : done + len(images)] = output
                done += len(images)
                task.advance(len(images))
        finally:
            task.close()
        if done != len(index):
            raise TfftError(f"{description}: {done} images were read where {len(index)} are listed")


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
