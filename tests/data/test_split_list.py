"""A split that is written to keep: a manifest whose paths lead to the images from where it lies."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfft
from tfft.errors import DataError, UsageError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(30):
        pixels = np.random.default_rng(number).integers(0, 255, (4, 4, 3)).astype(np.uint8)
        file = tmp_path / "photos" / ("cat", "dog")[number % 2] / f'{number} "é", a.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return tmp_path / "photos"


def contents(data) -> dict[str, list[bytes]]:
    return {
        split: sorted(index.read(position) for position in range(len(index)))
        for split, index in data.splits.items()
    }


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_it_reads_back_as_the_same_images_in_the_same_splits(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = tfft.prepare_data(photos)
    written = tfft.split_data("photos", output="lists/of/split.csv")
    assert written.counts == before.counts and written.is_manifest
    monkeypatch.chdir("/")
    again = tfft.prepare_data(tmp_path / "lists" / "of" / "split.csv")
    assert contents(again) == contents(before)
    assert again.class_names == before.class_names
    (row, *_) = rows_of(tmp_path / "lists" / "of" / "split.csv")
    assert list(row) == ["path", "label", "split", "sha256"]
    assert row["path"].startswith("../../photos/cat/")


def test_its_paths_hold_from_a_directory_that_is_a_link(photos, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far" / "away")
    tfft.split_data(photos, output=tmp_path / "near" / "split.csv")
    assert contents(tfft.prepare_data(tmp_path / "near" / "split.csv")) == contents(
        tfft.prepare_data(photos)
    )


def test_the_other_columns_of_a_manifest_stay(photos, tmp_path):
    files = sorted(photos.glob("*/*.png"))
    with (photos / "list.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["place", "path", "age", "label"])
        for number, file in enumerate(files):
            writer.writerow(["sea", file.relative_to(photos), number / 3, file.parent.name])
    tfft.split_data(photos / "list.csv", output=tmp_path / "split.csv")
    rows = rows_of(tmp_path / "split.csv")
    assert set(rows[0]) == {"place", "path", "age", "label", "split", "sha256"}
    ages = {row["path"]: row["age"] for row in rows}
    assert ages == {
        f"photos/{file.relative_to(photos)}": str(number / 3) for number, file in enumerate(files)
    }


def test_its_split_can_be_taken_over(photos, tmp_path):
    overrides = {"data.split_seed": 7}
    tfft.split_data(photos, output=tmp_path / "split.csv", overrides=overrides)
    like = tfft.prepare_data(photos, overrides={"data.split_like": str(tmp_path / "split.csv")})
    assert contents(like) == contents(tfft.prepare_data(photos, overrides=overrides))
    assert contents(like) != contents(tfft.prepare_data(photos))


def test_images_that_are_no_files_of_the_user_are_kept_by_name(tmp_path):
    written = tfft.split_data("quickstart", output=tmp_path / "split.csv")
    assert not written.is_manifest and "no manifest" in str(written)
    assert list(rows_of(tmp_path / "split.csv")[0]) == ["id", "label", "split", "sha256"]
    overrides = {"data.split_like": str(tmp_path / "split.csv"), "data.split_seed": 5}
    like = tfft.prepare_data("quickstart", overrides=overrides)
    assert like.fingerprint() == tfft.prepare_data("quickstart").fingerprint()


def test_nothing_is_written_over(photos, tmp_path):
    (tmp_path / "split.csv").write_text("mine")
    with pytest.raises(UsageError, match="exists already and is not replaced"):
        tfft.split_data(photos, output=tmp_path / "split.csv")
    assert (tmp_path / "split.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["a\nb.png", "a.png ", os.fsdecode(b"caf\xe9.png")])
def test_a_name_that_a_manifest_cannot_hold_is_named(photos, tmp_path, name):
    file = next(photos.glob("cat/*.png"))
    file.rename(photos / "cat" / name)
    with pytest.raises(DataError, match=r"a manifest cannot name files with .* cat/"):
        tfft.split_data(photos, output=tmp_path / "split.csv")
    assert not (tmp_path / "split.csv").exists()


def test_the_images_of_a_run_are_split_as_it_was_trained(small_run, tmp_path):
    tfft.split_data(small_run, output=tmp_path / "split.csv")
    assert len(rows_of(tmp_path / "split.csv")) == 24
    assert tfft.prepare_data(tmp_path / "split.csv").counts["test"] == 12
    with pytest.raises(UsageError, match="is a run: its data are its own"):
        tfft.split_data(small_run, output=tmp_path / "other.csv", data=tmp_path)


def test_a_class_that_a_manifest_would_read_otherwise_is_named(photos, tmp_path):
    (photos / "dog").rename(photos / "dog ")
    with pytest.raises(DataError, match=r"classes with spaces at an end of their name; .*: 'dog '"):
        tfft.split_data(photos, output=tmp_path / "split.csv")
