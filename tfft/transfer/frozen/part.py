"""The part of a model below a cut: its outputs on examples, each computed once and cached.

A row of the cache is known by what decides it: the weights below the cut, the cut, how inputs are
made, and the example itself. Batches are filled up to their size, so that a row does not depend on
which other examples are computed with it, wherever the engine computes each example of a batch
alike (TFLite with XNNPACK does).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from tfft.system.tensorflow import ONEDNN, keras

import numpy as np

from tfft.backbones.split import crossing_tensors
from tfft.cache.keys import decisive_versions
from tfft.cache.room import NoRoomError
from tfft.cache.segment import Content
from tfft.cache.store import StoredRows, completed_rows, open_rows, try_rows
from tfft.cache.tensors import TensorWriter
from tfft.config.recipe import Recipe
from tfft.config.train import CacheConfig
from tfft.data.examples import Examples
from tfft.model.assemble import Classifier
from tfft.model.front import new_input
from tfft.system.device import on_gpu
from tfft.system.progress import SILENT, Progress
from tfft.transfer.frozen.function import FrozenFunction, fastest_function

_STREAM_BATCH = 32
# Examples on which TFLite is compared with Keras.
_SAMPLE = 8
_POOLING = {4: keras.layers.GlobalAveragePooling2D, 3: keras.layers.GlobalAveragePooling1D}
# Names of splits in messages.
_SPLIT_NAMES = {"train": "training"}


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
    """The tensors at one cut.

    Attributes:
        identity: Everything beside the examples that decides the tensors: weights, cut, packages.
        about: Description shown by `tfft cache list`; ``what`` names the tensors.
        tensors: Number of tensors.
    """

    identity: Mapping[str, object]
    about: Mapping[str, object]
    tensors: int


@dataclass(frozen=True, eq=False)
class _Wanted:
    """The tensors of one cut that a pass over examples writes.

    Attributes:
        writers: Where each tensor is written.
        lacking: bool [examples], whose rows are written.
    """

    writers: Sequence[TensorWriter]
    lacking: np.ndarray

    def write(self, tensors: Sequence[np.ndarray], part: slice) -> None:
        """Writes tensors [n, ...] of a part of the examples."""
        for writer, tensor in zip(self.writers, tensors, strict=True):
            writer.append(tensor[self.lacking[part]])


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

    def outputs(self, examples: Examples, split: str, view: View | None = None) -> StoredRows:
        """Returns the tensors at the first cut on every example, open for reading.

        What the cache lacks is computed. In the same pass the other cuts get the tensors of these
        examples that they lack, unless another run is making them.

        Args:
            examples: Examples; the rows of the tensors are in their order.
            split: Name of the examples in messages: ``train`` or ``validation``.
            view: Augmented view of each example; None: the example as it is.

        Raises:
            TfftError: The cache cannot be written, or its bound is too small.
        """
        keys = examples.keys() if view is None else examples.view_keys()
        contents = self._contents(examples, view)
        what = self._cuts[0].about["what"]
        name = f"{_SPLIT_NAMES.get(split, split)} images"
        if view is not None:
            name = f"view {view.number + 1} of {name}"
        computed = 0

        def fill(missing: np.ndarray, writers: Sequence[TensorWriter]) -> None:
            nonlocal computed
            batches = _inputs(examples, missing, view)
            title = f"{what} of {name}"
            first = _Wanted(writers, np.full(len(missing), True))
            self._fill(contents, keys[missing], [first], batches, title)
            computed += len(missing)

        rows = completed_rows(
            contents[0],
            keys,
            fill,
            max_bytes=self._config.max_gb * 1e9,
            progress=self._progress,
        )
        cached = len(keys) - computed
        found = f"{cached:,} {what} from the cache, {computed:,} computed"
        if not (cached and computed):
            found = f"{what} {'computed' if computed else 'from the cache'}"
        self._progress.message(f"{len(keys):,} {name}: {found}")
        return rows

    def _contents(self, examples: Examples, view: View | None) -> list[Content]:
        seen = {} if view is None else asdict(view)
        shared = {
            "inputs": dict(examples.identity()),
            "view": seen,
            "versions": decisive_versions(),
            "device": "GPU" if on_gpu() else "CPU",
            "onednn": ONEDNN,
        }
        outputs = iter(self._prefix.outputs)
        return [
            Content(
                {**cut.identity, **shared},
                {**cut.about, "inputs": _words(shared["inputs"]), "view": _words(seen)},
                [tuple(next(outputs).shape[1:]) for _ in range(cut.tensors)],
                self._config.dtype,
            )
            for cut in self._cuts
        ]

    def _fill(
        self,
        contents: Sequence[Content],
        keys: np.ndarray,
        wanted: list[_Wanted | None],
        batches: Iterator[np.ndarray],
        title: str,
    ) -> None:
        """Writes what is wanted of each cut in one pass, when the last cut has been asked."""
        if len(wanted) == len(contents):
            self._compute(wanted, batches, len(keys), title)
            return
        content, is_filled = contents[len(wanted)], False
        with closing(open_rows(content, keys, self._progress)) as found:
            lacking = found.segment_of < 0

        def fill(writers: Sequence[TensorWriter]) -> None:
            nonlocal is_filled
            is_filled = True
            self._fill(contents, keys, [*wanted, _Wanted(writers, lacking)], batches, title)

        if lacking.any():
            try:
                try_rows(content, keys[lacking], fill, max_bytes=self._config.max_gb * 1e9)
            except NoRoomError:  # it was not asked for
                if is_filled:
                    raise
        if not is_filled:
            self._fill(contents, keys, [*wanted, None], batches, title)

    def _compute(
        self,
        wanted: Sequence[_Wanted | None],
        batches: Iterator[np.ndarray],
        examples: int,
        title: str,
    ) -> None:
        task, done = self._progress.start(title, examples), 0
        try:
            for first in batches:
                if self._function is None:
                    self._function = fastest_function(self._prefix, first[:_SAMPLE])
                for outputs in self._function(chain([first], batches)):
                    by_output = iter(outputs)
                    count = len(outputs[0])
                    for cut, of_cut in zip(self._cuts, wanted, strict=True):
                        tensors = [next(by_output) for _ in range(cut.tensors)]
                        if of_cut is not None:
                            of_cut.write(tensors, slice(done, done + count))
                    done += count
                    task.advance(count)
        finally:
            task.close()


def _inputs(examples: Examples, positions: np.ndarray, view: View | None) -> Iterator[np.ndarray]:
    """Yields the inputs of the examples at `positions` in batches, in their order."""
    if view is None:
        batches = examples.take(positions).exact_batches(_STREAM_BATCH)
    else:
        batches = examples.training_batches(
            _STREAM_BATCH,
            order=lambda _: positions,
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
        contents.append(CutContent(identity, _about(recipe, identity, name), tensors))
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
    about = _about(recipe, identity, "pooled activations of each block")
    content = CutContent(identity, about, len(ends))
    return FrozenPart(keras.Model(inputs, prefix), [content], recipe.train.cache, progress)


def read_outputs(frozen: FrozenPart, examples: Examples, split: str) -> list[np.ndarray]:
    """Returns the outputs of a frozen part on a split, float32 [examples, ...] each, in memory."""
    with closing(frozen.outputs(examples, split)) as entry:
        return [np.asarray(tensor[:], np.float32) for tensor in entry.tensors]


def _about(recipe: Recipe, identity: Mapping[str, Any], what: str) -> dict[str, str]:
    weights = getattr(recipe.backbone, "weights", "pretrained")
    return {
        "what": what,
        "backbone": identity["name"],
        "weights": f"{weights}, {identity['weights'][:8]}",
    }


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


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
        "name": backbone.spec.name,
        "backbone": recipe.backbone.model_dump(mode="json", exclude={"weights"}),
        "adapter": recipe.image.adapter,
        "backbone_input": list(backbone.model.input_shape[1:]),
        "preprocessing": backbone.spec.preprocessing,
        "blocks": blocks,
        "weights": digest.hexdigest(),
        "policy": recipe.train.mixed_precision,
    }
