"""Which files the IMAGE arguments of `tfft predict` mean."""

import pytest

from tfft.cli.image_files import find_images
from tfft.errors import UsageError


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
    assert find_images(["p"]) == ["p/a.PNG", "p/b.jpg", "p/deep/er/c.webp"]


def test_a_pattern_means_what_it_matches_sorted(photos):
    assert find_images(["p/*"]) == ["p/a.PNG", "p/b.jpg", "p/deep/er/c.webp", "p/notes.txt"]
    assert find_images(["**/*.webp"]) == ["p/deep/er/c.webp"]


def test_a_file_is_taken_whatever_its_name_and_whether_or_not_it_is_there(photos):
    assert find_images(["p/notes.txt", "gone.jpg"]) == ["p/notes.txt", "gone.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(photos):
    assert find_images(["q[1].jpg"]) == ["q[1].jpg"]


def test_arguments_keep_their_order(photos):
    assert find_images(["q[1].jpg", "p/deep"]) == ["q[1].jpg", "p/deep/er/c.webp"]


def test_a_folder_without_images_is_an_error(photos):
    (photos / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no image in the folder .* Received: empty"):
        find_images(["empty"])


def test_a_pattern_that_matches_nothing_is_an_error(photos):
    with pytest.raises(UsageError, match="no file matches the pattern"):
        find_images(["*.tiff"])
