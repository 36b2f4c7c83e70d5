"""The part of a model below a cut: its outputs on examples, each computed once and cached.

A row of the cache is known by what decides it: the weights below the cut, the cut, how inputs are
made, and the example itself. Batches are filled up to their size, so that a row does not depend on
which other examples are computed with it, wherever the engine computes each example of a batch
alike (TFLite with XNNPACK does).

Nothing here starts TensorFlow; `tfft.transfer.frozen.build` makes the part below a cut.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np

from tfft.cache.room import NoRoomError
from tfft.cache.segment import Content
from tfft.cache.store import StoredRows, completed_rows, open_rows, try_rows
from tfft.cache.tensors import TensorWriter
from tfft.config.train import CacheConfig
from tfft.data.examples import Examples
from tfft.system.progress import SILENT, Progress
from tfft.transfer.frozen.engine import FrozenFunction

_STREAM_BATCH = 32
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
        shapes: Shape of each tensor, of one example.
    """

    identity: Mapping[str, object]
    about: Mapping[str, object]
    shapes: Sequence[tuple[int, ...]]

    def of(self, examples: Examples, dtype: str, view: View | None = None) -> Content:
        """Returns the tensors of some examples, or of a view of them, as the cache knows them."""
        inputs, seen = dict(examples.identity()), {} if view is None else asdict(view)
        return Content(
            {**self.identity, "inputs": inputs, "view": seen},
            {**self.about, "inputs": _words(inputs), "view": _words(seen)},
            self.shapes,
            dtype,
        )


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
        function: From the first inputs [n, ...] of a pass to the function from inputs to the
            tensors of each cut in turn; called when something has to be computed.
        cuts: The cut that is asked for, and others whose tensors are kept on the way.
        config: The recipe's `train.cache` section.
        progress: Where the work is reported.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], FrozenFunction],
        cuts: Sequence[CutContent],
        config: CacheConfig,
        progress: Progress = SILENT,
    ) -> None:
        self._function_of = function
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
        contents = [cut.of(examples, self._config.dtype, view) for cut in self._cuts]
        what = self._cuts[0].about["what"]
        name = f"{_SPLIT_NAMES.get(split, split)} images"
        if view is not None:
            name = f"view {view.number + 1} of {name}"
        computed = 0

        def fill(missing: np.ndarray, writers: Sequence[TensorWriter]) -> None:
            nonlocal computed
            batches = inputs_of(examples, missing, view)
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
            self._compute(contents, wanted, batches, len(keys), title)
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
        contents: Sequence[Content],
        wanted: Sequence[_Wanted | None],
        batches: Iterator[np.ndarray],
        examples: int,
        title: str,
    ) -> None:
        task, done = self._progress.start(title, examples), 0
        try:
            for first in batches:
                if self._function is None:
                    self._function = self._function_of(first)
                for content in contents:
                    content.about["engine"] = self._function.engine
                for outputs in self._function(chain([first], batches)):
                    by_output = iter(outputs)
                    count = len(outputs[0])
                    for cut, of_cut in zip(self._cuts, wanted, strict=True):
                        tensors = [next(by_output) for _ in cut.shapes]
                        if of_cut is not None:
                            of_cut.write(tensors, slice(done, done + count))
                    done += count
                    task.advance(count)
        finally:
            task.close()


def inputs_of(examples: Examples, positions: np.ndarray, view: View | None) -> Iterator[np.ndarray]:
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


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
