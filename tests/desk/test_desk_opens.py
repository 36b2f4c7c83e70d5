"""What a desk is opened with: its photos, its labels file, its recipe."""

import os
import shutil
import sys
import webbrowser
from pathlib import Path

import pytest

import tfft
from tfft.cli.main import run as run_command
from tfft.config.loading.load import load_recipe
from tfft.data.labels_file import write_labels
from tfft.desk.desk import OpenDesk
from tfft.desk.photos import load_photos
from tfft.desk.recipe import labels_file_of, recipe_of_desk
from tfft.errors import DataError, ModelFileError, TfftError, UsageError
from tfft.runs.run import create_run
from tfft.system.progress import SILENT


@pytest.fixture
def run(pictures, tmp_path):
    """A run that was started on `pictures` with a labels file."""
    labels = tmp_path / "mended.csv"
    labels.write_text("path,label\nblue/0.jpg,red\n")
    overrides = {"data.labels": str(labels), "data.test_fraction": 0.5, "seed": 7}
    recipe = load_recipe("classifier", data=pictures, overrides=overrides)
    made = create_run(recipe, tmp_path / "run")
    made.splits_file.touch()
    return made


def test_removed_and_relabelled_photos_are_there_with_the_labels_that_they_came_with(run, pictures):
    photos = load_photos(recipe_of_desk(pictures, None, run.path.parent / "mended.csv"), SILENT)
    assert len(photos) == 24
    assert (photos.index.ids[0], photos.labels[0]) == ("blue/0.jpg", "blue")
    assert set(photos.splits) == {"train", "validation", "test"}


def test_the_recipe_of_a_run_is_repeated_and_its_splits_stay(run, pictures, tmp_path):
    recipe = recipe_of_desk(pictures, run.path, tmp_path / "labels.csv")
    assert recipe.data.labels == tmp_path / "labels.csv"
    assert recipe.data.split_like == run.path
    assert (recipe.seed, recipe.data.test_fraction) == (7, 0.5)
    run.splits_file.unlink()  # an old run, which keeps no splits
    assert recipe_of_desk(pictures, run.path, None).data.split_like is None
    elsewhere = recipe_of_desk(tmp_path / "others", run.path, None)
    assert (elsewhere.data.path, elsewhere.data.labels) == (tmp_path / "others", None)


def test_decisions_lie_beside_the_photos_or_where_the_run_has_them(run, pictures, tmp_path):
    assert labels_file_of(pictures, None) == pictures.with_name("colours.labels.csv")
    assert labels_file_of(tmp_path / "list.csv", None) == tmp_path / "list.labels.csv"
    assert labels_file_of(pictures, run.path) == tmp_path / "mended.csv"
    assert labels_file_of(tmp_path / "others", run.path) == tmp_path / "others.labels.csv"


def test_a_folder_that_is_here_has_its_labels_beside_it(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    assert labels_file_of(Path(), None) == tmp_path / "photos.labels.csv"


def test_a_list_of_photos_is_a_desk_too(pictures, client_of, tmp_path):
    shutil.copytree(pictures, tmp_path / "elsewhere")
    files = sorted((tmp_path / "elsewhere").rglob("*.*"))
    rows = "".join(f"elsewhere/{f.parent.name}/{f.name},{f.parent.name}\n" for f in files)
    (tmp_path / "list.csv").write_text(f"path,label\n{rows}")
    client = client_of(tmp_path / "list.csv", labels=None)
    client.post("decide", photos=[0], label="red")
    assert client.get("photos/0/small.jpg").status == 200
    kept = (tmp_path / "list.labels.csv").read_text()
    assert kept == "path,label\nelsewhere/blue/0.jpg,red\n"


def test_a_file_that_is_no_photo_is_left_out(pictures, client_of, tmp_path):
    shutil.copytree(pictures, tmp_path / "photos")
    (tmp_path / "photos" / "blue" / "notes.txt").write_text("no photo")
    state = client_of(tmp_path / "photos").get("state").json
    assert state["counts"]["photos"] == 24
    assert any("blue/notes.txt" in note for note in state["notes"])


def test_what_cannot_be_a_desk_is_said_before_anything_is_served(pictures, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        tfft.open_desk(tmp_path / "nowhere")
    with pytest.raises(ModelFileError, match="is not a run"):
        tfft.open_desk(pictures, model=tmp_path / "nowhere")
    (tmp_path / "letter.csv").write_text("dear all\n")
    with pytest.raises(DataError, match=r"letter\.csv:1: the first line of a labels file"):
        tfft.open_desk(pictures, labels=tmp_path / "letter.csv")
    heads = {"label": {}, "kind": {"target": "label"}}
    recipe = load_recipe("classifier", data=pictures, overrides={"heads": heads})
    run = create_run(recipe, tmp_path / "two")
    with pytest.raises(UsageError, match=r"models with one head.*label .*kind "):
        tfft.open_desk(pictures, model=run.path)


def test_photos_that_can_only_be_read_have_their_labels_elsewhere(pictures, tmp_path, monkeypatch):
    shutil.copytree(pictures, tmp_path / "disk" / "photos")
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path / "disk")
    with pytest.raises(TfftError, match=r"no permission to write .*kept elsewhere: --labels FILE"):
        tfft.open_desk(tmp_path / "disk" / "photos")
    with tfft.open_desk(tmp_path / "disk" / "photos", labels=tmp_path / "labels.csv") as desk:
        assert desk.labels == tmp_path / "labels.csv"


def test_without_the_extra_it_says_how_to_get_it(pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "waitress.server", None)
    with pytest.raises(UsageError, match=r"needs the extra `desk`: .*pip install"):
        tfft.open_desk(pictures, labels=tmp_path / "labels.csv")


def test_it_says_of_itself_where_it_is(pictures, tmp_path):
    with tfft.open_desk(pictures, labels=tmp_path / "labels.csv") as desk:
        assert repr(desk) == "<OpenDesk colours: 24 photos, 0 decided about>"
        assert desk.address in str(desk)


def test_the_command_prints_the_address_and_says_at_its_end_where_decisions_are(
    pictures, tmp_path, monkeypatch, capsys
):
    def interrupt(desk):
        write_labels(desk.labels, {"blue/0.jpg": "red"})
        raise KeyboardInterrupt

    opened: list[str] = []
    monkeypatch.setattr(OpenDesk, "wait", interrupt)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    labels = tmp_path / "my labels.csv"
    assert run_command(["desk", str(pictures), "--labels", str(labels), "--no-audit", "-q"]) == 130
    shown = capsys.readouterr()
    assert opened == [shown.out.strip()]
    assert opened[0].startswith("http://127.0.0.1:")
    assert f"{labels} keeps what was decided: tfft train classifier --data" in shown.err
    assert f"--labels '{labels}'" in shown.err


def test_the_command_names_no_labels_file_that_was_never_made(
    pictures, tmp_path, monkeypatch, capsys
):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(OpenDesk, "wait", interrupt)
    command = ["desk", str(pictures), "--labels", str(tmp_path / "labels.csv")]
    assert run_command([*command, "--no-audit", "--no-browser", "-q"]) == 130
    assert "keeps what was decided" not in capsys.readouterr().err
