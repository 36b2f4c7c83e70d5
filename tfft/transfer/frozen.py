"""The frozen part of a model as a fixed function, run by the fastest exact way on this machine.

Rule: on a CPU, TFLite with XNNPACK, if the prefix converts and its outputs agree with Keras's on
the first images within `AGREEMENT`; otherwise, and on a GPU or in mixed precision, the compiled
Keras graph.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np

from tfft.config.train import CacheConfig
from tfft.data.index import ImageIndex
from tfft.data.pipeline import evaluation_batches, training_batches
from tfft.errors import TfftError
from tfft.images.spec import PixelSpec
from tfft.runtime.tflite_frozen import convert_frozen
from tfft.runtime.tflite_runner import TfliteFunction
from tfft.system.progress import SILENT, Progress
from tfft.system.tensorflow import start_tensorflow
from tfft.transfer.cache import Content, Entry, make_entry, open_entry
from tfft.transfer.stored import TensorWriter

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


@dataclass(frozen=True)
class View:
    """An augmented view of each image.

    Attributes:
        augmentation: its preset.
        seed: of the run.
        number: from 0; other numbers are other views.
    """

    augmentation: str
    seed: int
    number: int


class FrozenPart:
    """The part of a model below a cut, whose outputs are computed once and cached on disk.

    Args:
        prefix: images float32 [n, H, W, 3], 0..255, to one or more tensors; nothing in it changes.
        pixels: how images are decoded for it.
        identity: what decides its outputs beside images and pixels: weights, cut.
        about: what people want to know of it in the list of the cache.
        config: of the cache.
        progress: where the work is reported.
    """

    def __init__(
        self,
        prefix: keras.Model,
        pixels: PixelSpec,
        identity: Mapping[str, object],
        about: Mapping[str, object],
        config: CacheConfig,
        progress: Progress = SILENT,
    ) -> None:
        self._prefix = prefix
        self._pixels = pixels
        self._identity = {
            **identity,
            "pixels": pixels.to_json(),
            "versions": {name: version(name) for name in _DECISIVE_PACKAGES},
        }
        self._about = dict(about)
        self._config = config
        self._progress = progress
        self._function: FrozenFunction | None = None

    def outputs(self, index: ImageIndex, split: str, view: View | None = None) -> Entry:
        """Returns the outputs on every image of `index`, in its order, open for reading.

        Args:
            index: the images.
            split: what they are called.
            view: the augmented view of each image; None: its exact pixels.

        Raises:
            TfftError: The cache cannot be written, or its bound is too small.
        """
        content = self._content(index, split, view)
        name = f"{split} images" if view is None else f"view {view.number + 1} of {split} images"
        entry = open_entry(content)
        if entry is not None:
            self._progress.message(f"{len(index):,} {name}: {self._about['what']} from the cache")
            return entry

        def fill(writers: Sequence[TensorWriter]) -> None:
            self._compute(index, view, writers, f"{self._about['what']} of {name}")

        return make_entry(
            content, fill, max_bytes=self._config.max_gb * 1e9, progress=self._progress
        )

    def _content(self, index: ImageIndex, split: str, view: View | None) -> Content:
        seen = None if view is None else asdict(view)
        about = {**self._about, "split": split, "images": len(index), "view": seen}
        identity = {**self._identity, "images": index.fingerprint(), "view": seen}
        shapes = [(len(index), *output.shape[1:]) for output in self._prefix.outputs]
        return Content(identity, about, shapes, self._config.dtype)

    def _compute(
        self,
        index: ImageIndex,
        view: View | None,
        writers: Sequence[TensorWriter],
        description: str,
    ) -> None:
        task = self._progress.start(description, len(index))
        try:
            for batch in self._batches(index, view):
                images = batch["images"].numpy()
                if self._function is None:
                    self._function = fastest_function(self._prefix, images)
                for writer, output in zip(writers, self._function(images), strict=True):
                    writer.append(output)
                task.advance(len(images))
        finally:
            task.close()

    def _batches(self, index: ImageIndex, view: View | None) -> tf.data.Dataset:
        if view is None:
            return evaluation_batches(index, self._pixels, _STREAM_BATCH)
        return training_batches(
            index,
            self._pixels,
            _STREAM_BATCH,
            order=np.arange(len(index)),
            augmentation=view.augmentation,
            seed=view.seed,
            epoch=view.number,
        )


def fastest_function(prefix: keras.Model, sample: np.ndarray) -> FrozenFunction:
    """Returns the prefix as a function by the module's rule, checked on `sample` [n, H, W, 3]."""
    if tf.config.list_physical_devices("GPU") or any(o.dtype != "float32" for o in prefix.outputs):
        return _compiled(prefix)
    try:
        function = TfliteFunction(convert_frozen(prefix, _TFLITE_BATCH))
    except TfftError:  # it needs operators that TFLite has not
        return _compiled(prefix)
    sample = sample[:_TFLITE_BATCH]
    expected = [t.numpy() for t in tf.nest.flatten(prefix(tf.constant(sample), training=False))]
    return function if _agree(function(sample), expected) else _compiled(prefix)


def _compiled(prefix: keras.Model) -> FrozenFunction:
    @tf.function(reduce_retracing=True)
    def forward(images: tf.Tensor) -> list[tf.Tensor]:
        outputs = tf.nest.flatten(prefix(images, training=False))
        return [tf.cast(output, tf.float32) for output in outputs]

    return lambda images: [tensor.numpy() for tensor in forward(tf.constant(images))]


def _agree(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    return all(
        a.shape == e.shape and np.abs(a - e).max() <= AGREEMENT * max(np.abs(e).max(), 1e-6)
        for a, e in zip(actual, expected, strict=True)
    )
