"""The report of a small run: one file that needs nothing, is valid, escapes and is accessible."""

import csv
import json
import shutil
import sys
from pathlib import Path

import html5lib
import pytest

from tfft.config.loading.load import load_recipe
from tfft.errors import DataError, ModelFileError, TfftError, UsageError
from tfft.reports import report as reporting
from tfft.reports.report import Report, make_report
from tfft.system.files import write_json
from tfft.system.formats import RUN

HOSTILE = '<img src=x onerror="alert(1)">&amp;'
PHASE = {
    "number": 1,
    "config": {"solver": "gradient", "epochs": 2, "learning_rate": 1e-3},
    "frozen_blocks": 1,
    "trained_by_block": [0, 16],
    "block_factors": [0.5, 1.0],
    "head_factor": 1.0,
    "trained_parameters": 43,
}
PLAN = {
    "blocks": [{"name": "stem", "parameters": 224}, {"name": "norm", "parameters": 16}],
    "heads": [{"name": "label", "parameters": 27, "learning_rate_factor": 1.0}],
    "phases": [PHASE, {**PHASE, "number": 2}],
}


@pytest.fixture(scope="module")
def run(small_run, pictures, exported, tmp_path_factory) -> Path:
    """The small run with a plan and a history, and a class whose name is an attack."""
    place = tmp_path_factory.mktemp("report")
    shutil.copytree(pictures, place / "pictures")
    (place / "pictures" / "red").rename(place / "pictures" / HOSTILE)
    run = Path(shutil.copytree(small_run, place / "a run"))
    info = json.loads((run / "model.json").read_text())
    info["heads"]["label"]["class_names"][2] = HOSTILE
    info["data"] |= {"path": str(place / "pictures"), "validation_fraction": 0.5}
    write_json(run / "model.json", info)
    write_json(run / "plan.json", PLAN)
    record = json.loads((run / "run.json").read_text())
    RUN.write(run / "run.json", record | {"command": "/venv/bin/tfft train 'a recipe.yaml'"})
    found = {"kind": "overfits", "phase": 1, "text": "phase 1 overfits: flip <em>&</em> decay."}
    write_json(run / "metrics.json", {"validation": {}, "best": {}, "diagnosis": [found]})
    with (run / "history.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["phase", "epoch", "train/label/loss", "validation/label/loss"])
        writer.writerows([[1, 1, 0.9, 1.0], [1, 2, 0.7, 0.8], [2, 1, 0.5, 0.9], [2, 2, 0.4, ""]])
    return run


@pytest.fixture(scope="module")
def report(run) -> Report:
    return make_report(run)


@pytest.fixture(scope="module")
def text(report) -> str:
    return report.path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def elements(text) -> list:
    """All elements of the page; the parser stops at anything that the HTML standard calls wrong."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    return list(tree.iter())


def named(elements, name: str) -> list:
    return [element for element in elements if str(element.tag).rpartition("}")[2] == name]


def test_it_lies_in_the_run_and_is_small(report, run, text):
    assert report.path == run / "report.html"
    assert report.bytes == len(text.encode()) < 1_000_000
    assert json.loads(json.dumps(report.to_json()))["split"] == "test"


def test_nothing_is_asked_of_another_place(elements, text):
    addresses = [
        value
        for element in elements
        for name, value in element.attrib.items()
        if str(name).rpartition("}")[2] in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "@import" not in text
    assert "url(" not in text


def test_names_of_classes_are_text_and_never_code(elements, text):
    assert HOSTILE not in text
    assert not [image for image in named(elements, "img") if image.attrib["src"] == "x"]
    assert any(HOSTILE in (element.text or "") for element in named(elements, "th"))


def test_every_picture_says_what_it_shows(elements):
    ids = {element.attrib.get("id"): element for element in elements}
    figures = named(elements, "svg")
    assert len(figures) >= 4
    for figure in figures:
        assert figure.attrib["role"] == "img"
        for reference in figure.attrib["aria-labelledby"].split():
            assert len(ids[reference].text) > 5
    assert all(image.attrib["alt"] for image in named(elements, "img"))


def test_it_has_landmarks_and_every_link_within_leads_somewhere(elements):
    assert len(named(elements, "main")) == len(named(elements, "h1")) == 1
    assert named(elements, "nav")[0].attrib["aria-label"]
    ids = [element.attrib["id"] for element in elements if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    targets = {a.attrib["href"][1:] for a in named(elements, "a")}
    assert {"training", "head-label", "leaks", "exports"} <= targets <= set(ids)


def test_all_parts_of_the_run_are_in_it(text):
    for part in (
        *("Freeze plan", "Loss by epoch", "Reliability diagram", "Confusion matrix"),
        *("phase 2", "look like one of the", "SavedModel", "TFLite float32", "tfft train"),
    ):
        assert part in text


def test_commands_in_it_can_be_pasted_into_a_shell(elements, run):
    commands = "\n".join(code.text for code in named(elements, "code"))
    assert "tfft train 'a recipe.yaml'" in commands
    assert f"tfft report '{run}'" in commands


def test_what_the_epochs_show_is_in_it(elements):
    (sentence,) = [e.text for e in named(elements, "li") if "overfits" in (e.text or "")]
    assert sentence == "Phase 1 overfits: flip <em>&</em> decay."


@pytest.mark.slow
def test_another_file_and_split_can_be_asked_for_and_pngs_written(run, tmp_path):
    resvg = pytest.importorskip("resvg_py")
    report = make_report(run, output=tmp_path / "r.html", split="validation", png=tmp_path / "png")
    assert resvg
    assert report.split == "validation"
    assert {path.stem for path in report.pngs} >= {"freeze-plan", "confusion-label"}
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in report.pngs)


def test_what_cannot_be_reported_on_says_so(run, exported, tmp_path):
    with pytest.raises(ModelFileError, match="is not a run"):
        make_report(exported.savedmodel)
    with pytest.raises(UsageError, match="Did you mean 'test'"):
        make_report(run, split="tset")
    moved = Path(shutil.copytree(run, tmp_path / "run"))
    info = json.loads((moved / "model.json").read_text())
    write_json(moved / "model.json", info | {"data": info["data"] | {"path": "/nowhere"}})
    with pytest.raises(DataError, match="nowhere"):
        make_report(moved)


@pytest.fixture
def no_work(monkeypatch) -> None:
    """Fails a test in which a model is loaded for a report."""

    def load(path: Path) -> None:
        pytest.fail(f"{path} was loaded before what is written was checked")

    monkeypatch.setattr(reporting, "load_run", load)


@pytest.mark.usefixtures("no_work")
def test_pngs_that_nothing_can_draw_are_refused_before_any_work(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(UsageError, match=r"--png needs .*\[plots\]"):
        make_report(run, png=tmp_path / "png")
    assert not (tmp_path / "png").exists()


@pytest.mark.usefixtures("no_work")
def test_places_that_cannot_be_written_are_refused_before_any_work(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TfftError, match="file is no directory"):
        make_report(run, output=tmp_path / "file" / "r.html")
    with pytest.raises(UsageError, match="--output takes a file"):
        make_report(run, output=tmp_path)
    pytest.importorskip("resvg_py")
    with pytest.raises(TfftError, match="file is no directory"):
        make_report(run, png=tmp_path / "file")


def test_the_recipe_in_it_is_the_run_s(run, text):
    assert load_recipe(run / "recipe.yaml").name in text
