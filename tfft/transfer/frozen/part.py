"""The part of a model below a cut: its outputs on all examples, computed once and cached."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from typing import Any

from tfft.system.tensorflow import keras

import numpy as np

from tfft.backbones.backbone import Backbone
from tfft.backbones.split import crossing_tensors
from tfft.cache.store import Content, Entry, make_entry, open_entry, try_entry
from tfft.cache.tensors import TensorWriter
from tfft.config.recipe import Recipe
from tfft.config.train import CacheConfig
from tfft.data.examples import Examples
from tfft.model.assemble import Classifier
from tfft.model.front import new_input
from tfft.system.progress import SILENT, Progress
from tfft.transfer.frozen.function import FrozenFunction, fastest_function

_STREAM_BATCH = 32
# Examples on which TFLite is compared with Keras.
_SAMPLE = 8
# What decodes the images and computes the outputs.
_DECISIVE_PACKAGES = ("tfft", "tensorflow", "keras", "ai-edge-litert")
_POOLING = {4: keras.layers.GlobalAveragePooling2D, 3: keras.layers.GlobalAveragePooling1D}

# Computes tensors into the writers of each cut; None: they are there already.
Computation = Callable[[Sequence[Sequence[TensorWriter] | None]], None]


@dataclass(frozen=True)
class View:
    """An augmented view of each example.

    Attributes:
        augmentation: Name of the augmentation preset.
        seed: Seed of the run.
        number: Number of the view, from 0; each number is another view.
    """

    augmentation: str
    seed: int
    number: int


@dataclass(frozen=True)
class CutContent:
    """The tensors at one cut, as an entry of the cache.

    Attributes:
        identity: Everything beside the examples that decides the tensors: weights, cut, pixels.
        about: Description shown by `tfft cache list`.
        tensors: Number of tensors.
    """

    identity: Mapping[str, object]
    about: Mapping[str, object]
    tensors: int


class FrozenPart:
    """The part of a model below a cut, whose outputs are computed once and cached on disk.

    Args:
        prefix: Model from the inputs to the tensors of each cut in turn; nothing in it changes.
        cuts: The cut that is asked for, and others whose tensors are kept on the way.
        config: The recipe's `train.cache` section.
        progress: Where the work is reported.
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
            examples: Examples; the rows of the tensors are in their order.
            split: Name of the examples in messages: ``train`` or ``validation``.
            view: Augmented view of each example; None: the example as it is.

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
        """Makes the first entry, and in the same pass others that no run has made or is making.

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
        """Writes the tensors of each cut that has writers, in one pass over the examples."""
        by_output = [
            writer
            for cut, of_cut in zip(self._cuts, writers, strict=True)
            for writer in of_cut or [None] * cut.tensors
        ]
        batches = _inputs(examples, view)
        task = self._progress.start(description, len(examples))
        try:
            for first in batches:
                if self._function is None:
                    self._function = fastest_function(self._prefix, first[:_SAMPLE])
                for outputs in self._function(chain([first], batches)):
                    for writer, output in zip(by_output, outputs, strict=True):
                        if writer is not None:
                            writer.append(output)
                    task.advance(len(outputs[0]))
        finally:
            task.close()


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


def frozen_part(
    recipe: Recipe, classifier: Classifier, cuts: Sequence[int], progress: Progress = SILENT
) -> FrozenPart:
    """Returns the part of a classifier below one or more cuts.

    Args:
        recipe: The recipe that the classifier was built from.
        classifier: The classifier, with its weights as they are now.
        cuts: How many blocks lie below each cut; with all of them its tensors are the pooled
            features. The first is asked for, the others are kept on the way.
        progress: Where the work is reported.
    """
    backbone, contents = classifier.backbone, []
    for blocks in cuts:
        pooled = blocks == len(backbone.blocks)
        poolings = list(classifier.poolings) if pooled else []
        name = "features" if pooled else f"activations after {backbone.blocks[blocks - 1].name}"
        tensors = len(poolings) if pooled else len(crossing_tensors(backbone, blocks))
        identity = {**_identity(recipe, classifier, blocks), "poolings": poolings}
        contents.append(CutContent(identity, _about(recipe, backbone, name), tensors))
    return FrozenPart(classifier.below(cuts), contents, recipe.train.cache, progress)


def pooled_blocks(
    recipe: Recipe, classifier: Classifier, ends: Sequence[int], progress: Progress = SILENT
) -> FrozenPart:
    """Returns the part of a classifier up to the ends of blocks, each averaged over its positions.

    Args:
        recipe: As in `frozen_part`.
        classifier: As in `frozen_part`.
        ends: How many blocks lie before each end; each gives one tensor [examples, channels].
        progress: Where the work is reported.
    """
    backbone, vectors = classifier.backbone, []
    for end in ends:
        whole = end == len(backbone.blocks)
        tensors = [backbone.model.output] if whole else crossing_tensors(backbone, end)
        means = [_POOLING[len(t.shape)]()(t) if len(t.shape) in _POOLING else t for t in tensors]
        vectors.append(means[0] if len(means) == 1 else keras.layers.Concatenate()(means))
    inputs = new_input(classifier.front)
    prefix = keras.Model(backbone.model.input, vectors)(classifier.front(inputs))
    identity = {
        **_identity(recipe, classifier, len(backbone.blocks)),
        "pooled_at_each_block": True,
    }
    about = _about(recipe, backbone, "pooled activations of each block")
    content = CutContent(identity, about, len(ends))
    return FrozenPart(keras.Model(inputs, prefix), [content], recipe.train.cache, progress)


def read_outputs(frozen: FrozenPart, examples: Examples, split: str) -> list[np.ndarray]:
    """Returns the outputs of a frozen part on a split, float32 [examples, ...] each, in memory."""
    with closing(frozen.outputs(examples, split)) as entry:
        return [np.asarray(tensor[:], np.float32) for tensor in entry.tensors]


def _about(recipe: Recipe, backbone: Backbone, what: str) -> dict[str, str]:
    return {"what": what, "backbone": backbone.spec.name, "recipe": recipe.name}


def _identity(recipe: Recipe, classifier: Classifier, blocks: int) -> dict[str, Any]:
    """What decides the tensors that the first blocks make of an image.

    The weights of the adapter and of these blocks count as they are now: an earlier phase may have
    trained them.
    """
    backbone, digest = classifier.backbone, hashlib.sha256()
    below = [layer for block in backbone.blocks[:blocks] for layer in block.layers]
    whole = [backbone.model] if backbone.opaque else below
    for layer in (*classifier.front.layers, *whole):
        for variable in layer.variables:
            digest.update(f"{variable.shape} {variable.dtype}".encode())
            digest.update(variable.numpy().tobytes())
    return {
        "backbone": recipe.backbone.model_dump(mode="json", exclude={"weights"}),
        "image": recipe.image.model_dump(mode="json"),
        "preprocessing": backbone.spec.preprocessing,
        "blocks": blocks,
        "weights": digest.hexdigest(),
        "policy": recipe.train.mixed_precision,
    }
