"""The audit of a small folder: what is found, kept, written and printed."""

import csv
import json
import shutil
import sys
from itertools import pairwise

import html5lib
import numpy as np
import pytest
from audit.conftest import HOSTILE

import tfft
from tfft.cli.main import run
from tfft.errors import DataError, UsageError


def by_kind(audit, kind: str) -> dict:
    return {found.path: found for found in audit.findings if found.kind == kind}


def test_what_was_planted_is_found(audit):
    (twice,) = by_kind(audit, "two_labels").values()
    assert (twice.path, twice.label, twice.suggested) == ("blue/again.png", "blue", "red")
    assert twice.like == ("red/3.png",)
    odd = by_kind(audit, "wrong_label")["blue/odd.png"]
    assert (odd.label, odd.suggested) == ("blue", "red")
    assert odd.probability > 0.5
    assert set(by_kind(audit, "dark")) == {"red/night.png"}
    assert [bad.path for bad in audit.skipped] == ["red/broken.jpg"]


def test_the_list_begins_with_what_is_certain(audit):
    kinds = list(audit.counts)
    order = [kinds.index(found.kind) for found in audit.findings]
    assert order == sorted(order)
    assert kinds[:2] == ["two_labels", "wrong_label"]
    odd = [found.probability for found in by_kind(audit, "wrong_label").values()]
    assert all(0 <= probability <= 1 for probability in odd)


def test_every_image_is_answered_out_of_its_fold(audit):
    assert audit.probabilities.shape == (64, 3)
    np.testing.assert_allclose(audit.probabilities.sum(axis=1), 1, rtol=1e-5)
    place = {name: number for number, name in enumerate(audit.index.ids)}
    copies = [place["blue/again.png"], place["red/3.png"]]
    assert len(set(audit.folds[copies])) == 1
    assert len(np.unique(audit.folds)) == 5
    assert audit.top1_interval.low < audit.top1 <= audit.top1_interval.high


def test_groups_stay_in_one_fold(faulty):
    found = tfft.audit_data(
        faulty / "classifier.yaml",
        data=faulty / "photos",
        overrides={"data.groups": r"(\d)\.png"},
        folds=3,
    )
    group = [name[-5] if name[-5].isdigit() else name for name in found.index.ids]
    assert all(
        len({found.folds[k] for k, of in enumerate(group) if of == name}) == 1 for name in group
    )


def test_a_second_audit_computes_no_features_and_measures_no_image(faulty, audit, monkeypatch):
    def refuse(*_):
        raise AssertionError("it is known already")

    monkeypatch.setattr("tfft.data.looks.look_at", refuse)
    monkeypatch.setattr("tfft.transfer.frozen.build.function_of", refuse)
    again = tfft.audit_data(faulty / "classifier.yaml", data=faulty / "photos")
    assert again.findings == audit.findings
    np.testing.assert_array_equal(again.probabilities, audit.probabilities)


def test_mended_labels_are_found_no_more(faulty, audit, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\nblue/odd.png,red\nblue/again.png,\n")
    mended = tfft.audit_data(
        faulty / "classifier.yaml",
        data=faulty / "photos",
        overrides={"data.labels": str(labels)},
    )
    assert mended.counts["two_labels"] == 0
    assert "blue/odd.png" not in by_kind(mended, "wrong_label")
    assert len(mended.labels) == len(audit.labels) - 1


def test_a_run_is_audited_in_its_splits_and_lends_them_to_other_images(
    faulty, tmp_path, monkeypatch
):
    trained = tfft.train(
        faulty / "classifier.yaml",
        data=faulty / "photos",
        overrides={"data.on_bad_image": "skip"},
        run=tmp_path / "run",
    )
    own = tfft.audit_data(trained.path)
    with monkeypatch.context() as patched:  # what the run kept is enough the next time
        patched.setattr("tfft.transfer.prepare.prepare_with", None)
        again = tfft.audit_data(trained.path)
    np.testing.assert_array_equal(again.probabilities, own.probabilities)
    assert again.pixels == own.pixels
    kept = {**dict(zip(own.index.ids, own.splits, strict=True))}
    more = shutil.copytree(faulty / "photos", tmp_path / "more")
    shutil.copy(more / "blue" / "odd.png", more / "red" / "new.png")
    other = tfft.audit_data(more, model=trained.path)
    assert {name: kept[name] for name in kept} == {
        name: split
        for name, split in zip(other.index.ids, other.splits, strict=True)
        if name in kept
    }
    assert len(other.labels) == len(own.labels) + 1
    later = shutil.copytree(trained.path, tmp_path / "later")  # of a run that is gone since
    recipe = (later / "recipe.yaml").read_text()
    assert "split_like: null" in recipe
    (later / "recipe.yaml").write_text(recipe.replace("split_like: null", "split_like: /gone"))
    assert tfft.audit_data(more, model=later).splits == other.splits
    with pytest.raises(UsageError, match="is a run: its data are its own"):
        tfft.audit_data(trained.path, data=more)
    with pytest.raises(UsageError, match="with a model, the images are a directory"):
        tfft.audit_data("classifier", model=trained.path)


def test_features_of_random_weights_are_told_of(faulty, audit):
    found = tfft.audit_data(
        faulty / "classifier.yaml",
        data=faulty / "photos",
        overrides={"backbone.weights": "random"},
    )
    told = [note for note in found.notes if note.startswith("the features are those of random")]
    assert len(told) == 1
    assert not set(told) & set(audit.notes)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"head": "breed"}, "an audit needs a head that classifies: label. Received: breed"),
        ({"folds": 1}, "an audit needs two folds or more. Received: 1"),
    ],
)
def test_what_cannot_be_audited_is_said(faulty, arguments, text):
    with pytest.raises(UsageError, match=text):
        tfft.audit_data(faulty / "classifier.yaml", data=faulty / "photos", **arguments)


def test_the_csv_file_has_the_list(audit, tmp_path):
    audit.write_csv(tmp_path / "audit.csv")
    with (tmp_path / "audit.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["path", "label", "suggested", "probability", "reason"]
    assert [row["path"] for row in rows] == [found.path for found in audit.findings]
    assert rows[0]["reason"] == "the same file as red/3.png, which is labelled red"
    assert float(rows[0]["probability"]) == pytest.approx(audit.findings[0].probability, abs=1e-4)


def test_the_page_is_valid_asks_for_nothing_and_shows_names_as_text(audit, tmp_path):
    page = tmp_path / "audit.html"
    audit.write_page(page)
    text = page.read_text(encoding="utf-8")
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    elements = list(tree.iter())
    assert not [one for one in elements if "onerror" in one.attrib]
    assert HOSTILE in "".join(tree.itertext())
    addresses = {
        value for one in elements for name, value in one.attrib.items() if name in ("src", "href")
    }
    assert {value.partition(":")[0] for value in addresses if not value.startswith("#")} == {"data"}
    places = {value[1:] for value in addresses if value.startswith("#")}
    assert places <= {one.attrib.get("id") for one in elements}
    assert all(one.attrib.get("alt") for one in elements if one.tag == "img")
    levels = [int(one.tag[1]) for one in elements if one.tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert "default-src 'none'" in text
    assert "<script" not in text


def test_a_photo_that_is_gone_by_then_is_named_and_no_page_is_written(faulty, tmp_path):
    photos = shutil.copytree(faulty / "photos", tmp_path / "photos")
    found = tfft.audit_data(faulty / "classifier.yaml", data=photos)
    (photos / "blue" / "odd.png").unlink()
    with pytest.raises(DataError, match=r"blue/odd\.png cannot be read: No such file"):
        found.write_page(tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_notebook_shows_photos_and_escapes_names(audit):
    cell = audit._repr_html_()
    html5lib.HTMLParser(strict=True).parseFragment(cell)
    assert cell.count("<img") == min(len(audit.findings), 12)
    assert HOSTILE not in cell


def test_the_command_prints_the_list_and_writes_both_files(faulty, audit, tmp_path, capsys):
    page, table = tmp_path / "a page.html", tmp_path / "list.csv"
    command = ["data", "audit", str(faulty / "classifier.yaml"), "--data", str(faulty / "photos")]
    assert run([*command, "-q", "--output", str(page), "--csv", str(table)]) == 0
    shown = capsys.readouterr().out
    assert "blue/again.png: the same file as red/3.png, which is labelled red" in shown
    assert "accuracy by cross-validation: " in shown
    assert shown.index("blue/again.png") < shown.index("blue/odd.png")
    assert shown.endswith(f"{page}\n{table}\n")
    assert page.is_file()
    assert table.is_file()
    assert run([*command, "-q", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value == {**json.loads(json.dumps(audit.to_json())), "page": None, "csv": None}


def test_a_place_that_cannot_be_written_to_is_said_before_the_work(faulty, tmp_path, capsys):
    command = ["data", "audit", str(faulty / "classifier.yaml"), "--data", str(faulty / "photos")]
    assert run([*command, "-q", "--output", str(tmp_path)]) == 2
    assert "is a directory: give the name of a file in it" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf_8_go_through_page_csv_and_json(faulty, tmp_path, capsys):
    photos = shutil.copytree(faulty / "photos", tmp_path / "photos")
    name = b"caf\xe9\x1b[31m.png".decode(errors="surrogateescape")
    shutil.copy(photos / "red" / "3.png", photos / "blue" / name)
    command = ["data", "audit", str(faulty / "classifier.yaml"), "--data", str(photos)]
    page, table = tmp_path / "page.html", tmp_path / "list.csv"
    assert run([*command, "-q", "--output", str(page), "--csv", str(table)]) == 0
    shown = capsys.readouterr().out
    assert r"caf\xe9\x1b[31m.png" in shown
    assert "\x1b" not in shown
    assert r"caf\xe9\x1b[31m.png" in page.read_text(encoding="utf-8")
    assert r"caf\xe9\x1b[31m.png" in table.read_text(encoding="utf-8")
