"""The split of each image: that of its source, or what is cut from the training images."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfft.config.data import DataConfig
from tfft.data.cuts import limited_part, stratified_part, threshold_part
from tfft.data.dataset import SPLITS, Source, shown
from tfft.data.index import ImageIndex
from tfft.data.kept_splits import UNUSED, KeptSplits, digests_of, read_kept_splits
from tfft.data.pieces import piece_names
from tfft.errors import DataError
from tfft.system.readable import counted


@dataclass(frozen=True, eq=False)
class AsTheyCame:
    """The N images of a source with the labels that they came with, before others hold.

    Attributes:
        source: The source; its index has digests.
        usable: bool [N], where an image can be read and is not left out.
        stayed: int64 [n], positions of the images that are not removed.
    """

    source: Source
    usable: np.ndarray
    stayed: np.ndarray


def divided(
    config: DataConfig, source: Source, usable: np.ndarray, came: AsTheyCame | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the split of each image; test and validation are cut from training if missing.

    Args:
        config: The `data` section of a recipe.
        source: The source, with its own splits; its index has digests.
        usable: bool [n], where an image can be read and is not left out.
        came: The images as they came, where other labels hold in `source`: test and validation are
            cut from these, so that no image changes its split by being relabelled, nor by others
            being removed, unless a class would have no image to train on.

    Returns:
        str [n]: one of `SPLITS`, `UNUSED`, or "" for images that are not usable; and remarks about
        groups and about images in another split than without `data.labels`, for a person.

    Raises:
        DataError: The groups, or the splits that are to be taken over, are not there.
    """
    labels, groups = source.index.targets["label"], _groups(config, source)
    pieces = _pieces(config, source.index, usable, groups)
    splits, notes = _cut_from(config, source, usable, pieces), ()
    if came is not None:
        came_pieces = _pieces(config, came.source.index, came.usable, _groups(config, came.source))
        before = _cut_from(config, came.source, came.usable, came_pieces)[came.stayed]
        if set(labels[splits == "train"]) <= set(labels[before == "train"]):
            splits = before
        else:
            notes = _moved_notes(source, before, splits)
    if config.fraction < 1 or config.limit_per_class is not None:
        pool = np.flatnonzero(splits == "train")
        used = limited_part(
            [pieces[position] for position in pool.tolist()],
            labels[pool],
            fraction=config.fraction,
            limit_per_class=config.limit_per_class,
            seed=config.split_seed,
        )
        splits[pool[~used]] = UNUSED
    return splits, _group_notes(groups, splits) + notes


def _cut_from(
    config: DataConfig, source: Source, usable: np.ndarray, pieces: list[str]
) -> np.ndarray:
    """Returns the split of each image; all that is left is for training."""
    splits = np.where(usable, source.splits.astype("U10"), "")  # as long as "validation"
    own = set(source.splits.tolist())
    free = splits == "train"
    if config.split_like is not None:
        known = _taken_over(read_kept_splits(config.split_like), source.index, pieces)
        splits[free] = np.where(known == "", "train", known)[free]
        free &= known == ""
    for split, fraction in (
        ("test", config.test_fraction),
        ("validation", config.validation_fraction),
    ):
        if split not in own:
            pool = np.flatnonzero(free & (splits == "train"))
            splits[pool[_cut(config, pieces, source, pool, split, fraction)]] = split
    return splits


def _moved_notes(source: Source, before: np.ndarray, splits: np.ndarray) -> tuple[str, ...]:
    """Says which images are in another split than they would be without `data.labels`."""
    moved = np.flatnonzero(before != splits)
    return tuple(
        f"{counted(len(moved), 'image')} in another split than without data.labels, such as "
        f"{source.index.ids[place]} ({before[place]}, now {splits[place]}), since a class would "
        "have no image to train on"
        for place in moved[:1]
    )


def _cut(
    config: DataConfig,
    pieces: list[str],
    source: Source,
    pool: np.ndarray,
    split: str,
    fraction: float,
) -> np.ndarray:
    names = [pieces[position] for position in pool.tolist()]
    labels = source.index.targets["label"][pool]
    if config.split_by == "name":
        return stratified_part(names, labels, fraction, config.split_seed)
    return threshold_part(names, labels, fraction=fraction, seed=config.split_seed, split=split)


def groups_of(config: DataConfig, source: Source) -> Sequence[str] | None:
    """Returns the group of each image, "" for none; None where the recipe names no groups.

    Args:
        config: The `data` section of a recipe.
        source: The source, whose own groups come first.
    """
    if config.groups is None or source.groups is not None:
        return None if config.groups is None else source.groups
    found = [re.search(config.groups, name) for name in source.index.ids]
    return tuple((match[1] or "") if match else "" for match in found)


def _groups(config: DataConfig, source: Source) -> Sequence[str] | None:
    """Returns the group of each image as `groups_of` does, and requires that there be any."""
    groups = groups_of(config, source)
    if groups is not None and not any(groups):
        raise DataError(
            f"data.groups finds no group of any image of {source.name}, such as "
            f"{source.index.ids[0]}. Received: {config.groups}"
        )
    return groups


def _pieces(
    config: DataConfig, index: ImageIndex, usable: np.ndarray, groups: Sequence[str] | None
) -> list[str]:
    """Returns what no cut parts, as `piece_names` does; by names alone, each image is its own."""
    if config.split_by == "name":
        return list(index.ids)
    places = np.flatnonzero(usable).tolist()
    of_usable = None if groups is None else [groups[place] for place in places]
    pieces = list(index.ids)  # files that cannot be read are not like one another
    names = piece_names(digests_of(index)[places], of_usable)
    for place, name in zip(places, names, strict=True):
        pieces[place] = name
    return pieces


def _group_notes(groups: Sequence[str] | None, splits: np.ndarray) -> tuple[str, ...]:
    """Says how many images have no group, and which groups the source's own splits part."""
    if groups is None:
        return ()
    where: dict[str, set[str]] = {}
    for group, split in zip(groups, splits.tolist(), strict=True):
        if group and split in SPLITS:
            where.setdefault(group, set()).add(split)
    notes = []
    if alone := sum(not group for group in groups):
        notes.append(f"{counted(alone, 'image')} of no group, by data.groups")
    if parted := sorted(group for group, found in where.items() if len(found) > 1):
        notes.append(
            f"{counted(len(parted), 'group')} in more than one of the splits that the images came "
            f"with: {', '.join(shown(parted))}"
        )
    return tuple(notes)


def _taken_over(kept: KeptSplits, index: ImageIndex, pieces: Sequence[str]) -> np.ndarray:
    """Returns the split that is taken over for each image, str [N]; "" where there is none.

    An image that is not known goes with the known ones of its piece: into training, if one of them
    was trained on.
    """
    known = kept.splits_of(index)
    of_piece: dict[str, str] = {}
    for split in ("test", "validation", "train"):
        of_piece |= {pieces[k]: split for k in np.flatnonzero(known == split).tolist()}
    named = zip(known.tolist(), pieces, strict=True)
    return np.array([split or of_piece.get(piece, "") for split, piece in named], "U10")
