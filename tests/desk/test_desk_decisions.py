"""What is decided at a desk: at once in the labels file, and taken back step by step."""

import csv
import shutil
import threading
from pathlib import Path

import pytest

from tfft.data.labels_file import changed_labels, read_labels
from tfft.desk.decisions import Decisions
from tfft.errors import DataError, TfftError


def paths_of(client, **wanted) -> list[str]:
    query = "&".join(f"{name}={value}" for name, value in wanted.items())
    return [photo["path"] for photo in client.get(f"photos?{query}").json["photos"]]


def test_each_decision_is_in_the_file_before_it_is_answered(pictures, client_of, tmp_path):
    client, file = client_of(pictures), tmp_path / "labels.csv"
    assert not file.exists()
    answer = client.post("decide", photos=[0, 1], label="red")
    assert read_labels(file) == {"blue/0.jpg": "red", "blue/1.jpg": "red"}
    assert [photo["label"] for photo in answer.json["photos"]] == ["red", "red"]
    client.post("decide", photos=[1], label="")
    client.post("decide", photos=[2], label="turquoise")
    client.post("decide", photos=[3], label="blue")
    with file.open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["path", "label"],
            ["blue/0.jpg", "red"],
            ["blue/1.jpg", ""],
            ["blue/2.jpg", "turquoise"],
            ["blue/3.webp", "blue"],
        ]
    state = client.get("state").json
    counts = {name: state["counts"][name] for name in ("relabelled", "removed", "confirmed")}
    assert counts == {"relabelled": 2, "removed": 1, "confirmed": 1}
    assert {"name": "turquoise", "photos": 1, "new": True} in state["classes"]
    client.post("decide", photos=[3], label=None)
    assert "blue/3.webp" not in read_labels(file)


def test_steps_are_undone_from_the_last_to_the_first(pictures, client_of, tmp_path):
    client = client_of(pictures)
    for label in ("red", "green", ""):
        client.post("decide", photos=[0, 5], label=label)
    labels = []
    while client.get("state").json["undo"]:
        client.post("undo")
        labels.append(read_labels(tmp_path / "labels.csv").get("blue/0.jpg"))
    assert labels == ["green", "red", None]
    assert client.post("undo").json["error"] == "there is nothing to undo"


def test_no_photo_is_touched(pictures, client_of, tmp_path):
    shutil.copytree(pictures, tmp_path / "photos")
    before = {f: f.stat() for f in sorted((tmp_path / "photos").rglob("*"))}
    client = client_of(tmp_path / "photos")
    client.post("decide", photos=list(range(24)), label="red")
    client.post("decide", photos=[0, 1], label="")
    client.post("undo")
    after = {f: f.stat() for f in sorted((tmp_path / "photos").rglob("*"))}
    assert list(after) == list(before)
    assert [s.st_mtime_ns for s in after.values()] == [s.st_mtime_ns for s in before.values()]


def test_a_desk_goes_on_where_another_one_ended(pictures, client_of):
    first = client_of(pictures)
    first.post("decide", photos=[0, 8], label="red")
    second = client_of(pictures)
    assert paths_of(second, show="relabelled") == paths_of(first, show="relabelled")
    assert second.get("state").json["counts"]["relabelled"] == 2


def test_what_others_write_meanwhile_stays(pictures, client_of, tmp_path):
    client, file = client_of(pictures), tmp_path / "labels.csv"
    client.post("decide", photos=[0], label="red")
    with changed_labels(file) as labels:
        labels["blue/1.jpg"] = "green"
        labels["elsewhere.jpg"] = "green"
    assert client.get("state").json["counts"]["relabelled"] == 2
    with changed_labels(file) as labels:
        labels["blue/0.jpg"] = "green"
    client.post("undo")  # of a step that somebody else has changed since
    assert read_labels(file) == {
        "blue/0.jpg": "green",
        "blue/1.jpg": "green",
        "elsewhere.jpg": "green",
    }


def test_many_at_once_lose_nothing(tmp_path):
    desks = [Decisions(tmp_path / "labels.csv") for _ in range(3)]
    threads = [
        threading.Thread(target=lambda desk=desk, n=n: desk.decide([f"{n}.jpg"], "red"))
        for n in range(10)
        for desk in desks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_labels(tmp_path / "labels.csv")) == sorted(f"{n}.jpg" for n in range(10))


def test_a_file_that_cannot_be_written_leaves_all_as_it_was(tmp_path, monkeypatch):
    desk = Decisions(tmp_path / "labels.csv")
    desk.decide(["0.jpg"], "red")

    def full(*_):
        raise OSError(28, "No space left on device", str(tmp_path / "labels.csv"))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(TfftError, match="full"):
        desk.decide(["1.jpg"], "red")
    with pytest.raises(TfftError, match="full"):
        desk.undo()
    monkeypatch.undo()
    assert desk.labels == read_labels(desk.file) == {"0.jpg": "red"}
    desk.undo()
    assert desk.labels == read_labels(desk.file) == {}


def test_a_file_that_became_no_labels_file_is_said_and_not_replaced(pictures, client_of, tmp_path):
    client, file = client_of(pictures), tmp_path / "labels.csv"
    client.post("decide", photos=[0], label="red")
    file.write_text("a letter\n")
    for answer in (client.get("state"), client.post("decide", photos=[1], label="red")):
        assert (
            "labels.csv:1: the first line of a labels file names its columns"
            in answer.json["error"]
        )
    assert file.read_text() == "a letter\n"
    with pytest.raises(DataError):
        Decisions(file)


def test_photos_are_found_by_what_they_are(pictures, client_of):
    client = client_of(pictures)
    client.post("decide", photos=[0], label="red")
    client.post("decide", photos=[1], label="")
    client.post("decide", photos=[2], label="blue")
    assert paths_of(client, show="relabelled") == ["blue/0.jpg"]
    assert paths_of(client, show="removed") == ["blue/1.jpg"]
    assert paths_of(client, show="confirmed") == ["blue/2.jpg"]
    assert paths_of(client, label="red")[:2] == ["blue/0.jpg", "red/0.jpg"]
    assert paths_of(client, search="RED/2") == ["red/2.jpg"]
    assert len(paths_of(client, undecided="")) == 21
    assert (
        client.get("photos?show=relabeled")
        .json["error"]
        .endswith("Did you mean 'relabelled'? Received: 'relabeled'")
    )


def test_pages_pass_over_no_photo_while_it_is_decided_about_them(pictures, client_of):
    client, start, seen = client_of(pictures), 0, []
    while start is not None:
        page = client.get(f"photos?undecided&count=7&from={start}").json
        places = [photo["number"] for photo in page["photos"]]
        seen += places
        client.post("decide", photos=places[::2], label="red")
        start = page["next"]
    assert seen == list(range(24))
    assert client.get("photos?undecided&count=7&from=9").json["previous"] is not None
