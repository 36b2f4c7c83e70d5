"""A folder as users have them: every oddity decodes, or is named with the reason."""

import io
import os
import re

import numpy as np
import pytest
from PIL import Image, ImageOps
from sample_pictures import encoded, picture, rotated_photo

from tfft.config.data import ImageFolderData
from tfft.data.graph.pipeline import evaluation_batches
from tfft.data.index import ImageIndex
from tfft.data.load import check_data, load_data
from tfft.errors import DataError
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec
from tfft.system.printable import printable_name

ODD_BUT_FINE = (
    "JPEG, CMYK",
    "PNG, 16-bit",
    "PNG, palette and alpha",
    "GIF, animated",
    "WebP",
    "BMP, palette",
    "JPEG, orientation 6",
)


@pytest.fixture
def odd_folder(tmp_path, kinds):
    """Two classes; every picture lies in `odd` under a name that says nothing about its kind."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "plain").mkdir()
    for number, kind in enumerate(ODD_BUT_FINE):
        (tmp_path / "odd" / f"{number}.jpg").write_bytes(kinds[kind])
    for number in range(4):
        content = encoded(picture(60 + number, 80), "JPEG")
        (tmp_path / "plain" / f"{number}.jpg").write_bytes(content)
    return tmp_path


@pytest.fixture
def spoiled_folder(odd_folder):
    """The same with a truncated JPEG, an empty file, a text, and files that are passed over."""
    whole = encoded(picture(), "JPEG")
    (odd_folder / "plain" / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (odd_folder / "plain" / "empty.jpg").write_bytes(b"")
    (odd_folder / "odd" / "text.jpg").write_text("not a photo at all\n")
    (odd_folder / "odd" / ".hidden.jpg").write_bytes(b"")
    (odd_folder / "empty").mkdir()
    (odd_folder / "readme.txt").write_text("about these photos\n")
    return odd_folder


def config(path, **values) -> ImageFolderData:
    return ImageFolderData(
        kind="image_folder", path=path, test_fraction=0, validation_fraction=0, **values
    )


def test_every_bad_file_is_named_with_its_reason_before_anything_starts(spoiled_folder):
    with pytest.raises(DataError) as caught:
        load_data(config(spoiled_folder))
    message = str(caught.value)
    assert message.startswith("3 files are no usable image, of 14 in ")
    assert "plain/truncated.jpg: a broken JPEG image: the file is truncated" in message
    assert "plain/empty.jpg: the file is empty" in message
    assert "odd/text.jpg: text, not an image; allowed are JPEG, PNG, WebP, BMP, GIF" in message
    assert "set data.on_bad_image to skip" in message


def test_skip_goes_on_without_them_and_records_them(spoiled_folder):
    data = load_data(config(spoiled_folder, on_bad_image="skip"))
    assert len(data.splits["train"]) == 11
    assert [image.path for image in data.skipped] == [
        "odd/text.jpg",
        "plain/empty.jpg",
        "plain/truncated.jpg",
    ]


def test_check_reports_without_stopping(spoiled_folder):
    report = check_data(config(spoiled_folder))
    assert len(report.bad) == 3
    assert report.counts == {"train": {"odd": 7, "plain": 4}}
    assert report.formats == {"JPEG": 6, "PNG": 2, "GIF": 1, "BMP": 1, "WEBP": 1}
    assert report.notes == (
        "empty is ignored: the class folder is empty",
        "readme.txt is ignored: it is in no class folder",
    )


@pytest.fixture
def corrupt_folder(odd_folder):
    """A photo whose data go on after the last pixel is among the others."""
    whole = encoded(picture(), "JPEG")
    (odd_folder / "plain" / "long.jpg").write_bytes(whole[:-2] + bytes(500) + whole[-2:])
    return odd_folder


def test_corrupt_data_that_can_be_decoded_are_a_note(corrupt_folder):
    data = load_data(config(corrupt_folder))
    assert len(data.splits["train"]) == 12
    assert any("the data of 1 image are corrupt, such as of plain/long" in n for n in data.notes)
    report = check_data(config(corrupt_folder))
    assert [image.path for image in report.corrupt] == ["plain/long.jpg"]
    assert not report.bad


def test_corrupt_data_can_be_refused_or_left_out(corrupt_folder):
    with pytest.raises(DataError, match=r"plain/long\.jpg: its data go on after the last pixel"):
        load_data(config(corrupt_folder, on_corrupt_image="stop"))
    data = load_data(config(corrupt_folder, on_corrupt_image="skip"))
    assert [image.path for image in data.skipped] == ["plain/long.jpg"]


def test_the_odd_files_give_the_pixels_that_a_viewer_shows(odd_folder):
    index = load_data(config(odd_folder)).splits["train"]
    spec = PixelSpec(48, 48)
    (batch,) = evaluation_batches(index, spec, 32)
    for position, image_id in enumerate(index.ids):
        content = (odd_folder / image_id).read_bytes()
        pixels = batch["inputs"][position].numpy()
        np.testing.assert_allclose(pixels, encoded_to_pixels(content, spec), atol=0.001)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(rotated_photo(6)))).convert("RGB")
    upright = encoded_to_pixels(encoded(shown, "PNG"), spec)
    np.testing.assert_allclose(batch["inputs"][6].numpy(), upright, atol=0.001)


@pytest.fixture
def strange_folder(odd_folder, unlistable):
    """The same with what lies in folders beside files: links, pipes, names that are not UTF-8."""
    plain = odd_folder / "plain"
    elsewhere = odd_folder.parent / f"{odd_folder.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "linked.png").write_bytes(encoded(picture(50, 70), "PNG"))
    (plain / "more").symlink_to(elsewhere)
    (plain / "again").symlink_to(odd_folder)
    (plain / "broken.jpg").symlink_to("gone.jpg")
    os.mkfifo(plain / "pipe.jpg")
    unlistable(plain / "closed")
    (odd_folder / "mounted").symlink_to("/nowhere/photos")
    (plain / os.fsdecode(b"caf\xe9.png")).write_bytes(encoded(picture(51, 70), "PNG"))
    (plain / "two\nlines.png").write_bytes(encoded(picture(52, 70), "PNG"))
    return odd_folder


STRANGE = [
    ("plain/broken.jpg", "a broken link: there is no gone.jpg"),
    ("plain/pipe.jpg", "a named pipe, not a file"),
    ("plain/closed", "a folder that cannot be listed: Permission denied"),
    ("mounted", "a broken link: there is no /nowhere/photos"),
]


def test_nothing_of_a_folder_vanishes(strange_folder):
    report = check_data(config(strange_folder))
    assert sorted((bad.path, bad.reason) for bad in report.bad) == sorted(STRANGE)
    assert report.notes == (
        "plain has folders in it: the images in them count for the class too",
        "plain/again is ignored: it is a link to a folder that is listed already",
    )
    with pytest.raises(DataError, match=r"^4 files are no usable image, of 18 in ") as caught:
        load_data(config(strange_folder))
    assert all(f"  {path}: {reason}" in str(caught.value) for path, reason in STRANGE)


def test_links_are_followed_and_names_can_be_printed_and_read(strange_folder):
    data = load_data(config(strange_folder, on_bad_image="skip"))
    assert len(data.skipped) == 4
    index = data.splits["train"]
    assert index.ids[7:] == (
        *(f"plain/{number}.jpg" for number in range(4)),
        *("plain/caf\\xe9.png", "plain/two\\x0alines.png", "plain/more/linked.png"),
    )
    (batch,) = evaluation_batches(index, PixelSpec(8, 8), 32)
    assert len(batch["inputs"]) == len(index)


def test_a_file_longer_than_any_image_is_named_and_not_read(odd_folder):
    os.truncate(odd_folder / "plain" / "2.jpg", 1 << 40)
    (bad,) = check_data(config(odd_folder)).bad
    assert bad.path == "plain/2.jpg"
    assert bad.reason == "a file of 1099.51 GB; an image has at most 640.0 MB"


def test_a_file_that_could_not_be_read_is_tried_again(odd_folder, monkeypatch):
    def refuse(index, position):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as closed, pytest.raises(DataError, match="Permission denied"):
        closed.setattr("tfft.data.index.ImageIndex.bytes_of", refuse)
        check_data(config(odd_folder))
    assert not check_data(config(odd_folder)).bad


def test_a_file_that_may_not_be_read_any_more_is_named(odd_folder, monkeypatch):
    assert not check_data(config(odd_folder)).bad
    closed = odd_folder / "plain" / "2.jpg"
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != str(closed))
    monkeypatch.setattr(ImageIndex, "bytes_of", _refuse(str(closed)))
    (bad,) = check_data(config(odd_folder)).bad
    assert (bad.path, bad.reason) == ("plain/2.jpg", "cannot be read: Permission denied")


def _refuse(file: str):
    read = ImageIndex.bytes_of

    def refuse(index, position):
        if index.files[index.file_ids[position]] == file:
            raise PermissionError(13, "Permission denied")
        return read(index, position)

    return refuse


def test_a_folder_of_classes_that_cannot_be_listed_is_refused(odd_folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(DataError, match="cannot be listed: Permission denied"):
        load_data(config(odd_folder))


@pytest.mark.parametrize("name", ["two\nlines", "bell\x07", os.fsdecode(b"caf\xe9"), "a\u2028b"])
def test_a_class_whose_name_is_not_one_line_of_text_is_refused_by_name(odd_folder, name):
    (odd_folder / "odd").rename(odd_folder / name)
    shown = re.escape(printable_name(name))
    with pytest.raises(DataError, match=rf"^1 class name of .* Rename: {shown}$"):
        check_data(config(odd_folder))
