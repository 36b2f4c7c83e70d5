"""The split of each image as a file: what it recalls when images came, went or changed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfft.config.data import ImageFolderData, ManifestData
from tfft.data.dataset import ImageData
from tfft.data.kept_splits import KeptSplits, read_kept_splits, write_kept_splits
from tfft.data.load import check_data, load_data
from tfft.errors import DataError

_CLASSES = ("cat", "dog")


def write_photo(path: Path, number: int) -> Path:
    pixels = np.random.default_rng(number).integers(0, 255, (4, 4, 3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty photos of each of two classes."""
    for number in range(40):
        write_photo(tmp_path / "photos" / _CLASSES[number % 2] / f"{number}.png", number)
    return tmp_path / "photos"


def folder(path: Path, **values) -> ImageFolderData:
    return ImageFolderData(kind="image_folder", path=path, **values)


def splits(data: ImageData) -> dict[str, str]:
    """The split of each image by its name."""
    return {image: split for split, index in data.splits.items() for image in index.ids}


def kept(data: ImageData, path: Path) -> KeptSplits:
    write_kept_splits(path, data)
    return read_kept_splits(path)


def test_copies_stay_on_one_side_of_every_cut(photos):
    for file in sorted(photos.glob("*/*.png")):
        shutil.copy(file, file.with_name(f"{file.stem} copy.png"))
    (photos / "dog" / "link.png").symlink_to(photos / "dog" / "1.png")
    for fraction in (1.0, 0.5):
        data = load_data(folder(photos, fraction=fraction, validation_fraction=0.3))
        found = splits(data)
        for file in photos.glob("*/* copy.png"):
            name = f"{file.parent.name}/{file.name}"
            assert found.get(name) == found.get(name.replace(" copy", "")), name
        assert found.get("dog/link.png") == found.get("dog/1.png")
        assert not any("more than one split" in note for note in data.notes)
    assert "images that occur more than once: 40" in check_data(folder(photos)).notes


def test_a_path_that_is_written_in_two_ways_is_one_image(photos):
    names = sorted(f"{file.parent.name}/{file.name}" for file in photos.glob("*/*.png"))
    lines = [f"{dots}{name},{name[:3]}" for name in names for dots in ("", "./")]
    (photos / "list.csv").write_text("\n".join(["path,label", *lines]))
    data = load_data(ManifestData(kind="manifest", path=photos / "list.csv"))
    found = splits(data)
    assert all(found[name] == found[f"./{name}"] for name in names)


def test_copies_in_the_splits_that_a_source_came_with_stay_and_are_counted(photos):
    for split in ("train", "test"):
        shutil.copytree(photos / "cat", photos.parent / "own" / split / "cat")
        shutil.copytree(photos / "dog", photos.parent / "own" / split / "dog")
    data = load_data(folder(photos.parent / "own"))
    assert data.counts["test"] == 40
    (note,) = [note for note in data.notes if "more than one split" in note]
    assert note.startswith("images in more than one split, which flatters the metrics: 40, such as")


def test_an_image_keeps_its_split_when_others_are_added_and_when_it_is_renamed(photos):
    before = splits(load_data(folder(photos)))
    for number in range(40, 100):
        write_photo(photos / _CLASSES[number % 2] / f"{number}.png", number)
    (photos / "cat" / "0.png").rename(photos / "cat" / "zero.png")
    after = splits(load_data(folder(photos)))
    after["cat/0.png"] = after.pop("cat/zero.png")
    assert {name: after[name] for name in before} == before


def test_the_old_rule_can_be_asked_for(photos):
    data = load_data(folder(photos, split_by="name"))
    assert data.counts == {"train": 29, "validation": 3, "test": 8}
    (photos / "cat" / "0.png").rename(photos / "cat" / "zero.png")
    assert splits(load_data(folder(photos))).keys() != splits(data).keys()


def test_groups_on_the_path_are_never_parted(photos):
    for number in range(40):
        file = photos / _CLASSES[number % 2] / f"{number}.png"
        file.rename(file.with_name(f"patient_{number % 9}_{number}.png"))
    write_photo(photos / "cat" / "nobody.png", 77)
    data = load_data(folder(photos, groups=r"patient_(\d+)", validation_fraction=0.3))
    assert len(data.splits) == 3
    of_patient: dict[str, set[str]] = {}
    for name, split in splits(data).items():
        of_patient.setdefault(name.partition("patient_")[2][:1], set()).add(split)
    assert [len(found) for patient, found in of_patient.items()] == [1] * 10
    assert "1 image of no group, by data.groups" in data.notes


def test_groups_are_a_column_of_a_manifest(photos):
    names = sorted(f"{file.parent.name}/{file.name}" for file in photos.glob("*/*.png"))
    lines = [f"{name},{name[:3]},video {n % 7}" for n, name in enumerate(names)]
    (photos / "list.csv").write_text("\n".join(["path,label,video", *lines]))
    data = load_data(ManifestData(kind="manifest", path=photos / "list.csv", groups="video"))
    found = splits(data)
    assert len(set(found.values())) == 3
    for video in range(7):
        assert len({found[name] for n, name in enumerate(names) if n % 7 == video}) == 1
    with pytest.raises(DataError, match=r"data\.groups names .* not there.*'video'"):
        load_data(ManifestData(kind="manifest", path=photos / "list.csv", groups="vidoe"))


@pytest.mark.parametrize(
    ("groups", "fault"),
    [
        ("patient", "must be a regular expression with one group in parentheses"),
        (r"(a)(b)", "must be a regular expression with one group in parentheses"),
        (r"(a", "is no regular expression"),
        (r"nobody_(\d+)", "finds no group of any image"),
    ],
)
def test_groups_that_cannot_be_are_refused(photos, groups, fault):
    with pytest.raises(DataError, match=rf"data\.groups:? {fault}.*Received: "):
        load_data(folder(photos, groups=groups))


def test_groups_that_come_parted_are_named(photos):
    for split in ("train", "test"):
        shutil.copytree(photos, photos.parent / "own" / split)
    data = load_data(folder(photos.parent / "own", groups=r"/(\d)\.png"))
    (note,) = [note for note in data.notes if "group" in note and "than one" in note]
    assert note.startswith("10 groups in more than one of the splits that the images came with: 0")


def test_what_is_kept_is_recalled_image_by_image(photos):
    data = load_data(folder(photos, fraction=0.5))
    remembered = kept(data, photos.parent / "splits.csv")
    again = load_data(folder(photos, fraction=0.5), kept=remembered)
    assert splits(again) == splits(data) and again.fingerprint() == data.fingerprint()
    assert again.unused is not None and again.unused.ids == data.unused.ids
    assert again.changes.lines() == []


def test_what_is_new_gone_or_changed_is_named_and_not_counted(photos):
    remembered = kept(load_data(folder(photos)), photos.parent / "splits.csv")
    before = splits(load_data(folder(photos)))
    write_photo(photos / "cat" / "new.png", 100)
    shutil.copy(photos / "dog" / "3.png", photos / "dog" / "copy.png")
    (photos / "cat" / "0.png").unlink()
    write_photo(photos / "cat" / "2.png", 101)
    (photos / "cat" / "4.png").rename(photos / "cat" / "renamed.png")
    data = load_data(folder(photos), kept=remembered)
    assert (data.changes.new, data.changes.gone, data.changes.changed) == (
        ("cat/new.png", "dog/copy.png"),
        ("cat/0.png",),
        ("cat/2.png",),
    )
    expected = {k: v for k, v in before.items() if k not in ("cat/0.png", "cat/2.png")}
    expected["cat/renamed.png"] = expected.pop("cat/4.png")
    assert splits(data) == expected
    assert data.changes.lines() == [
        "2 images new since the training, not counted: cat/new.png, dog/copy.png",
        "1 image gone since the training: cat/0.png",
        "1 image changed since the training, not counted: cat/2.png",
    ]


def test_images_that_change_places_are_known_by_what_they_show(photos):
    remembered = kept(load_data(folder(photos)), photos.parent / "splits.csv")
    before = splits(load_data(folder(photos)))
    one, other = photos / "cat" / "0.png", photos / "dog" / "1.png"
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])
    data = load_data(folder(photos), kept=remembered)
    before["cat/0.png"], before["dog/1.png"] = before["dog/1.png"], before["cat/0.png"]
    assert splits(data) == before and data.changes.lines() == []


def test_a_new_file_that_is_no_image_does_not_stop_what_is_known(photos):
    remembered = kept(load_data(folder(photos)), photos.parent / "splits.csv")
    (photos / "cat" / "new.png").write_bytes(b"no image")
    assert load_data(folder(photos), kept=remembered).changes.lines() == []
    (photos / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 file is no usable image.*\n  cat/0\.png"):
        load_data(folder(photos), kept=remembered)


def test_an_earlier_split_is_taken_over(photos):
    data = load_data(folder(photos, split_seed=3, fraction=0.5))
    write_kept_splits(photos.parent / "splits.csv", data)
    for number in range(40, 80):
        write_photo(photos / _CLASSES[number % 2] / f"{number}.png", number)
    (photos / "cat" / "0.png").rename(photos / "cat" / "zero.png")
    like = load_data(folder(photos, split_like=photos.parent / "splits.csv"))
    expected = {**splits(data), **dict.fromkeys(data.unused.ids, "train")}
    expected["cat/zero.png"] = expected.pop("cat/0.png")
    found = splits(like)
    assert {name: found[name] for name in expected} == expected
    own = splits(load_data(folder(photos)))
    new = [name for name in found if name not in expected]
    assert len(new) == 40 and {name: found[name] for name in new} == {n: own[n] for n in new}


def test_new_images_of_a_group_go_where_the_group_is(photos):
    for number in range(40):
        file = photos / _CLASSES[number % 2] / f"{number}.png"
        file.rename(file.with_name(f"p{number % 5}_{number}.png"))
    groups = r"p(\d)_"
    before = load_data(folder(photos, groups=groups, split_seed=1, test_fraction=0.5))
    write_kept_splits(photos.parent / "splits.csv", before)
    for number in range(40, 50):
        write_photo(photos / "cat" / f"p{number % 5}_{number}.png", number)
    like = splits(load_data(folder(photos, groups=groups, split_like=photos.parent / "splits.csv")))
    for patient in range(5):
        assert len({split for name, split in like.items() if f"/p{patient}_" in name}) == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r":1: this is no list of splits"),
        ("path,label\na.png,cat\n", r":1: this is no list of splits.*missing: split, sha256"),
        ("id,split,sha256\na.png,tset," + "0" * 64, r":2: not the split and the sha256"),
        ("id,split,sha256\na.png,test," + "0" * 63, r":2: not the split and the sha256"),
        ('id,split,sha256\n"a.png,test,', r"is no CSV file"),
    ],
)
def test_a_file_that_keeps_no_splits_is_refused(photos, text, fault):
    path = photos.parent / "list.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"list\.csv ?{fault}"):
        load_data(folder(photos, split_like=path))


def test_a_run_that_keeps_no_splits_is_told_how_to(photos):
    with pytest.raises(DataError, match=r"does not keep the split .* tfft data split .* --output"):
        load_data(folder(photos, split_like=photos.parent))
    with pytest.raises(DataError, match=r"cannot read the splits in .*nowhere"):
        load_data(folder(photos, split_like=photos.parent / "nowhere"))


def test_a_name_that_is_no_utf_8_is_kept_as_it_is(tmp_path, photos):
    data = load_data(folder(photos))
    index = data.splits["train"]
    odd = 'a\udcff "b",\n c.png'
    renamed = ImageData(
        data.name,
        {"train": type(index)(**{**vars(index), "ids": (odd, *index.ids[1:])})},
        data.class_names,
    )
    assert kept(renamed, tmp_path / "splits.csv").ids == (odd, *index.ids[1:])
