"""The photos of a desk, with the labels that they came with and the numbers that its page uses."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfft.config.model import targets_of
from tfft.config.recipe import Recipe
from tfft.data.dataset import SPLITS
from tfft.data.index import ImageIndex
from tfft.data.kept_splits import UNUSED, digests_of
from tfft.data.load import load_data
from tfft.evaluation.data import together
from tfft.system.progress import Progress


@dataclass(frozen=True, eq=False)
class Photos:
    """N photos that can be read, sorted by their paths.

    Attributes:
        name: Name of the folder or list.
        index: Where each lies; its ids are the paths of a labels file.
        labels: Name of the class that each came with.
        splits: Split of each: ``train``, ``validation``, ``test`` or ``unused``.
        class_names: Names of the classes, in their order.
        notes: Remarks about the photos, such as what is left out.
        first: Number of the first photo, from which the others count on. No number is given twice
            while a desk is open, so that none means another photo once some have been moved.
    """

    name: str
    index: ImageIndex
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    first: int = 0

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each photo by its path."""
        return {path: place for place, path in enumerate(self.index.ids)}

    def are(self, others: "Photos") -> bool:
        """Says whether others are the same photos with the same labels and splits."""
        mine, theirs = (
            (photos.index.ids, photos.labels, photos.splits, photos.class_names)
            for photos in (self, others)
        )
        return mine == theirs and np.array_equal(digests_of(self.index), digests_of(others.index))


def load_photos(recipe: Recipe, progress: Progress) -> Photos:
    """Lists, scans and splits the photos of a recipe; files that cannot be read are left out.

    Args:
        recipe: Recipe by which they are trained on; a labels file that it names does not count.
        progress: Where the work is reported.

    Raises:
        DataError: There are no photos, or none that can be read.
    """
    config = recipe.data.model_copy(update={"labels": None, "on_bad_image": "skip"})
    data = load_data(config, progress, targets_of(recipe.heads))
    parts = {split: data.splits[split] for split in SPLITS if split in data.splits}
    if data.unused is not None:
        parts[UNUSED] = data.unused
    index = together(list(parts.values()))
    splits = [split for split, part in parts.items() for _ in range(len(part))]
    order = sorted(range(len(index)), key=index.ids.__getitem__)
    names = data.class_names["label"]
    return Photos(
        name=data.name,
        index=index.take(np.array(order, np.int64)),
        labels=tuple(names[index.targets["label"][place]] for place in order),
        splits=tuple(splits[place] for place in order),
        class_names=names,
        notes=data.notes,
    )
