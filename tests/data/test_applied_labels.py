"""Labels applied to a folder: no file is replaced, and it goes on or back from anywhere."""

import json
import os
import shutil
from itertools import count
from pathlib import Path

import pytest

import tfft.system.moving
from tfft.cli.main import run
from tfft.config.data import ImageFolderData
from tfft.data.applied_labels import apply_labels, undo_labels
from tfft.data.kept_splits import hexadecimal
from tfft.data.labels_journal import JOURNAL
from tfft.data.load import load_data
from tfft.errors import DataError, TfftError, UsageError

ROWS = "cat/0.jpg,dog\ncat/1.jpg,\ncat/2.jpg,a lynx\nowl/0.jpg,a lynx\ndog/0.jpg,dog\n"


@pytest.fixture
def config(photo_folder) -> ImageFolderData:
    """Three classes in a folder, and labels for five of the photos."""
    photos = photo_folder / "photos"
    photos.mkdir()
    for name in ("cat", "dog", "owl"):
        (photo_folder / name).rename(photos / name)
    (photo_folder / "fixes.csv").write_text(f"path,label\n{ROWS}")
    return ImageFolderData(kind="image_folder", path=photos, labels=photo_folder / "fixes.csv")


def place(config: ImageFolderData) -> Path:
    assert config.path is not None
    return config.path.parent


def tree(directory: Path) -> dict[str, bytes | None]:
    """What lies below a directory and is not hidden: content of files, None for folders."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
        if not path.name.startswith(".")
    }


def photos_in(directory: Path) -> list[bytes]:
    """Content of the photos below a directory, in the order of the content."""
    return sorted(path.read_bytes() for path in directory.rglob("*.jpg"))


def classes_of(config: ImageFolderData) -> dict[str, str]:
    """The class of each image by the digest of its bytes."""
    data = load_data(config)
    return {
        digest: data.class_names["label"][label]
        for index in data.splits.values()
        for digest, label in zip(hexadecimal(index), index.targets["label"], strict=True)
    }


def test_files_move_to_their_classes_and_back(config):
    before, photos = tree(place(config)), photos_in(place(config))
    applied = apply_labels(config)
    assert {(move.file, move.to) for move in applied.moves} == {
        ("cat/0.jpg", "dog/0-2.jpg"),
        ("cat/1.jpg", "../photos-removed/cat/1.jpg"),
        ("cat/2.jpg", "a lynx/2.jpg"),
        ("owl/0.jpg", "a lynx/0.jpg"),
    }
    after = tree(place(config))
    assert after["photos/dog/0-2.jpg"] == before["photos/cat/0.jpg"]
    assert after["photos-removed/cat/1.jpg"] == before["photos/cat/1.jpg"]
    assert photos_in(place(config)) == photos
    undone = undo_labels(config)
    assert undone.undone and len(undone.moves) == 4 and undone.removed == applied.removed == 1
    assert tree(place(config)) == before
    assert not (place(config) / "photos" / JOURNAL).exists()
    with pytest.raises(UsageError, match="no labels have been applied to"):
        undo_labels(config)


def test_what_is_applied_is_what_the_labels_said(config):
    named = classes_of(config)
    apply_labels(config)
    assert classes_of(config.model_copy(update={"labels": None})) == named
    assert classes_of(config) == named
    again = apply_labels(config)
    assert again.moves == ()
    assert again.notes == ("fixes.csv: 0 images relabelled, 0 removed",)


def test_the_rows_of_the_labels_file_follow_their_photos(config):
    """A row with the path of before would speak of whatever is put there later."""
    file = place(config) / "fixes.csv"
    file.write_text("label,why,path\ndog,odd,cat/0.jpg\n,dark,cat/1.jpg\nowl,,cat/gone.jpg\n")
    text = file.read_text()
    applied = apply_labels(config)
    assert "2 paths in fixes.csv changed likewise" in applied.notes
    assert file.read_text() == (
        "label,why,path\ndog,odd,dog/0-2.jpg\n,dark,../photos-removed/cat/1.jpg\n"
        "owl,,cat/gone.jpg\n"
    )
    shutil.copy(place(config) / "photos" / "cat" / "3.jpg", place(config) / "photos/cat/0.jpg")
    assert apply_labels(config).moves == ()  # another photo where one was relabelled
    (place(config) / "photos" / "cat" / "0.jpg").unlink()
    undo_labels(config)
    assert file.read_text() == text


def test_a_labels_file_that_cannot_follow_is_told_of(config):
    apply_labels(config)
    (place(config) / "fixes.csv").unlink()
    notes = undo_labels(config).notes
    assert any(
        "the paths in fixes.csv did not change likewise, so leave it out: " in n for n in notes
    )
    assert not (place(config) / "fixes.csv").exists()


def test_a_dry_run_moves_nothing(config):
    before = tree(place(config))
    found = apply_labels(config, dry_run=True)
    assert not found.is_done and len(found.moves) == 4
    assert tree(place(config)) == before and not (place(config) / "photos" / JOURNAL).exists()
    apply_labels(config)
    applied = tree(place(config))
    assert undo_labels(config, dry_run=True).moves == tuple(
        type(move)(move.to, move.file) for move in reversed(found.moves)
    )
    assert tree(place(config)) == applied


def test_several_applications_are_taken_back_one_by_one(config):
    before = tree(place(config))
    apply_labels(config)
    middle = tree(place(config))
    (place(config) / "more.csv").write_text("path,label\ndog/0-2.jpg,cat\n")
    apply_labels(config.model_copy(update={"labels": place(config) / "more.csv"}))
    undo_labels(config)
    (place(config) / "more.csv").unlink()
    assert tree(place(config)) == middle
    undo_labels(config)
    assert tree(place(config)) == before


def test_splits_are_kept(config):
    photos = place(config) / "photos"
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            shutil.copytree(photos / name, place(config) / "own" / split / name)
    labels = place(config) / "own.csv"
    labels.write_text("path,label\ntest/cat/7.jpg,dog\ntrain/cat/7.jpg,\n")
    own = ImageFolderData(kind="image_folder", path=place(config) / "own", labels=labels)
    moves = {(move.file, move.to) for move in apply_labels(own).moves}
    assert moves == {
        ("test/cat/7.jpg", "test/dog/7.jpg"),
        ("train/cat/7.jpg", "../own-removed/train/cat/7.jpg"),
    }


def test_classes_that_are_called_as_splits_are_classes_where_that_is_said(config):
    photos = place(config) / "photos"
    (photos / "cat").rename(photos / "train")
    (photos / "train" / "deep").mkdir()
    (photos / "train" / "0.jpg").rename(photos / "train" / "deep" / "0.jpg")
    (place(config) / "fixes.csv").write_text("path,label\ntrain/deep/0.jpg,dog\n")
    (move,) = apply_labels(config.model_copy(update={"folders": "classes"})).moves
    assert (move.file, move.to) == ("train/deep/0.jpg", "dog/deep/0.jpg")


class Stop(BaseException):
    """Ends a process where it is."""


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Lets the process end before its `step`-th change of the disk from now on."""
    steps = count()

    def stopping(module, name: str) -> None:
        original = getattr(module, name)

        def change(*arguments, **options):
            if next(steps) >= step:
                raise Stop
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, change)

    stopping(tfft.system.moving.os, "link")
    for name in ("unlink", "mkdir", "rmdir", "replace"):
        stopping(Path, name)


@pytest.mark.parametrize("then", ["go on", "undo", "undo, stopped too"])
def test_it_goes_on_and_back_from_wherever_it_was_stopped(config, monkeypatch, then):
    before, photos = tree(place(config)), photos_in(place(config))
    apply_labels(config)
    after = tree(place(config))
    undo_labels(config)
    stops = 0
    for step in count():
        with monkeypatch.context() as patched:
            stop_at(patched, step)
            try:
                apply_labels(config)
            except Stop:
                stops += 1
            else:
                break
        assert set(photos_in(place(config))) == set(photos)
        if then == "go on":
            apply_labels(config)
            assert tree(place(config)) == after
        if then == "undo, stopped too" and (place(config) / "photos" / JOURNAL).exists():
            with monkeypatch.context() as patched, pytest.raises(Stop):
                stop_at(patched, step)
                undo_labels(config)
                raise Stop
        if (place(config) / "photos" / JOURNAL).exists():
            undo_labels(config)
        assert tree(place(config)) == before
    assert stops > 10


def test_no_file_is_replaced_by_going_on_or_back(config, monkeypatch):
    with monkeypatch.context() as patched:
        stop_at(patched, 5)
        with pytest.raises(Stop):
            apply_labels(config)
    stranger = place(config) / "photos" / "a lynx" / "0.jpg"
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"1 file in the way, which nothing replaces: .*0\.jpg"):
        apply_labels(config)
    stranger.rename(stranger.with_name("mine"))
    apply_labels(config)
    (place(config) / "photos" / "cat" / "2.jpg").write_bytes(b"mine too")
    with pytest.raises(DataError, match="1 file in the way"):
        undo_labels(config)
    assert (place(config) / "photos" / "cat" / "2.jpg").read_bytes() == b"mine too"
    assert apply_labels(config).moves == ()  # what was not begun need not be gone on with
    (place(config) / "photos" / "cat" / "2.jpg").unlink()
    undo_labels(config)
    assert (place(config) / "photos" / "a lynx" / "mine").read_bytes() == b"mine"


def test_a_file_that_is_gone_is_told_of(config):
    apply_labels(config)
    (place(config) / "photos" / "dog" / "0-2.jpg").unlink()
    assert "1 file not there any more: dog/0-2.jpg" in undo_labels(config).notes


def test_without_hard_links_files_move_all_the_same(config, monkeypatch):
    def no_links(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(tfft.system.moving.os, "link", no_links)
    before = tree(place(config))
    apply_labels(config)
    assert tree(place(config))["photos/dog/0-2.jpg"] == before["photos/cat/0.jpg"]
    undo_labels(config)
    assert tree(place(config)) == before


def test_what_cannot_be_moved_is_named_and_nothing_is_moved(config):
    photos = place(config) / "photos"
    (photos / "cat" / "link.jpg").symlink_to(photos / "dog" / "1.jpg")
    (photos / "fox").symlink_to(photos / "owl")
    shutil.copy(photos / "cat" / "3.jpg", os.fsencode(photos / "cat") + b"/caf\xe9.jpg")
    rows = "cat/link.jpg,dog\ncat/caf\\xe9.jpg,dog\ncat/4.jpg,dog\n"
    (place(config) / "fixes.csv").write_text(f"path,label\n{rows}")
    with pytest.raises(DataError) as error:
        apply_labels(config)
    assert str(error.value).splitlines()[:3] == [
        "2 files cannot be moved:",
        r"  cat/caf\xe9.jpg: its name is not UTF-8",
        "  cat/link.jpg: a link",
    ]
    assert (photos / "cat" / "4.jpg").exists() and not (photos / JOURNAL).exists()


def test_a_folder_can_be_made_where_none_is_in_the_way(config):
    photos = place(config) / "photos"
    (photos / "a lynx").write_text("a note")
    with pytest.raises(DataError, match="a lynx is no folder, and must become one"):
        apply_labels(config)
    (photos / "a lynx").unlink()
    with pytest.raises(UsageError, match="removed photos would be counted again"):
        apply_labels(config, removed_to=photos / "removed")
    apply_labels(config, removed_to=place(config) / "elsewhere" / "bad")
    assert (place(config) / "elsewhere" / "bad" / "cat" / "1.jpg").exists()


def test_a_damaged_journal_is_named(config):
    apply_labels(config)
    journal = place(config) / "photos" / JOURNAL
    journal.write_text(journal.read_text().replace("dog/0-2.jpg", "dog/0.jpg"))
    with pytest.raises(TfftError, match=r"\.labels-applied\.json is damaged"):
        undo_labels(config)


def test_the_command_asks_before_it_moves(config, capsys, monkeypatch):
    photos, file = str(place(config) / "photos"), str(place(config) / "fixes.csv")
    command = ["data", "apply", photos, "--labels", file]
    before = tree(place(config))
    assert run(command) == 2
    assert "nothing is moved unasked: give --yes" in capsys.readouterr().err
    assert run([*command, "--dry-run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["moves"]) == 4
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter([False, True])
    monkeypatch.setattr("click.confirm", lambda *_, **__: next(answers))
    assert run(command) == 0
    assert tree(place(config)) == before
    assert run(command) == 0
    assert tree(place(config)) != before
    assert f"to take it back: tfft data apply {photos} --undo" in capsys.readouterr().out
    assert run(["data", "apply", photos, "--undo", "--yes"]) == 0
    assert tree(place(config)) == before


def test_the_command_names_what_does_not_go_together(config, tmp_path, capsys):
    file = str(place(config) / "fixes.csv")
    for arguments, said in (
        ([str(tmp_path)], "give --labels FILE to apply it, or --undo"),
        ([str(tmp_path), "--undo", "--labels", file], "give --labels FILE to apply it, or --undo"),
        ([str(tmp_path), "--undo", "--removed", "x"], "it takes no --set, --removed"),
        (["list.csv", "--labels", file], "in a manifest, change the column label"),
        (["missing", "--labels", file], "the folder of photos does not exist"),
    ):
        assert run(["data", "apply", *arguments]) == 2
        assert said in capsys.readouterr().err
