"""Folders, manifests and digits: what is listed, and what is said of faults."""

import os
import shutil
import sys

import pytest
from sample_pictures import encoded, picture

from tfft.config.data import DigitsData, ImageFolderData, ManifestData, TfdsData
from tfft.data import scan
from tfft.data.load import check_data, load_data
from tfft.errors import DataError


def folder(path, **values) -> ImageFolderData:
    return ImageFolderData(kind="image_folder", path=path, **values)


def manifest(path, **values) -> ManifestData:
    return ManifestData(kind="manifest", path=path, **values)


class Messages:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.texts = []
        self.started = []

    def start(self, description, total, unit="images"):
        self.started.append(description)
        return self

    def advance(self, steps=1, **figures):
        pass

    def close(self):
        pass

    def message(self, text):
        self.texts.append(text)


def test_a_folder_a_class_is_split_in_three(photo_folder):
    data = load_data(folder(photo_folder))
    assert data.class_names == {"label": ("cat", "dog", "owl")}
    assert sum(data.counts.values()) == 14
    assert all(data.counts.values()) and data.counts["train"] > 7
    labels = data.splits["train"].targets["label"]
    assert set(labels.tolist()) == {0, 1, 2}


def test_split_folders_are_kept_apart(photo_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("splits")
    for split in ("train", "val", "test"):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for number in range(2):
                content = encoded(picture(30 + len(split) + number, 40 + len(split)), "PNG")
                (root / split / name / f"{number}.png").write_bytes(content + name.encode())
    data = load_data(folder(root))
    assert {split: index.ids for split, index in data.splits.items()}["validation"] == (
        "val/cat/0.png",
        "val/cat/1.png",
        "val/dog/0.png",
        "val/dog/1.png",
    )
    assert len(data.splits["train"]) == len(data.splits["test"]) == 4
    (root / "test" / "owl").mkdir()
    (root / "test" / "owl" / "0.png").write_bytes(encoded(picture(20, 20), "PNG"))
    with pytest.raises(DataError, match="no training images of the class owl"):
        load_data(folder(root))


def test_a_class_may_be_called_train(photo_folder):
    (photo_folder / "owl").rename(photo_folder / "train")
    assert load_data(folder(photo_folder)).class_names == {"label": ("cat", "dog", "train")}


def test_folders_within_a_class_count_for_it(photo_folder):
    (photo_folder / "cat" / "kittens").mkdir()
    (photo_folder / "cat" / "0.jpg").rename(photo_folder / "cat" / "kittens" / "0.jpg")
    report = check_data(folder(photo_folder))
    assert sum(counts["cat"] for counts in report.counts.values()) == 8
    assert "cat has folders in it: the images in them count for the class too" in report.notes


@pytest.mark.parametrize(
    ("prepare", "fault"),
    [
        (lambda path: path / "nowhere", "data.path does not exist"),
        (lambda path: path / "cat" / "0.jpg", "is a file, not a directory"),
        (lambda path: path / "cat", "has no class folders"),
    ],
)
def test_a_directory_that_is_no_set_is_refused(photo_folder, prepare, fault):
    with pytest.raises(DataError, match=fault):
        load_data(folder(prepare(photo_folder)))


def test_one_class_is_refused(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "0.png").write_bytes(encoded(picture(20, 20), "PNG"))
    with pytest.raises(DataError, match="one class only, 'cat'"):
        load_data(folder(tmp_path))


def test_a_missing_path_says_how_to_give_it():
    with pytest.raises(DataError, match="--data DIR"):
        load_data(folder(None))


def test_equal_images_under_two_labels_are_named(photo_folder):
    (photo_folder / "dog" / "copy.jpg").write_bytes((photo_folder / "cat" / "3.jpg").read_bytes())
    told = Messages()
    assert sum(map(len, load_data(folder(photo_folder), told).splits.values())) == 15
    expected = "cat/3.jpg: labelled 'cat', but the same image is labelled 'dog' as dog/copy.jpg"
    assert expected in told.texts[0]
    with pytest.raises(DataError, match="2 images lie under two labels") as caught:
        load_data(folder(photo_folder, on_label_conflict="stop"))
    assert expected in str(caught.value)
    data = load_data(folder(photo_folder, on_label_conflict="skip"))
    assert [image.path for image in data.skipped] == ["cat/3.jpg", "dog/copy.jpg"]
    assert len(check_data(folder(photo_folder)).conflicts) == 2


def test_the_scan_is_done_once_and_again_when_a_file_changes(photo_folder, own_cache):
    first, second, third, fourth = Messages(), Messages(), Messages(), Messages()
    before = load_data(folder(photo_folder), first).fingerprint()
    assert load_data(folder(photo_folder), second).fingerprint() == before
    (photo_folder / "dog" / "0.jpg").write_bytes(encoded(picture(33, 44), "JPEG"))
    assert load_data(folder(photo_folder), third).fingerprint() != before
    for kept in (own_cache / "scans").glob("*.npz"):
        kept.write_bytes(b"damaged")
    load_data(folder(photo_folder), fourth)
    scans = [told.started for told in (first, second, third, fourth)]
    assert scans == [["checking images"], [], ["checking images"], ["checking images"]]


def test_only_new_bytes_are_decoded_again(photo_folder, monkeypatch):
    decoded = []
    inspect = scan.inspect_image
    monkeypatch.setattr(
        scan, "inspect_image", lambda each: (decoded.append(each), inspect(each))[1]
    )
    before = load_data(folder(photo_folder)).counts
    assert len(decoded) == sum(before.values())
    decoded.clear()
    (photo_folder / "dog" / "0.jpg").rename(photo_folder / "cat" / "moved.jpg")
    shutil.copy(photo_folder / "cat" / "0.jpg", photo_folder / "cat" / "a copy.jpg")
    new = encoded(picture(33, 44), "JPEG")
    (photo_folder / "dog" / "1.jpg").write_bytes(new)
    (photo_folder / "cat" / "2.jpg").unlink()
    told = Messages()
    data = load_data(folder(photo_folder), told)
    assert decoded == [new]
    assert sum(data.counts.values()) == sum(before.values())
    assert told.started == ["checking images"]


def test_what_was_removed_is_known_when_it_comes_back(photo_folder, tmp_path):
    load_data(folder(photo_folder))
    away = (photo_folder / "dog" / "0.jpg").rename(tmp_path / "away.jpg")
    load_data(folder(photo_folder))
    (photo_folder / "dog" / "new.jpg").write_bytes(encoded(picture(33, 44), "JPEG"))
    load_data(folder(photo_folder))
    away.rename(photo_folder / "dog" / "0.jpg")
    told = Messages()
    load_data(folder(photo_folder), told)
    assert told.started == []


def test_the_fingerprint_is_of_the_images_and_not_of_where_they_lie(photo_folder, tmp_path_factory):
    before = load_data(folder(photo_folder)).splits["train"].fingerprint()
    moved = tmp_path_factory.mktemp("moved") / "photos"
    photo_folder.rename(moved)
    assert load_data(folder(moved)).splits["train"].fingerprint() == before


def test_a_manifest_gives_labels_and_splits(photo_folder):
    (photo_folder / "list.csv").write_text(
        "path,label,split\n"
        "cat/0.jpg,pet,train\ncat/1.jpg,pet,test\ndog/0.jpg,pet,\n"
        "owl/0.jpg,bird,train\ndog/1.jpg,bird,val\n"
    )
    data = load_data(manifest(photo_folder / "list.csv"))
    assert data.class_names == {"label": ("bird", "pet")}
    assert data.splits["train"].ids == ("cat/0.jpg", "dog/0.jpg", "owl/0.jpg")
    assert data.splits["train"].targets["label"].tolist() == [1, 1, 0]
    assert data.splits["validation"].ids == ("dog/1.jpg",)
    assert data.splits["test"].ids == ("cat/1.jpg",)


def test_all_faults_of_a_manifest_come_at_once_with_their_lines(photo_folder):
    (photo_folder / "list.csv").write_text(
        "path,label,split\n"
        "cat/0.jpg,cat,train\ncat/99.jpg,cat,train\ncat/0.jpg,dog,\n,dog,\ndog/0.jpg,dog,tets\n"
    )
    with pytest.raises(DataError) as caught:
        load_data(manifest(photo_folder / "list.csv"))
    lines = str(caught.value).splitlines()
    assert [line.split("list.csv:")[1] for line in lines] == [
        f"3: {photo_folder / 'cat' / '99.jpg'}: cannot be read: No such file or directory",
        "4: cat/0.jpg is already on line 2",
        "5: path and label must not be empty",
        "6: split must be train, validation or test. Did you mean 'test'? Received: tets",
    ]


def test_a_csv_file_without_the_columns_is_refused(photo_folder):
    (photo_folder / "list.csv").write_text("file;class\ncat/0.jpg;cat\n")
    with pytest.raises(DataError, match=r"list.csv:1: the first line must name the columns"):
        load_data(manifest(photo_folder / "list.csv"))
    with pytest.raises(DataError, match="cannot read the manifest"):
        load_data(manifest(photo_folder / "nowhere.csv"))
    os.mkfifo(photo_folder / "pipe.csv")
    with pytest.raises(DataError, match=r"cannot read the manifest .*: a named pipe"):
        load_data(manifest(photo_folder / "pipe.csv"))


def test_digits_are_scikit_learns():
    data = load_data(DigitsData(kind="digits"))
    assert {split: len(index) for split, index in data.splits.items()} == {
        "train": 1294,
        "validation": 144,
        "test": 359,
    }
    assert data.class_names == {"label": tuple("0123456789")}
    assert data.licence is not None and data.licence.startswith("CC BY 4.0")


def test_loading_a_folder_needs_no_tensorflow(photo_folder):
    import subprocess

    program = (
        "import sys; from pathlib import Path; from tfft.config.data import ImageFolderData; "
        "from tfft.data.load import load_data; "
        f"load_data(ImageFolderData(kind='image_folder', path=Path({str(photo_folder)!r}))); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_section_that_no_recipe_checked_is_checked_when_it_is_loaded(tmp_path):
    with pytest.raises(DataError, match=r"^data\.path: which images\? Give --data DIR"):
        load_data(ImageFolderData(kind="image_folder"))
    config = TfdsData(kind="tfds", name="flowers", archives=tmp_path)
    with pytest.raises(DataError, match=r"^data\.archives: belongs to data.name: stanford_dogs"):
        load_data(config)
