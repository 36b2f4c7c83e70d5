"""What `tfft data check` and `tfft data prepare` print."""

import json
import shutil

import pytest

from tfft.cli.main import run


@pytest.fixture
def photos(pictures, tmp_path):
    """24 pictures, one of them twice, and a text."""
    shutil.copytree(pictures, tmp_path / "colours")
    first = min((tmp_path / "colours" / "red").iterdir())
    shutil.copy(first, first.with_name("copy.jpg"))
    (tmp_path / "colours" / "readme.txt").touch()
    return tmp_path / "colours"


def test_a_check_prints_duplicates_sizes_and_notes(photos, capsys):
    assert run(["data", "check", str(photos), "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "8 (blue) to 9 (red) images a class, 1.12 times as many" in shown
    assert "readme.txt is ignored: it is in no class folder" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("the same image: ")]
    assert "red/copy.jpg (" in line


def test_its_json_has_the_same(photos, capsys):
    assert run(["data", "check", str(photos), "--quiet", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [len(places) for places in report["duplicates"]] == [2]
    assert report["class_sizes"]["largest"] == {"name": "red", "images": 9}
    tested = report["counts"]["test"]
    assert report["untested"] == [n for n in ("blue", "green", "red") if not tested.get(n)]
    assert "readme.txt is ignored: it is in no class folder" in report["notes"]


def test_what_is_found_is_told_before_images_are_used(photos, capsys):
    assert run(["data", "prepare", str(photos)]) == 0
    assert "readme.txt is ignored: it is in no class folder" in capsys.readouterr().err


def test_the_paths_that_it_names_are_not_broken_into_lines(photos, capsys):
    bad = photos / "red" / f"{' '.join(['holiday'] * 25)}.jpg"
    bad.write_bytes(b"no image")
    assert run(["data", "check", str(photos), "--quiet"]) == 2
    assert f"red/{bad.name}: " in capsys.readouterr().out
