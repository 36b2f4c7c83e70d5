"""Sets with copies and groups, of which images come, go and change: no cut parts what belongs
together, and a run knows its images again."""

import random
from pathlib import Path

import numpy as np
import pytest
from tally import tally

from tfft.config.data import ImageFolderData
from tfft.data.dataset import ImageData, Source
from tfft.data.index import ImageIndex
from tfft.data.kept_splits import UNUSED, read_kept_splits, write_kept_splits
from tfft.data.splits import divided
from tfft.errors import TfftError

_MANY = [300, pytest.param(20_000, marks=pytest.mark.full)]
_CONTENTS = np.random.default_rng(0).integers(0, 256, (4000, 32)).astype(np.uint8)


class Pictures:
    """A set of images: of each its name, what it shows, its class and its group."""

    def __init__(self, choose: random.Random, count: int) -> None:
        self.choose = choose
        self.rows: list[tuple[str, int, int, str]] = []
        self.classes = choose.randrange(1, 5)
        for _ in range(count):
            self.add()
        self.grouped = choose.random() < 0.5 and any(group for *_, group in self.rows)

    def add(self) -> None:
        """Adds an image: a new one, or a copy of another, in no group or in one of a few images."""
        number, choose = len(self.rows), self.choose
        copied = choose.choice(self.rows) if self.rows and choose.random() < 0.3 else None
        shown = number if copied is None else copied[1]
        group = copied[3] if copied else f"{number // 3}" if choose.random() < 0.5 else ""
        self.rows.append((f"{number:04}", shown, choose.randrange(self.classes), group))

    def source(self) -> Source:
        names, shown, labels, groups = zip(*self.rows, strict=True)
        zeros = np.zeros(len(names), np.int64)
        index = ImageIndex(
            files=("all",),
            file_ids=zeros.astype(np.int32),
            offsets=zeros,
            lengths=zeros,
            ids=names,
            targets={"label": np.array(labels)},
            digests=_CONTENTS[list(shown)],
        )
        classes = tuple(map(str, range(self.classes)))
        splits = np.full(len(names), "train")
        return Source("set", index, splits, classes, groups=groups if self.grouped else None)

    def config(self) -> ImageFolderData:
        return ImageFolderData(
            kind="image_folder",
            test_fraction=self.choose.choice((0.1, 0.2, 0.5)),
            validation_fraction=self.choose.choice((0.0, 0.1, 0.3)),
            fraction=self.choose.choice((0.2, 1.0, 1.0)),
            split_seed=self.choose.randrange(99),
            groups="(.)" if self.grouped else None,
        )


def splits_of(config: ImageFolderData, source: Source) -> list[str]:
    found, _ = divided(config, source, np.ones(len(source.index), bool))
    return found.tolist()


def are_whole(pictures: Pictures, splits: list[str]) -> bool:
    """Says whether equal images, and images of one group, are in one split."""
    seen: dict[str, str] = {}
    for (_, shown, _, group), split in zip(pictures.rows, splits, strict=True):
        keys = [f"shows {shown}", *([f"group {group}"] if group and pictures.grouped else [])]
        if any(seen.setdefault(key, split) != split for key in keys):
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("tried", _MANY)
def test_no_cut_parts_copies_or_groups_and_each_class_keeps_training_images(tried: int):
    held = 0
    for number in range(tried):
        pictures = Pictures(random.Random(number), number % 90 + 2)
        splits = splits_of(pictures.config(), pictures.source())
        trained = {row[2] for row, s in zip(pictures.rows, splits, strict=True) if s == "train"}
        held += are_whole(pictures, splits) and trained == {row[2] for row in pictures.rows}
    tally(
        "data",
        "Copies of an image, and images of one group, are on one side of every cut, and each class "
        "keeps an image to train on.",
        tried=tried,
        held=held,
    )
    assert held == tried


@pytest.mark.slow
@pytest.mark.parametrize("tried", [100, pytest.param(3000, marks=pytest.mark.full)])
def test_an_image_keeps_its_split_when_others_are_added(tried: int):
    held = 0
    for number in range(tried):
        pictures = Pictures(random.Random(number), 400)
        config = pictures.config().model_copy(update={"fraction": 1.0})
        before = splits_of(config, pictures.source())
        for _ in range(pictures.choose.randrange(1, 300)):
            pictures.add()
        after = splits_of(config, pictures.source())
        held += after[: len(before)] == before and are_whole(pictures, after)
    tally(
        "data",
        "An image keeps its split when others are added to a set of 400.",
        tried=tried,
        held=held,
    )
    assert held == tried


def kept(source: Source, splits: list[str], path: Path) -> None:
    parts = {
        split: source.index.take(np.flatnonzero(np.array(splits) == split))
        for split in ("train", "validation", "test", UNUSED)
    }
    unused = parts.pop(UNUSED)
    write_kept_splits(path, ImageData("set", parts, {"label": source.class_names}, unused=unused))


def changed(pictures: Pictures) -> None:
    """Removes, renames, changes, copies and adds images."""
    choose = pictures.choose
    for _ in range(choose.randrange(1, 12)):
        number = choose.randrange(len(pictures.rows))
        name, shown, label, group = pictures.rows[number]
        kind = choose.randrange(5)
        if kind == 0 and len(pictures.rows) > 2:
            del pictures.rows[number]
        elif kind == 1:
            pictures.rows[number] = (f"renamed {name}", shown, label, group)
        elif kind == 2:
            other = choose.choice(pictures.rows)[1]
            pictures.rows[number] = (name, choose.choice((other, 3999)), label, group)
        elif kind == 3:
            pictures.rows.append((f"copy {len(pictures.rows)} {name}", shown, label, group))
        else:
            pictures.rows.append((f"new {len(pictures.rows)} {name}", 3000, label, group))


@pytest.mark.slow
@pytest.mark.parametrize("tried", [100, pytest.param(5000, marks=pytest.mark.full)])
def test_a_run_counts_no_image_elsewhere_than_where_it_was(tried: int, tmp_path: Path):
    held = 0
    for number in range(tried):
        pictures = Pictures(random.Random(number), number % 60 + 2)
        source = pictures.source()
        before = splits_of(pictures.config(), source)
        kept(source, before, tmp_path / "splits.csv")
        was = {row[1]: split for row, split in zip(pictures.rows, before, strict=True)}
        images = {split: before.count(split) for split in set(before)}
        rows = list(pictures.rows)
        changed(pictures)
        index = pictures.source().index
        found, changes = read_kept_splits(tmp_path).recalled(index, np.ones(len(index), bool))
        named = {*changes.new, *changes.changed}
        held += bool(
            all(
                split == was.get(row[1]) if split else row[0] in named
                for row, split in zip(pictures.rows, found.tolist(), strict=True)
            )
            and all(found.tolist().count(split) <= count for split, count in images.items())
            and np.count_nonzero(found != "") + len(changes.gone) + len(changes.changed)
            == len(rows)
        )
    tally(
        "runs",
        "After images were removed, renamed, changed, copied and added, a run counts each of its "
        "own in the split that it was in, and names the others.",
        tried=tried,
        held=held,
    )
    assert held == tried


@pytest.mark.slow
@pytest.mark.parametrize("tried", [300, pytest.param(5000, marks=pytest.mark.full)])
def test_a_damaged_list_of_splits_is_said_or_moves_no_image(tried: int, tmp_path: Path):
    pictures = Pictures(random.Random(0), 30)
    source = pictures.source()
    before = splits_of(pictures.config(), source)
    kept(source, before, tmp_path / "splits.csv")
    whole, choose, held = (tmp_path / "splits.csv").read_bytes(), random.Random(1), 0
    everything = np.ones(len(source.index), bool)
    for _ in range(tried):
        content = bytearray(whole)
        place = choose.randrange(len(content))
        if choose.random() < 0.3:
            del content[place:]
        else:
            content[place] ^= 1 << choose.randrange(8)
        (tmp_path / "splits.csv").write_bytes(content)
        try:
            found, changes = read_kept_splits(tmp_path).recalled(source.index, everything)
        except TfftError as error:
            held += "splits.csv" in str(error)
            continue
        named = {*changes.new, *changes.changed}
        held += all(
            split == right if split else name in named
            for name, split, right in zip(source.index.ids, found.tolist(), before, strict=True)
        )
    tally(
        "runs",
        "A damaged `splits.csv` of a run is named, or moves no image to another split.",
        tried=tried,
        held=held,
    )
    assert held == tried
