"""The frozen part of a model as a fixed function, run by the fastest exact way on this machine.

Rule: on a CPU, TFLite with XNNPACK, if the prefix converts and its outputs agree with Keras's on
the first examples within `AGREEMENT`; otherwise, and on a GPU or in mixed precision, the compiled
Keras graph.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.cache.store import Content, Entry, make_entry, open_entry, try_entry
from tfft.cache.tensors import TensorWriter
from tfft.config.train import CacheConfig
from tfft.data.examples import Examples
from tfft.errors import TfftError
from tfft.runtime.tflite.convert_frozen import convert_frozen
from tfft.runtime.tflite.runner import TfliteWorkers
from tfft.system.progress import SILENT, Progress

# Largest difference from Keras, relative to the largest output, that float rounding explains.
AGREEMENT = 1e-4
# Examples a call: measured fastest for TFLite with XNNPACK on a thread of its own; Keras gains
# nothing over 32.
_TFLITE_BATCH = 4
_STREAM_BATCH = 32
# Examples on which TFLite is compared with Keras.
_SAMPLE = 8
# What decodes the images and computes the outputs.
_DECISIVE_PACKAGES = ("tfft", "tensorflow", "keras", "ai-edge-litert")

# Batches of inputs [n, ...], as the model takes them, to the tensors at the cut of each in turn,
# [n, ...] each.
FrozenFunction = Callable[[Iterable[np.ndarray]], Iterator[Sequence[np.ndarray]]]
# Computes tensors into the writers of each cut; None: they are there already.
Computation = Callable[[Sequence[Sequence[TensorWriter] | None]], None]


@dataclass(frozen=True)
class View:
    """An augmented view of each example.

    Attributes:
        augmentation: its preset.
        seed: of the run.
        number: from 0; other numbers are other views.
    """

    augmentation: str
    seed: int
    number: int


@dataclass(frozen=True)
class CutContent:
    """What an entry with the tensors at one cut is.

    Attributes:
        identity: what decides the tensors beside the examples: weights, cut.
        about: what people want to know of it in the list of the cache.
        tensors: how many there are.
    """

    identity: Mapping[str, object]
    about: Mapping[str, object]
    tensors: int


class FrozenPart:
    """The part of a model below a cut, whose outputs are computed once and cached on disk.

    Args:
        prefix: inputs as the model takes them to the tensors of each cut in turn; nothing in it
            changes.
        cuts: the cut that is asked for, and others whose tensors are kept on the way.
        config: of the cache.
        progress: where the work is reported.
    """

    def __init__(
        self,
        prefix: keras.Model,
        cuts: Sequence[CutContent],
        config: CacheConfig,
        progress: Progress = SILENT,
    ) -> None:
        self._prefix = prefix
        self._cuts = cuts
        self._config = config
        self._progress = progress
        self._function: FrozenFunction | None = None

    def outputs(self, examples: Examples, split: str, view: View | None = None) -> Entry:
        """Returns the tensors at the first cut on every example, open for reading.

        Args:
            examples: in whose order the tensors are.
            split: what they are called.
            view: the augmented view of each; None: as it is.

        Raises:
            TfftError: The cache cannot be written, or its bound is too small.
        """
        contents = self._contents(examples, split, view)
        name = f"{split} images" if view is None else f"view {view.number + 1} of {split} images"
        what = self._cuts[0].about["what"]
        entry = open_entry(contents[0])
        if entry is not None:
            self._progress.message(f"{len(examples):,} {name}: {what} from the cache")
            return entry

        def compute(writers: Sequence[Sequence[TensorWriter] | None]) -> None:
            self._compute(examples, view, writers, f"{what} of {name}")

        return self._make(contents, compute)

    def _make(self, contents: Sequence[Content], compute: Computation) -> Entry:
        """Makes the first entry, and in the same pass the others that no run has made or makes.

        Only the first is waited for, and with nothing else in hand: two runs never wait for each
        other.
        """
        writers: list[Sequence[TensorWriter] | None] = [None] * len(contents)
        max_bytes = self._config.max_gb * 1e9

        def make(left: Sequence[int]) -> None:
            if not left:
                compute(writers)
                return
            filled = False

            def fill(of_entry: Sequence[TensorWriter]) -> None:
                nonlocal filled
                filled = True
                writers[left[0]] = of_entry
                make(left[1:])

            entry = try_entry(contents[left[0]], fill, max_bytes=max_bytes)
            if entry is not None:
                entry.close()
            if not filled:
                make(left[1:])

        def fill_first(of_entry: Sequence[TensorWriter]) -> None:
            writers[0] = of_entry
            make(range(1, len(contents)))

        return make_entry(contents[0], fill_first, max_bytes=max_bytes, progress=self._progress)

    def _contents(self, examples: Examples, split: str, view: View | None) -> list[Content]:
        seen = None if view is None else asdict(view)
        shared = {
            "examples": examples.fingerprint(),
            "view": seen,
            "versions": {name: version(name) for name in _DECISIVE_PACKAGES},
        }
        outputs = iter(self._prefix.outputs)
        return [
            Content(
                {**cut.identity, **shared},
                {**cut.about, "split": split, "images": len(examples), "view": seen},
                [(len(examples), *next(outputs).shape[1:]) for _ in range(cut.tensors)],
                self._config.dtype,
            )
            for cut in self._cuts
        ]

    def _compute(
        self,
        examples: Examples,
        view: View | None,
        writers: Sequence[Sequence[TensorWriter] | None],
        description: str,
    ) -> None:
        by_output = [
            writer
            for cut, of_cut in zip(self._cuts, writers, strict=True)
            for writer in of_cut or [None] * cut.tensors
        ]
        task = self._progress.start(description, len(examples))
        try:
            for outputs in self._outputs(_inputs(examples, view)):
                for writer, output in zip(by_output, outputs, strict=True):
                    if writer is not None:
                        writer.append(output)
                task.advance(len(outputs[0]))
        finally:
            task.close()

    def _outputs(self, batches: Iterator[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        for first in batches:
            if self._function is None:
                self._function = fastest_function(self._prefix, first[:_SAMPLE])
            yield from self._function(chain([first], batches))


def _inputs(examples: Examples, view: View | None) -> Iterator[np.ndarray]:
    if view is None:
        batches = examples.exact_batches(_STREAM_BATCH)
    else:
        batches = examples.training_batches(
            _STREAM_BATCH,
            order=lambda _: np.arange(len(examples)),
            augmentation=view.augmentation,
            seed=view.seed,
            epochs=range(view.number, view.number + 1),
        )
    for batch in batches:
        yield batch["inputs"].numpy()


def fastest_function(prefix: keras.Model, sample: np.ndarray) -> FrozenFunction:
    """Returns the prefix as a function by the module's rule, checked on `sample` [n, ...]."""
    compiled = _compiled(prefix)
    if tf.config.list_physical_devices("GPU") or any(o.dtype != "float32" for o in prefix.outputs):
        return compiled
    try:
        workers = TfliteWorkers(convert_frozen(prefix, _TFLITE_BATCH))
    except TfftError:  # it needs operators that TFLite has not
        return compiled
    (expected,), (actual,) = compiled([sample]), workers.map([sample])
    return workers.map if _agree(actual, expected) else compiled


def _compiled(prefix: keras.Model) -> FrozenFunction:
    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs: tf.Tensor) -> list[tf.Tensor]:
        outputs = tf.nest.flatten(prefix(inputs, training=False))
        return [tf.cast(output, tf.float32) for output in outputs]

    def run(batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        for inputs in batches:
            yield [tensor.numpy() for tensor in forward(tf.constant(inputs))]

    return run


def _agree(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    return all(
        a.shape == e.shape and np.abs(a - e).max() <= AGREEMENT * max(np.abs(e).max(), 1e-6)
        for a, e in zip(actual, expected, strict=True)
    )
