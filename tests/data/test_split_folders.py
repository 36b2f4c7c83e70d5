"""Folders that are splits, folders that are classes, and folders that might be either."""

import pytest
from sample_pictures import encoded, picture

from tfft.config.data import ImageFolderData
from tfft.data.load import load_data
from tfft.data.sources.folder import images_in_folders, split_folders
from tfft.data.split_names import split_called
from tfft.errors import DataError


@pytest.fixture
def photos(tmp_path):
    """Returns a function that writes a small image, another each time, for each name."""
    written = []

    def write(*names):
        for name in names:
            file = tmp_path / name / "a.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            written.append(file)
            file.write_bytes(encoded(picture(20 + len(written), 20), "PNG"))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "validation", "test"),
        ("Train", "Val", "Test"),
        ("TRAINING", "Valid", "Testing"),
        ("training_set", "validation-set", "test set"),
        ("train_images", "val_data", "test.split"),
    ],
)
def test_splits_are_told_by_their_usual_names_in_any_case(photos, train, validation, test):
    root = photos(
        *(f"{split}/{name}" for split in (train, validation, test) for name in ("cat", "dog"))
    )
    data = load_data(ImageFolderData(kind="image_folder", path=root))
    assert {split: index.ids[0] for split, index in data.splits.items()} == {
        "train": f"{train}/cat/a.png",
        "validation": f"{validation}/cat/a.png",
        "test": f"{test}/cat/a.png",
    }
    assert data.class_names["label"] == ("cat", "dog")


@pytest.mark.parametrize("name", ["dev", "trains", "test_2", "cat", "train_station", ""])
def test_other_names_are_no_splits(name):
    assert split_called(name) is None


def test_classes_may_be_called_as_splits_are(photos):
    root = photos("Test", "Train", "valid")
    assert split_folders(root) == {}
    assert images_in_folders(root).class_names == ("Test", "Train", "valid")


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("2023", "2024", "both hold folders called cat and dog"),
        ("train", "new photos", "both hold folders called cat and dog"),
        ("seg_train/seg_train", "seg_test/seg_test", "their names say so"),
        ("val", "test", "both hold folders called cat and dog"),
    ],
)
def test_folders_that_look_like_splits_are_not_taken_for_classes(photos, first, second, why):
    root = photos(f"{first}/cat", f"{first}/Dog", f"{second}/cat", f"{second}/dog")
    with pytest.raises(DataError, match=f"look like splits of one set, not .*: {why}") as caught:
        load_data(ImageFolderData(kind="image_folder", path=root))
    assert "Rename the splits to train, validation and test" in str(caught.value)
    data = load_data(ImageFolderData(kind="image_folder", path=root, folders="classes"))
    names = tuple(sorted(name.split("/")[0] for name in (first, second)))
    assert data.class_names["label"] == names


def test_classes_with_a_folder_of_the_same_name_are_classes(photos):
    root = photos("cat/raw", "dog/raw", "owl/raw")
    assert images_in_folders(root).class_names == ("cat", "dog", "owl")


def test_two_folders_for_one_split_are_refused(photos):
    root = photos("train/cat", "train/dog", "val/cat", "Validation/dog")
    with pytest.raises(DataError, match="has both Validation and val: keep one of them"):
        split_folders(root)


def test_a_split_behind_a_broken_link_is_named(photos):
    root = photos("train/cat", "train/dog")
    (root / "test").symlink_to("/nowhere/test")
    source = images_in_folders(root)
    assert [bad.path for bad in source.unreadable] == ["test"]


def test_a_link_that_leads_back_to_itself_hides_no_split(photos):
    root = photos("train/cat", "train/dog", "test/cat", "test/dog")
    (root / "train" / "loop").symlink_to("loop")
    assert set(split_folders(root)) == {"train", "test"}
    assert [bad.path for bad in images_in_folders(root).unreadable] == ["train/loop"]


def test_classes_one_folder_deeper_are_pointed_to(photos):
    root = photos("images/cat", "images/dog")
    with pytest.raises(DataError, match=r"one class only, 'images': .* give .*/images$"):
        images_in_folders(root)


def test_splits_within_classes_are_not_mixed_up(photos):
    root = photos("cat/train", "cat/test", "dog/train")
    with pytest.raises(DataError, match="cat holds folders called test and train, which look like"):
        images_in_folders(root)
    assert images_in_folders(root, may_be_splits=False).class_names == ("cat", "dog")


def test_splits_one_folder_deeper_are_pointed_to(photos):
    root = photos("images/train/cat", "images/train/dog", "images/val/cat", "texts/train/a")
    with pytest.raises(DataError, match=r"If the classes are in them, give .*/images\."):
        images_in_folders(root)


def test_a_folder_of_a_split_that_has_no_classes_is_named(photos):
    root = photos("train/cat", "train/dog", "test")
    (root / "val").mkdir()
    source = images_in_folders(root)
    assert source.splits.tolist() == ["train", "train"]
    assert source.notes[1:] == (
        "2 folders such as test are no splits: they have no class folders with images in them",
    )


@pytest.mark.parametrize(("name", "other"), [("Cat", "cat"), ("cafe\u0301", "caf\u00e9")])
def test_a_class_that_is_spelled_otherwise_in_another_split_is_pointed_out(photos, name, other):
    root = photos(f"train/{other}", "train/dog", f"test/{name}", "test/dog")
    with pytest.raises(DataError, match=f"There '{name}' is spelled '{other}'"):
        images_in_folders(root)
