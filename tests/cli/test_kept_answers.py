"""What becomes of answers beside being printed: a CSV file, and sorted copies of the photos."""

import csv
import io
import json
import os
import sys
from types import SimpleNamespace

import pytest

from tfft.cli.answers_csv import kept_answers
from tfft.cli.main import run
from tfft.cli.sorted_copies import SortedCopies
from tfft.errors import TfftError, UsageError
from tfft.runtime.info import HeadInfo, UnsureInfo

KINDS = {
    "label": HeadInfo("classification", ("cat", "dog"), "label"),
    "tags": HeadInfo("multi_label", ("wet", "dark", "=old"), "tags"),
    "weight": HeadInfo("regression", (), "weight"),
    "place": HeadInfo("box", (), "place"),
}


def of_class(*pairs):
    return [{"label": label, "probability": probability} for label, probability in pairs]


def write_csv(answers, heads, path, top=5, unsure=None):
    info = SimpleNamespace(heads=heads, unsure=unsure)
    list(kept_answers(iter(answers), info, top, path))
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_a_row_has_the_best_labels_of_an_image(tmp_path):
    answers = [
        {"path": "a.jpg", "predictions": {"label": of_class(("dog", 0.75), ("cat", 0.25))}},
        {"path": "b.jpg", "error": "no image"},
    ]
    assert write_csv(answers, {"label": KINDS["label"]}, tmp_path / "a.csv") == [
        ["path", "label", "probability", "label_2", "probability_2", "error"],
        ["a.jpg", "dog", "0.750000", "cat", "0.250000", ""],
        ["b.jpg", "", "", "", "", "no image"],
    ]


def test_a_row_says_how_unlike_the_training_images_an_image_is(tmp_path):
    said = {"label": of_class(("dog", 0.75))}
    answers = [
        {"path": "a.jpg", "predictions": said, "unsure": True, "unlikeness": 1.25},
        {"path": "b.jpg", "error": "no image"},
    ]
    unsure = UnsureInfo(0.95, 2.0, 20)
    heads = {"label": KINDS["label"]}
    assert write_csv(answers, heads, tmp_path / "a.csv", top=1, unsure=unsure) == [
        ["path", "label", "probability", "unlikeness", "error"],
        ["a.jpg", "dog", "0.750000", "1.250000", ""],
        ["b.jpg", "", "", "", "no image"],
    ]


def test_heads_of_every_kind_have_columns_of_their_names(tmp_path):
    tags = [
        {"label": "=old", "probability": 0.9, "applies": True},
        {"label": "wet", "probability": 0.8, "applies": True},
        {"label": "dark", "probability": 0.1, "applies": False},
    ]
    said = {
        "label": of_class(("dog", 0.75)),
        "tags": tags,
        "weight": {"value": -4.5},
        "place": {"box": [0.1, 0.2, 0.3, 0.4]},
    }
    rows = write_csv([{"path": "a.jpg", "predictions": said}], KINDS, tmp_path / "a.csv", top=1)
    assert dict(zip(*rows, strict=True)) == {
        "path": "a.jpg",
        "label_label": "dog",
        "label_probability": "0.750000",
        "tags_labels": "'=old|wet",
        "tags_probabilities": "0.900000|0.800000",
        "weight_value": "-4.5",
        **{f"place_{edge}": f"0.{n}" for n, edge in enumerate(("ymin", "xmin", "ymax", "xmax"), 1)},
        "error": "",
    }


def sort(photos, directory, heads=None):
    """Copies photos, each with its class, into folders."""
    copies = SortedCopies(directory, heads or {"label": KINDS["label"]})
    answers = (
        {"path": str(photo), "predictions": {"label": of_class((label, 1.0))}}
        for photo, label in photos
    )
    list(copies.follow(answers))
    return copies.summary


def names_in(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.*"))


@pytest.fixture
def photos(tmp_path):
    """Two photos of one name, in two folders, and one of another."""
    files = [tmp_path / "one" / "5.jpg", tmp_path / "two" / "5.jpg", tmp_path / "two" / "6.jpg"]
    for number, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"photo %d" % number)
        os.utime(file, (1e9, 1e9 + number))
    return [(file, label) for file, label in zip(files, ("dog", "dog", "cat"), strict=True)]


def test_copies_lie_in_a_folder_for_each_class_and_keep_their_dates(photos, tmp_path):
    assert sort(photos, tmp_path / "sorted") == "3 images in 2 folders"
    assert names_in(tmp_path / "sorted") == ["cat/6.jpg", "dog/5-2.jpg", "dog/5.jpg"]
    assert (tmp_path / "sorted" / "dog" / "5-2.jpg").read_bytes() == b"photo 1"
    assert (tmp_path / "sorted" / "cat" / "6.jpg").stat().st_mtime == 1e9 + 2
    assert all(file.is_file() for file, _ in photos)


def test_what_was_stopped_goes_on_and_makes_no_copy_twice(photos, tmp_path):
    sort(photos[:2], tmp_path / "sorted")
    sort(photos, tmp_path / "sorted")
    assert names_in(tmp_path / "sorted") == ["cat/6.jpg", "dog/5-2.jpg", "dog/5.jpg"]


def test_what_lies_there_is_not_replaced(photos, tmp_path):
    mine = tmp_path / "sorted" / "cat" / "6.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    sort(photos, tmp_path / "sorted")
    assert mine.read_bytes() == b"mine"
    assert (mine.parent / "6-2.jpg").read_bytes() == b"photo 2"


def test_photos_that_lie_there_already_are_their_own_copies(photos, tmp_path):
    sort(photos, tmp_path / "sorted")
    before = names_in(tmp_path / "sorted")
    there = [(tmp_path / "sorted" / name, name.split("/")[0]) for name in before]
    sort(there, tmp_path / "sorted")
    assert names_in(tmp_path / "sorted") == before


@pytest.mark.parametrize("label", ["../up", "..", ".hidden", "a/b", ""])
def test_a_class_that_would_lead_elsewhere_is_refused_before_anything_is_copied(label, tmp_path):
    heads = {"label": HeadInfo("classification", ("cat", label), "label")}
    with pytest.raises(UsageError, match="cannot be names of folders"):
        SortedCopies(tmp_path / "sorted", heads)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_classes_sorts_nothing(tmp_path):
    with pytest.raises(UsageError, match=r"no head of this model classifies: tags \(multi_label\)"):
        SortedCopies(tmp_path, {"tags": KINDS["tags"]})


def test_a_pipe_is_no_photo_to_copy(tmp_path):
    with pytest.raises(TfftError, match="/dev/null is no file that could be copied"):
        sort([("/dev/null", "dog")], tmp_path / "sorted")


@pytest.mark.slow
def test_the_command_writes_the_table_sorts_copies_and_says_where(
    small_run, pictures, tmp_path, capsys, monkeypatch
):
    """Paths come on standard input, one of them of a file that is no image."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    photos = [*sorted((pictures / "red").iterdir()), *sorted((pictures / "blue").iterdir()), bad]
    text = b"\0".join(os.fsencode(photo) for photo in photos)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    table, folder = tmp_path / "answers.csv", tmp_path / "sorted"
    words = ["predict", str(small_run), "-", "--csv", str(table), "--sort-into", str(folder), "-q"]
    assert run(words) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"{table}: 17 images"
    assert said.out.splitlines()[1].startswith(f"{folder}: 16 images in ")
    assert said.err.startswith(f"tfft: {bad}: ")
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == [str(photo) for photo in photos]
    for row in rows[:-1]:
        assert (folder / row["label"]).is_dir()
    assert rows[-1]["error"] and not rows[-1]["label"]


def test_json_stays_on_stdout_beside_a_table(small_run, pictures, tmp_path, capsys):
    words = ["predict", str(small_run), str(pictures / "red"), "--csv", str(tmp_path / "a.csv")]
    assert run([*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 8


def test_rows_and_folders_have_the_answer_by_the_operating_point_first(tmp_path):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"photo")
    labels = of_class(("dog", 0.75), ("cat", 0.25))
    said = [{**label, "answer": label["label"] == "cat"} for label in labels]
    answers = [{"path": str(photo), "predictions": {"label": said}}]
    _, row = write_csv(answers, {"label": KINDS["label"]}, tmp_path / "a.csv", top=1)
    assert row[1:] == ["cat", "0.250000", ""]
    copies = SortedCopies(tmp_path / "sorted", {"label": KINDS["label"]})
    list(copies.follow(iter(answers)))
    assert names_in(tmp_path / "sorted") == ["cat/a.jpg"]
