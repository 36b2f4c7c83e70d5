"""Which files the IMAGE arguments of `tfft predict` mean."""

import io
import os
import sys
from types import SimpleNamespace

import pytest

from tfft.cli.image_files import find_images
from tfft.data.notes import Notes
from tfft.errors import UsageError


def found(arguments):
    return find_images(arguments, Notes())


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "p/b.jpg",
        "p/a.PNG",
        "p/deep/er/c.webp",
        "p/.hidden.jpg",
        "p/.trash/d.jpg",
        "p/notes.txt",
        "q[1].jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_means_the_images_below_it_sorted_without_hidden_ones(photos):
    assert found(["p"]) == ["p/a.PNG", "p/b.jpg", "p/deep/er/c.webp"]


def test_every_format_that_is_read_is_known_by_its_suffixes(photos):
    names = ["a.tif", "b.TIFF", "c.avif", "d.heic", "e.heif", "f.gif", "g.bmp"]
    for name in names:
        (photos / "r").mkdir(exist_ok=True)
        (photos / "r" / name).touch()
    assert found(["r"]) == [f"r/{name}" for name in names]


def test_a_pattern_means_what_it_matches_sorted(photos):
    assert found(["p/*"]) == ["p/a.PNG", "p/b.jpg", "p/deep/er/c.webp", "p/notes.txt"]
    assert found(["**/*.webp"]) == ["p/deep/er/c.webp"]


def test_a_file_is_taken_whatever_its_name_and_whether_or_not_it_is_there(photos):
    assert found(["p/notes.txt", "gone.jpg"]) == ["p/notes.txt", "gone.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(photos):
    assert found(["q[1].jpg"]) == ["q[1].jpg"]


def test_arguments_keep_their_order(photos):
    assert found(["q[1].jpg", "p/deep"]) == ["q[1].jpg", "p/deep/er/c.webp"]


def test_a_folder_without_images_is_an_error(photos):
    (photos / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no image in the folder .* Received: empty"):
        found(["empty"])


def test_a_pattern_that_matches_nothing_is_an_error(photos):
    with pytest.raises(UsageError, match="no file matches the pattern"):
        found(["*.tiff"])


def test_what_a_folder_holds_besides_images_is_said(photos):
    notes = Notes()
    find_images(["p"], notes)
    assert notes.lines() == (
        "p/notes.txt is passed over: its name does not end as that of an image",
    )
    for number in range(3):
        (photos / f"p/{number}.psd").touch()
    notes = Notes()
    find_images(["p"], notes)
    assert notes.lines() == (
        "4 files are passed over, such as p/0.psd: their names do not end as those of images",
    )


def test_what_cannot_be_read_in_a_folder_is_among_the_images_so_that_it_is_reported(
    photos, unlistable
):
    (photos / "p/broken.jpg").symlink_to("gone.jpg")
    os.mkfifo(photos / "p/pipe.png")
    (photos / "p/linked").symlink_to(photos / "elsewhere")
    (photos / "elsewhere").mkdir()
    (photos / "elsewhere/e.jpg").touch()
    unlistable(photos / "p/deep")
    assert found(["p"]) == [
        *("p/a.PNG", "p/b.jpg", "p/broken.jpg", "p/deep", "p/linked/e.jpg", "p/pipe.png"),
    ]


def test_a_pattern_names_the_folders_in_which_it_cannot_look(photos, unlistable):
    unlistable(photos / "p/deep")
    assert found(["p/*/*.jpg"]) == ["p/deep"]
    assert found(["**/*.jpg"]) == ["p/b.jpg", "p/deep", "q[1].jpg"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_a_dash_means_the_paths_on_standard_input(photos, monkeypatch, end):
    lines = end.join([b"q[1].jpg", b"p", b"", b"two words.jpg", b"no*.jpg", b"caf\xe9.jpg", b""])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines)))
    below = ["p/a.PNG", "p/b.jpg", "p/deep/er/c.webp"]
    others = ["two words.jpg", "no*.jpg", os.fsdecode(b"caf\xe9.jpg")]
    assert found(["x.jpg", "-"]) == ["x.jpg", "q[1].jpg", *below, *others]


def test_standard_input_without_a_path_is_said(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\n")))
    with pytest.raises(UsageError, match="there is none"):
        found(["-"])
