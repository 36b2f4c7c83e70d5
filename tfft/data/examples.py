"""What a model is trained on, and in which order.

Images here; anything else that can be drawn in batches elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tfft.data.index import ImageIndex
from tfft.images.geometry import boxes_in_part, visible_part
from tfft.images.inspect import image_size
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
        """Returns what the data say of each example, [n, ...] by name."""
        ...

    def __len__(self) -> int: ...

    def take(self, positions: Sequence[int] | np.ndarray) -> "Examples":
        """Returns the examples at `positions`, in that order."""
        ...

    def identity(self) -> Mapping[str, object]:
        """Returns what decides the inputs of all examples alike, as JSON values."""
        ...

    def keys(self) -> np.ndarray:
        """Returns what decides the inputs of each example beside that, uint8 [n, 32].

        Examples with equal keys have equal inputs, whatever they are called and wherever they are.
        """
        ...

    def view_keys(self) -> np.ndarray:
        """Returns what decides an augmented view of each example, uint8 [n, 32].

        Beside `identity`, augmentation, seed and epoch, and if an epoch visits the example once.
        """
        ...

    def exact_targets(self) -> Mapping[str, np.ndarray]:
        """Returns the targets as they come with exact batches, [n, ...] by name."""
        ...

    def exact_batches(self, batch_size: int) -> "tf.data.Dataset":
        """Returns one pass in order, with nothing about the inputs left to chance."""
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
            batch_size: Number of examples in a batch.
            order: Positions that each epoch visits, in order.
            augmentation: Name of what may be done to the inputs; ``"none"`` leaves them exact.
            seed: Seed of the augmentation.
            epochs: Epochs, counted from 0 over the whole run; each has its own augmentation.
            first_step: Number of batches of the first epoch to leave out.
        """
        ...


@dataclass(frozen=True, eq=False)
class Images:
    """Images as a model takes them: batches are those of `tfft.data.graph.pipeline`.

    Boxes among the targets are shares of what the pixels show.

    Attributes:
        index: Where the images lie, and what they are labelled.
        pixels: Pixels that are made of them.
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

    def identity(self) -> Mapping[str, object]:
        sizes = {name: self.pixels.to_json()[name] for name in ("height", "width", "channels")}
        rest = {name: each for name, each in self.pixels.to_json().items() if name not in sizes}
        return {"image": " x ".join(map(str, sizes.values())), **rest}

    def keys(self) -> np.ndarray:
        return self.index.keys()

    def view_keys(self) -> np.ndarray:
        return self.index.view_keys()

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


def exact_targets(index: ImageIndex, spec: PixelSpec) -> dict[str, np.ndarray]:
    """Returns the targets of all images, boxes as shares of what the pixels of `spec` show.

    They are those that `tfft.data.graph.pipeline.evaluation_batches` gives.
    """
    if not index.box_targets:
        return index.targets
    if spec.fit == "stretch" and index.boxes is None:  # whole images: not even headers are read
        parts = np.tile(np.array([0, 0, 1, 1], np.float32), (len(index), 1))
    else:
        cuts = [None] * len(index) if index.boxes is None else index.boxes
        parts = np.stack(
            [
                visible_part(*image_size(index.read(position)), spec, cut)
                for position, cut in enumerate(cuts)
            ]
        )
    boxes = {name: boxes_in_part(index.targets[name], parts) for name in index.box_targets}
    return {**index.targets, **boxes}


def uniform_order(images: int, seed: int, epoch: int) -> np.ndarray:
    """Returns the permutation of ``range(images)``, int64, in which an epoch visits them."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def balanced_order(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Returns as many positions as there are images, int64, equally many of each class.

    Images of a class are drawn in turn, in an order of the epoch's own, so that none is repeated
    before all of the class have been drawn.

    Args:
        labels: int64 [n], the class of each image.
        seed: Seed of the run.
        epoch: Number of the epoch, counted from 0 over the whole run.
    """
    generator = np.random.default_rng([seed, epoch])
    classes = np.unique(labels)
    counts = np.full(len(classes), len(labels) // len(classes))
    counts[generator.permutation(len(classes))[: len(labels) % len(classes)]] += 1
    drawn = []
    for label, count in zip(classes, counts, strict=True):
        members = np.flatnonzero(labels == label)
        rounds = [generator.permutation(members) for _ in range(-(-count // len(members)))]
        drawn.append(np.concatenate([*rounds, members[:0]])[:count])
    return generator.permutation(np.concatenate(drawn))
