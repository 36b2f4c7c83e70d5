"""An open desk follows its photos: moved, removed, added, or listed otherwise."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tfft
from tfft.data.labels_file import read_labels
from tfft.desk import job

DONE = {"findings": [], "kinds": {}, "answers": {}, "unseen": True}


@pytest.fixture
def photos(pictures, tmp_path) -> Path:
    return shutil.copytree(pictures, tmp_path / "photos")


def listed(client) -> dict[str, int]:
    """The number of each photo by its path."""
    page = client.get("photos?count=100").json
    assert page["edition"] == client.get("state").json["edition"]
    return {photo["path"]: photo["number"] for photo in page["photos"]}


def test_photos_that_labels_moved_are_shown_where_they_are(photos, client_of, tmp_path):
    client, file = client_of(photos), tmp_path / "labels.csv"
    client.post("decide", photos=[0], label="red")
    client.post("decide", photos=[1], label="")
    client.post("decide", photos=[2], label="blue")
    before = listed(client)
    tfft.apply_labels(photos, file)
    state = client.get("state").json
    assert (state["counts"]["photos"], state["counts"]["decided"]) == (23, 2)
    assert state["counts"]["confirmed"] == 2
    after = listed(client)
    assert before.keys() - after.keys() == {"blue/0.jpg", "blue/1.jpg"}
    assert after.keys() - before.keys() == {"red/0-2.jpg"}
    assert client.get(f"photos/{after['red/0-2.jpg']}/small.jpg").status == 200
    assert read_labels(file)["red/0-2.jpg"] == "red"


def test_a_number_never_means_another_photo(photos, client_of, tmp_path):
    client = client_of(photos)
    client.post("decide", photos=[0, 1], label="red")
    numbers = listed(client).values()
    tfft.apply_labels(photos, tmp_path / "labels.csv")
    before = read_labels(tmp_path / "labels.csv")
    client.get("state")
    assert not set(numbers) & set(listed(client).values())
    for answer in (
        client.post("decide", photos=[5], label="green"),
        client.get("photos/5"),
        client.get("photos/5/small.jpg"),
    ):
        assert answer.status == 400
        assert answer.json["error"].startswith("the photos were moved or changed since")
    assert read_labels(tmp_path / "labels.csv") == before


def test_steps_about_photos_that_are_gone_are_not_undone(photos, client_of, tmp_path):
    client = client_of(photos)
    client.post("decide", photos=[3], label="red")
    tfft.apply_labels(photos, tmp_path / "labels.csv")
    assert client.get("state").json["undo"] is None
    number = listed(client)["blue/0.jpg"]
    client.post("decide", photos=[number], label="red")
    assert client.post("undo").json["photos"][0]["path"] == "blue/0.jpg"


def test_a_photo_that_is_gone_is_listed_no_longer(photos, client_of):
    client = client_of(photos)
    (photos / "blue" / "0.jpg").unlink()
    assert client.get("photos/0/large.jpg").json["error"].startswith("blue/0.jpg cannot be read")
    assert client.get("state").json["counts"]["photos"] == 23
    assert "blue/0.jpg" not in listed(client)


def test_what_stays_as_it_was_keeps_its_numbers(photos, client_of):
    client = client_of(photos)
    hidden = (photos / "blue" / "0.jpg").rename(photos.parent / "hidden")
    client.get("photos/0/large.jpg")
    hidden.rename(photos / "blue" / "0.jpg")  # as after a network that was away
    assert client.get("state").json["edition"] == 0
    assert client.get("photos/0/large.jpg").status == 200


@pytest.fixture
def audited(monkeypatch):
    """Lets an audit of a desk find what is given, and waits until it has ended."""

    def audit(client, **found) -> dict:
        def started(module: str, arguments: list[str], errors) -> subprocess.Popen:
            script = f"print({json.dumps(json.dumps({'result': DONE | found}))})"
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
            return subprocess.Popen([sys.executable, "-c", script], text=True, **pipes)

        monkeypatch.setattr(job, "started_worker", started)
        client.post("begin", kind="audit")
        while (state := client.get("state").json)["job"]["status"] == "running":
            time.sleep(0.01)
        assert state["job"]["status"] == "finished"
        return state

    return audit


def test_photos_that_came_are_there_after_an_audit(photos, client_of, audited):
    client = client_of(photos)
    (photos / "blue" / "new.jpg").write_bytes((photos / "blue" / "1.jpg").read_bytes() + b"\0")
    assert client.get("state").json["counts"]["photos"] == 24
    assert audited(client)["counts"]["photos"] == 25
    assert "blue/new.jpg" in listed(client)


def test_what_a_photo_is_a_copy_of_is_known_by_its_number_while_it_is_there(
    photos, client_of, audited
):
    client = client_of(photos)
    copy = {"path": "blue/0.jpg", "kind": "copy", "reason": "", "like": ["red/0.jpg", "gone.jpg"]}
    assert audited(client, findings=[copy])["edition"] == 0  # the photos are the same
    numbers = listed(client)
    client.post("decide", photos=[numbers["red/0.jpg"]], label="green")

    def copies() -> list[dict]:
        (photo,) = client.get("photos?show=audit").json["photos"]
        return photo["findings"][0]["copies"]

    assert copies() == [{"number": numbers["red/0.jpg"], "label": "green"}]
    (photos / "red" / "0.jpg").unlink()
    client.get(f"photos/{numbers['red/0.jpg']}/large.jpg")
    client.get("state")
    assert copies() == []


def test_a_list_that_was_written_anew_is_read_anew(photos, client_of, tmp_path):
    files = sorted(photos.rglob("*.*"))
    rows = [f"photos/{file.parent.name}/{file.name},{file.parent.name}" for file in files]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    client = client_of(tmp_path / "list.csv")
    assert len(listed(client)) == 24
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows[1:]]))
    assert client.get("state").json["counts"]["photos"] == 23


def test_a_folder_that_is_gone_is_said_until_it_is_back(photos, client_of):
    client = client_of(photos)
    photos.rename(photos.with_name("elsewhere"))
    client.get("photos/0/large.jpg")
    assert "does not exist" in client.get("state").json["error"]
    photos.with_name("elsewhere").rename(photos)
    assert client.get("state").json["counts"]["photos"] == 24
