"""What a model is trained on: images here, anything else that can be drawn in batches elsewhere."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tfft.data.index import ImageIndex
from tfft.data.parts import exact_targets
from tfft.images.spec import PixelSpec

if TYPE_CHECKING:
    import tensorflow as tf

# From an epoch, counted from 0 over the whole run, to the positions that it visits, int64 [n].
Order = Callable[[int], np.ndarray]


class Examples(Protocol):
    """Examples with their targets, drawn in batches, the same ones every time.

    A batch is ``{"inputs": [b, ...] as the model takes them, "targets": {name: [b, ...]},
    "positions": int64 [b]}``; the last of a pass may be smaller.
    """

    @property
    def targets(self) -> Mapping[str, np.ndarray]:
        """What the data say of each example, [n, ...] by name."""
        ...

    def __len__(self) -> int: ...

    def take(self, positions: Sequence[int] | np.ndarray) -> "Examples":
        """Returns the examples at `positions`, in that order."""
        ...

    def fingerprint(self) -> str:
        """Returns a sha256 of everything that decides the batches, the order included."""
        ...

    def exact_targets(self) -> Mapping[str, np.ndarray]:
        """Returns the targets as they come with exact batches, [n, ...] by name."""
        ...

    def exact_batches(self, batch_size: int) -> "tf.data.Dataset":
        """Returns one pass in order, nothing about the inputs left to chance."""
        ...

    def training_batches(
        self,
        batch_size: int,
        *,
        order: Order,
        augmentation: str,
        seed: int,
        epochs: range,
        first_step: int = 0,
    ) -> "tf.data.Dataset":
        """Returns epochs one after another.

        Args:
            batch_size: examples in a batch.
            order: of each epoch.
            augmentation: name of what may be done to the inputs; ``"none"`` leaves them exact.
            seed: of the augmentation.
            epochs: counted from 0 over the whole run; each has its own augmentation.
            first_step: batches of the first epoch to leave out.
        """
        ...


@dataclass(frozen=True, eq=False)
class Images:
    """Images as a model takes them: where they lie, and the pixels that are made of them.

    Batches are those of `tfft.data.graph.pipeline`; boxes among the targets are shares of what
    the pixels show.
    """

    index: ImageIndex
    pixels: PixelSpec

    @property
    def targets(self) -> Mapping[str, np.ndarray]:
        return self.index.targets

    def __len__(self) -> int:
        return len(self.index)

    def take(self, positions: Sequence[int] | np.ndarray) -> "Images":
        return replace(self, index=self.index.take(positions))

    def fingerprint(self) -> str:
        parts = [self.index.fingerprint(), self.pixels.to_json()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def exact_targets(self) -> Mapping[str, np.ndarray]:
        return exact_targets(self.index, self.pixels) if len(self) else self.targets

    def exact_batches(self, batch_size: int) -> "tf.data.Dataset":
        from tfft.data.graph.pipeline import evaluation_batches

        return evaluation_batches(self.index, self.pixels, batch_size)

    def training_batches(
        self,
        batch_size: int,
        *,
        order: Order,
        augmentation: str,
        seed: int,
        epochs: range,
        first_step: int = 0,
    ) -> "tf.data.Dataset":
        from tfft.data.graph.pipeline import training_batches

        return training_batches(
            self.index,
            self.pixels,
            batch_size,
            order=order,
            augmentation=augmentation,
            seed=seed,
            epochs=epochs,
            first_step=first_step,
        )
