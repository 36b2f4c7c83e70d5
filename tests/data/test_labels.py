"""A labels file beside the images: what it changes, what it leaves as it was, what it refuses."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfft.cli.main import run
from tfft.config.data import ImageFolderData, ManifestData
from tfft.data.dataset import ImageData
from tfft.data.kept_splits import read_kept_splits, write_kept_splits
from tfft.data.labels_file import changed_labels, read_labels, write_labels
from tfft.data.load import check_data, load_data, new_files
from tfft.data.split_list import write_split_list
from tfft.errors import DataError


def labels_file(photos: Path, text: str, header: str = "path,label") -> Path:
    path = photos.parent / "labels.csv"
    path.write_text(f"{header}\n{text}", encoding="utf-8")
    return path


def folder(photos: Path, **values) -> ImageFolderData:
    return ImageFolderData(kind="image_folder", path=photos, **values)


def labels(data: ImageData) -> dict[str, str]:
    """The name of each image's class by the name of the image."""
    names = data.class_names["label"]
    return {
        image: names[label]
        for index in data.splits.values()
        for image, label in zip(index.ids, index.targets["label"], strict=True)
    }


def splits(data: ImageData) -> dict[str, str]:
    return {image: split for split, index in data.splits.items() for image in index.ids}


def test_labels_hold_in_place_of_the_folders(photo_folder):
    file = labels_file(photo_folder, "cat/0.jpg,dog\ncat/1.jpg,\ndog/0.jpg,dog\n")
    before = load_data(folder(photo_folder))
    after = load_data(folder(photo_folder, labels=file))
    expected = labels(before) | {"cat/0.jpg": "dog"}
    del expected["cat/1.jpg"]
    assert labels(after) == expected
    assert after.class_names == before.class_names
    assert "labels.csv: 1 image relabelled, 1 removed" in after.notes
    assert after.to_json()["labels"] == {"relabelled": 1, "removed": 1}
    assert "labels" not in before.to_json()


def test_a_new_label_makes_a_class_and_a_class_without_images_is_none(photo_folder):
    rows = "owl/0.jpg,\ncat/0.jpg,a lynx\ncat/1.jpg,a lynx\n"
    data = load_data(folder(photo_folder, labels=labels_file(photo_folder, rows)))
    assert data.class_names["label"] == ("a lynx", "cat", "dog")
    assert set(labels(data).values()) == {"a lynx", "cat", "dog"}
    assert "labels.csv: 2 images relabelled, 1 removed; new: a lynx" in data.notes
    assert "no image is left of: owl" in data.notes


def test_a_new_label_that_may_be_a_slip_is_asked_about(photo_folder):
    file = labels_file(photo_folder, "cat/0.jpg,dogs\ncat/1.jpg,bird\n")
    (note,) = [n for n in load_data(folder(photo_folder, labels=file)).notes if "new:" in n]
    assert note.endswith("new: bird, dogs (Did you mean 'dog'?)")


def test_the_labels_of_a_manifest_go_by_its_paths(photo_folder):
    photos = sorted(photo_folder.glob("*/*.jpg"))
    manifest = photo_folder / "list.csv"
    rows = [f"./{file.parent.name}/{file.name},{file.parent.name}" for file in photos]
    manifest.write_text("\n".join(["path,label", *rows]))
    file = labels_file(photo_folder, "./cat/3.jpg,dog\n./cat/4.jpg,\n")
    data = load_data(ManifestData(kind="manifest", path=manifest, labels=file))
    assert labels(data)["./cat/3.jpg"] == "dog"
    assert "./cat/4.jpg" not in labels(data)


def test_images_keep_their_split_when_they_are_relabelled(photo_folder):
    before = splits(load_data(folder(photo_folder, validation_fraction=0.3)))
    rows = "".join(f"cat/{number}.jpg,dog\n" for number in range(3))
    file = labels_file(photo_folder, f"{rows}cat/7.jpg,\n")
    data = load_data(folder(photo_folder, validation_fraction=0.3, labels=file))
    assert splits(data) == {name: split for name, split in before.items() if name != "cat/7.jpg"}
    assert not any("in another split" in note for note in data.notes)


def test_an_image_that_must_change_its_split_is_told_of(photo_folder):
    before = splits(load_data(folder(photo_folder)))
    tested = next(name for name, split in before.items() if split == "test")
    file = labels_file(photo_folder, f"{tested},tested\n")
    data = load_data(folder(photo_folder, labels=file))
    assert splits(data)[tested] == "train"
    (note,) = [note for note in data.notes if "in another split" in note]
    assert note.startswith(
        f"1 image in another split than without data.labels, such as {tested} (test, now train)"
    )
    assert note in check_data(folder(photo_folder, labels=file)).notes


def test_bad_files_and_contradictions_go_with_their_rows(photo_folder):
    (photo_folder / "cat" / "text.jpg").write_bytes(b"no image")
    (photo_folder / "cat" / "copy.jpg").write_bytes((photo_folder / "dog" / "0.jpg").read_bytes())
    (photo_folder / "cat" / "link.jpg").symlink_to("nowhere")
    report = check_data(folder(photo_folder))
    assert len(report.bad) == 2 and len(report.conflicts) == 2
    rows = "cat/text.jpg,\ncat/link.jpg,\ncat/copy.jpg,dog\n"
    report = check_data(folder(photo_folder, labels=labels_file(photo_folder, rows)))
    assert report.bad == report.conflicts == ()
    assert "labels.csv: 1 image relabelled, 2 removed" in report.notes


def test_a_run_keeps_the_labels_that_it_was_made_with(photo_folder, tmp_path_factory):
    file = labels_file(photo_folder, "cat/0.jpg,lynx\ncat/1.jpg,lynx\ncat/2.jpg,\n")
    config = folder(photo_folder, labels=file)
    data, kept_file = load_data(config), tmp_path_factory.mktemp("run") / "splits.csv"
    write_kept_splits(kept_file, data)
    file.unlink()  # or changed, as it will be
    (photo_folder / "cat" / "0.jpg").rename(photo_folder / "dog" / "renamed.jpg")
    kept = read_kept_splits(kept_file)
    again = load_data(config, kept=kept)
    assert again.counts == data.counts
    assert again.class_names == data.class_names
    assert labels(again)["dog/renamed.jpg"] == "lynx"
    assert again.changes is not None and again.changes.lines() == []
    assert new_files(config, {"label": "classification"}, kept) == ("dog/renamed.jpg",)


def test_labels_that_hold_now_leave_the_split_of_a_run(photo_folder):
    kept_file = photo_folder.parent / "kept.csv"
    before = load_data(folder(photo_folder, validation_fraction=0.3))
    write_kept_splits(kept_file, before)
    rows = "cat/0.jpg,dog\ncat/1.jpg,\n"
    config = folder(photo_folder, labels=labels_file(photo_folder, rows), split_like=kept_file)
    after = load_data(config)
    assert splits(after) == {n: split for n, split in splits(before).items() if n != "cat/1.jpg"}


def test_a_split_list_has_the_labels_that_hold(photo_folder):
    file = labels_file(photo_folder, "cat/0.jpg,dog\ncat/1.jpg,\n")
    config = folder(photo_folder, labels=file)
    written = photo_folder / "split.csv"
    write_split_list(written, load_data(config), config)
    listed = labels(load_data(ManifestData(kind="manifest", path=written)))
    assert listed == labels(load_data(config))


@pytest.mark.parametrize(
    ("text", "header", "said"),
    [
        ("cat/0.jpg,dog", "image,label", ":1: the first line of a labels file names its columns"),
        ("cat/0.jpg,dog", "path|label", ":1: the first line of a labels file names its columns"),
        ("cat/0.jpg,dog", "path;label", ":2: has no label"),
        ("cat/0.jpg,dog,cat", "path,label,label", ":1: the first line of a labels file"),
        ("cat/0.jpg,dog\ncat/0.jpg,cat", "path,label", ":3: cat/0.jpg is already on line 2"),
        ("cat/0.jpg", "path,label", ":2: has no label; where the image is to be removed"),
        (",dog", "path,label", ":2: path must not be empty"),
        ("cat/0,5.jpg,dog", "path,label", ":2: has more cells than columns"),
        ('cat/0.jpg,"a\nb"', "path,label", ":3: a label is one line of text"),
        ("cat/0.jpg,\x1b[31m", "path,label", ":2: a label is one line of text"),
        ("cat/0.jpg,  ", "path,label", ":2: a label is one line of text"),
        (f"cat/0.jpg,{'x' * 256}", "path,label", ":2: a label has at most 255 bytes"),
        ('cat/0.jpg,"dog', "path,label", "is no CSV file in UTF-8: unexpected end of data"),
        ("cat/0.jpg,a/b", "path,label", "no class can be called so"),
        ("cat/0.jpg,.hidden", "path,label", "no class can be called so"),
        ("cat/0.jpg, dog", "path,label", "no class can be called so"),
        ("0.jpg,dog\n1.jpg,dog", "path,label", "none of its paths is one of the 14 images of"),
    ],
)
def test_a_fault_is_one_message_that_says_where(photo_folder, text, header, said):
    file = labels_file(photo_folder, text, header)
    with pytest.raises(DataError) as error:
        load_data(folder(photo_folder, labels=file))
    assert said in str(error.value)
    assert "labels.csv" in str(error.value) and "\x1b" not in str(error.value)


def test_all_faults_of_a_file_are_named_at_once(photo_folder):
    file = labels_file(photo_folder, "cat/0.jpg\n,dog\ncat/1.jpg,dog\ncat/1.jpg,\n")
    with pytest.raises(DataError) as error:
        load_data(folder(photo_folder, labels=file))
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["2", "3", "5"]


def test_what_is_no_file_or_no_text_is_named(photo_folder):
    missing = photo_folder / "missing.csv"
    with pytest.raises(DataError, match=r"cannot read the labels file .*missing\.csv: "):
        load_data(folder(photo_folder, labels=missing))
    missing.write_bytes("path,label\ncat/0.jpg,caf\xe9".encode("latin-1"))
    with pytest.raises(DataError, match=r"is no CSV file in UTF-8: .* call it CSV UTF-8"):
        load_data(folder(photo_folder, labels=missing))


def test_labels_must_leave_two_classes(photo_folder):
    names = sorted(f"{file.parent.name}/{file.name}" for file in photo_folder.glob("*/*.jpg"))
    rows = "".join(f"{name},{'cat' if name < 'd' else ''}\n" for name in names)
    with pytest.raises(DataError, match=r"leaves less than two classes .* Left: cat"):
        load_data(folder(photo_folder, labels=labels_file(photo_folder, rows)))


def test_paths_of_no_image_are_told_of(photo_folder):
    file = labels_file(photo_folder, "cat/0.jpg,dog\ngone\x1b.jpg,dog\ngone2.jpg,cat\n")
    notes = load_data(folder(photo_folder, labels=file)).notes
    assert r"labels.csv: 2 paths of no image, such as gone\x1b.jpg" in notes


# What spreadsheets save a table as: with a byte order mark, their ends of lines, and empty rows.
SAVED = {
    "a comma": 'path,label,reason\r\ncat/ä.jpg,dog,"blurred, dark"\r\ncat/b.jpg,,\r\n,,\r\n',
    "a semicolon": "path;label;reason\r\ncat/ä.jpg;dog;blurred, dark\r\ncat/b.jpg;;\r\n;;\r\n",
    "a tab": "path\tlabel\treason\r\ncat/ä.jpg\tdog\tblurred, dark\r\ncat/b.jpg\t\t\r\n\t\t\r\n",
}


@pytest.mark.parametrize("between", list(SAVED))
def test_what_a_spreadsheet_saved_is_read_and_stays_in_its_form(tmp_path, between):
    file = tmp_path / "labels.csv"
    file.write_text(SAVED[between], encoding="utf-8-sig", newline="")
    assert read_labels(file) == {"cat/ä.jpg": "dog", "cat/b.jpg": ""}
    with changed_labels(file) as labels:
        labels["cat/b.jpg"] = "owl"
        labels["cat/c.jpg"] = ""
    assert read_labels(file) == {"cat/ä.jpg": "dog", "cat/b.jpg": "owl", "cat/c.jpg": ""}
    unchanged = SAVED[between].split("\r\n")[:2]
    saved = file.read_bytes().decode("utf-8")
    assert saved.startswith("\ufeff" + "\r\n".join([*unchanged, "cat/b.jpg"]))


def test_columns_come_in_any_order(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("label,reason,path\ncat,blurred,a.jpg\n")
    assert read_labels(file) == {"a.jpg": "cat"}


_TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20)


@given(st.dictionaries(_TEXT, _TEXT.filter(lambda text: not text.isspace()) | st.just("")))
def test_what_is_written_is_read(tmp_path_factory, written):
    file = tmp_path_factory.getbasetemp() / "written.csv"
    write_labels(file, written)
    assert read_labels(file) == written
    assert list(read_labels(file)) == list(written)


def test_a_file_is_changed_whole_or_not_at_all(tmp_path):
    file = tmp_path / "labels.csv"
    with changed_labels(file) as found:  # none is there yet
        found["a.jpg"] = "cat"
    with pytest.raises(KeyError), changed_labels(file) as found:
        found["b.jpg"] = "dog"
        raise KeyError
    assert read_labels(file) == {"a.jpg": "cat"}
    assert list(tmp_path.iterdir()) == [file]


def test_the_command_line_takes_them(photo_folder, capsys):
    file = labels_file(photo_folder, "cat/0.jpg,dog\n").rename(photo_folder / 'a "b": ü.csv')
    assert run(["data", "check", str(photo_folder), "--labels", str(file), "-q", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sum(counts["dog"] for counts in report["counts"].values()) == 6
    both = ["data", "check", str(photo_folder), "--labels", str(file)]
    assert run([*both, "--set", "data.labels=x.csv"]) == 2
    assert "--labels sets data.labels; leave out one of the two" in capsys.readouterr().err


def test_a_source_without_files_takes_none(tmp_path, capsys):
    file = labels_file(tmp_path, "0,1\n")
    assert run(["data", "check", "quickstart", "--labels", str(file)]) == 2
    assert "data.labels" in capsys.readouterr().err
