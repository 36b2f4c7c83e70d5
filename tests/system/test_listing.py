"""What lies below a directory: every path of it is a file, or is named."""

import os
import socket

from tfft.system.listing import file_fault, list_files


def test_files_come_before_folders_sorted_without_hidden_ones(tmp_path):
    for name in (
        "b.jpg",
        "a/2.jpg",
        "a/1.jpg",
        "c/d/3.jpg",
        ".hidden",
        "a/.hidden",
        ".trash/4.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = list_files(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in listing.files]
    assert names == ["b.jpg", "a/1.jpg", "a/2.jpg", "c/d/3.jpg"]
    assert not (listing.faults or listing.unlisted or listing.repeated)


def test_a_link_to_a_folder_is_followed_once_and_circles_end(tmp_path):
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    photos.mkdir()
    (elsewhere / "in").mkdir(parents=True)
    (elsewhere / "in" / "1.jpg").touch()
    (photos / "a").symlink_to(elsewhere)
    (photos / "b").symlink_to(elsewhere / "in")
    (photos / "up").symlink_to(tmp_path)
    (elsewhere / "round").symlink_to(elsewhere)
    listing = list_files(photos)
    assert listing.files == [photos / "a" / "in" / "1.jpg"]
    assert listing.repeated == [photos / "b", photos / "up", photos / "a" / "round"]


def test_a_folder_is_listed_under_its_own_path_before_links_to_it(tmp_path):
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "1.jpg").touch()
    (tmp_path / "a").symlink_to("z")
    listing = list_files(tmp_path)
    assert listing.files == [tmp_path / "z" / "1.jpg"]
    assert listing.repeated == [tmp_path / "a"]


def test_what_is_no_file_is_named_with_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    os.mkfifo("pipe.jpg")
    (tmp_path / "broken.jpg").symlink_to("gone\n.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        listing = list_files(tmp_path)
    assert {path.name: why for path, why in listing.faults.items()} == {
        "broken.jpg": "a broken link: there is no gone\\x0a.jpg",
        "pipe.jpg": "a named pipe, not a file",
        "self.jpg": "a link that leads back to itself",
        "socket.jpg": "a socket, not a file",
    }
    assert file_fault(tmp_path) == "a folder, not a file"
    assert file_fault(tmp_path / "gone.jpg") == "cannot be read: No such file or directory"
    assert file_fault(tmp_path / "a\0b.jpg") == "cannot be the name of a file"


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, unlistable):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "1.jpg").touch()
    closed = unlistable(tmp_path / "closed")
    listing = list_files(tmp_path)
    assert listing.files == [tmp_path / "open" / "1.jpg"]
    assert listing.unlisted == {closed: "a folder that cannot be listed: Permission denied"}
